//! One trace: reading its JSON, writing it, and what it says of its interval. Knows no other trace.

use super::bucket::{self, Rounding, TRUNCATED};
use crate::batch::{Batch, Size};
use serde_json::{Map, Number, Value};
use std::collections::BTreeMap;

/// The version that is written: the newest known.
pub const VERSION: u32 = 4;
/// Seconds of an interval where the trace does not say.
pub const INTERVAL_SECONDS: u32 = 10;
/// Buckets per octave that are written.
pub const PRECISION: u32 = 10;
/// Longest text that is read, in bytes. All 241 × 241 buckets that AIBrix's precision has take a fifth of it.
pub const MAX_TEXT_BYTES: usize = 4 << 20;
/// The highest count that is read: whole as `f64`.
const MAX_COUNT: u64 = 1 << 52;

/// One Redis value: what was counted of one model in one interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// `meta_v`; 1 for a trace without meta keys.
    pub version: u32,
    /// `meta_interval_sec`: 1 to 86,400.
    pub interval: u32,
    /// `meta_precision`: buckets per octave, 1 to 1000.
    pub precision: u32,
    /// `meta_total_reqs`, from version 3 on: requests that arrived.
    pub total: Option<u64>,
    /// `meta_pending_reqs`, from version 3 on: unfinished requests.
    pub pending: Option<u64>,
    /// `meta_queueing_reqs`, from version 4 on: requests in the gateway's queue.
    pub queued: Option<u64>,
    /// Completed requests by the indexes of input and output.
    pub buckets: BTreeMap<(u32, u32), u64>,
}

/// Why a text is no trace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// The text is too long.
    #[error("the trace has {0} bytes, more than the {MAX_TEXT_BYTES} allowed")]
    TooLong(usize),
    /// It is no JSON object.
    #[error("the trace is not a JSON object: {0}")]
    NotAnObject(String),
    /// A key is neither `meta_…` nor a bucket.
    #[error("key {0:?}: must be input:output, two whole numbers, or begin with meta_")]
    Key(String),
    /// A value is not in its range.
    #[error("key {key:?}: {value} is not a whole number from {least} to {most}")]
    Value {
        /// The key.
        key: String,
        /// Its value as JSON, the beginning of it.
        value: String,
        /// The least that is allowed.
        least: u64,
        /// The most.
        most: u64,
    },
    /// A key that the version promises is missing.
    #[error("key {key:?} is missing, which version {version} must have")]
    Missing {
        /// The key.
        key: &'static str,
        /// The trace's version.
        version: u32,
    },
}

impl Default for Trace {
    fn default() -> Self {
        Self::new()
    }
}

impl Trace {
    /// An empty trace of the newest version, to be counted into.
    #[must_use]
    pub fn new() -> Self {
        Self {
            version: VERSION,
            interval: INTERVAL_SECONDS,
            precision: PRECISION,
            total: Some(0),
            pending: Some(0),
            queued: Some(0),
            buckets: BTreeMap::new(),
        }
    }

    /// Reads a value, of version 1 (no meta keys) to 4 and later ones that keep to 4's keys. Unknown meta keys are passed
    /// over. Any other key that is not a bucket makes it an error, as in AIBrix's reader: half a trace would be low load.
    pub fn parse(text: &str) -> Result<Self, TraceError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(TraceError::TooLong(text.len()));
        }
        let object: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| TraceError::NotAnObject(error.to_string()))?;
        let meta =
            |key: &str, least: u64, most: u64| object.get(key).map(|value| whole(key, value, least, most)).transpose();
        let small = |key: &str, default: u32, most: u32| {
            let value = meta(key, 1, u64::from(most))?;
            Ok(value.and_then(|value| u32::try_from(value).ok()).unwrap_or(default))
        };
        let version = small("meta_v", 1, 1000)?;
        let promised = |key: &'static str, from: u32| match meta(key, 0, MAX_COUNT)? {
            None if version >= from => Err(TraceError::Missing { key, version }),
            value => Ok(value.filter(|_| version >= from)),
        };
        Ok(Self {
            version,
            interval: small("meta_interval_sec", INTERVAL_SECONDS, 86_400)?,
            precision: small("meta_precision", 1, 1000)?,
            total: promised("meta_total_reqs", 3)?,
            pending: promised("meta_pending_reqs", 3)?,
            queued: promised("meta_queueing_reqs", 4)?,
            buckets: buckets(&object)?,
        })
    }

    /// Counts a completed request, at the index that is meant ([`Rounding::Nearest`]).
    pub fn count(&mut self, size: Size) {
        let index = |tokens| bucket::index(tokens, self.precision, Rounding::Nearest);
        let bucket = self.buckets.entry((index(size.input), index(size.output))).or_default();
        *bucket = bucket.saturating_add(1).min(MAX_COUNT);
    }

    /// The JSON text, with the keys of its version. What a version has no key for is left out.
    #[must_use]
    pub fn write(&self) -> String {
        let mut object = BTreeMap::new();
        let mut put = |key: &str, value: u64| object.insert(key.to_owned(), Value::Number(Number::from(value)));
        let metas = [
            (2, "meta_v", Some(u64::from(self.version))),
            (2, "meta_interval_sec", Some(u64::from(self.interval))),
            (2, "meta_precision", Some(u64::from(self.precision))),
            (3, "meta_total_reqs", self.total.or(Some(0))),
            (3, "meta_pending_reqs", self.pending.or(Some(0))),
            (4, "meta_queueing_reqs", self.queued.or(Some(0))),
        ];
        for (from, key, value) in metas {
            if let Some(value) = value.filter(|_| self.version >= from) {
                put(key, value);
            }
        }
        for ((input, output), count) in &self.buckets {
            put(&format!("{input}:{output}"), *count);
        }
        // Numbers by keys of text always have a JSON form.
        serde_json::to_string(&object).unwrap_or_default()
    }

    /// Completed requests.
    #[must_use]
    pub fn completions(&self) -> u64 {
        self.buckets.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Whether the writer cuts off as AIBrix's does, as far as this trace tells: no index is one that it never writes.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        !self.buckets.keys().any(|(input, output)| TRUNCATED.contains(input) || TRUNCATED.contains(output))
    }

    /// What it tells of its interval, which ends at `at`, the time in its key. Versions 1 and 2 do not tell arrivals.
    #[must_use]
    pub fn batch(&self, at: f64) -> Batch {
        let truncated = self.is_truncated();
        let tokens = |index| bucket::tokens(index, self.precision, truncated);
        let size = |(&(input, output), &count): (&(u32, u32), &u64)| {
            (Size { input: tokens(input), output: tokens(output) }, count as f64)
        };
        let number = |count: Option<u64>| count.map(|count| count as f64);
        Batch {
            from: at - f64::from(self.interval),
            to: at,
            arrivals: number(self.total),
            sizes: self.buckets.iter().map(size).collect(),
            pending: number(self.pending),
            queued: number(self.queued),
        }
    }
}

/// What a missing key tells where Redis answered and knows the model's earlier keys: nothing arrived. AIBrix writes no
/// trace for an interval without requests. A gateway that is gone writes none either, so do not say this for ever: of a model whose last trace
/// had pending requests, and once its keys have all expired (ten minutes), a missing key is silence.
#[must_use]
pub fn missing(at: f64, interval_seconds: u32) -> Batch {
    Batch { arrivals: Some(0.0), ..Batch::new(at - f64::from(interval_seconds.max(1)), at) }
}

fn buckets(object: &Map<String, Value>) -> Result<BTreeMap<(u32, u32), u64>, TraceError> {
    let mut buckets = BTreeMap::new();
    for (key, value) in object.iter().filter(|(key, _)| !key.starts_with("meta_")) {
        let place = place(key).ok_or_else(|| TraceError::Key(beginning(key)))?;
        let count = whole(key, value, 0, MAX_COUNT)?;
        if count > 0 {
            // `007:1` and `7:1` are two keys of one bucket.
            let bucket: &mut u64 = buckets.entry(place).or_default();
            *bucket = bucket.saturating_add(count).min(MAX_COUNT);
        }
    }
    Ok(buckets)
}

/// The indexes of a bucket's key, `^\d+:\d+$`.
fn place(key: &str) -> Option<(u32, u32)> {
    let (input, output) = key.split_once(':')?;
    let index = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?;
    Some((index(input)?, index(output)?))
}

fn whole(key: &str, value: &Value, least: u64, most: u64) -> Result<u64, TraceError> {
    let number = value.as_u64().filter(|number| (least..=most).contains(number));
    let error = || TraceError::Value { key: beginning(key), value: beginning(&value.to_string()), least, most };
    number.ok_or_else(error)
}

/// What an error repeats of a text: enough to find it.
fn beginning(text: &str) -> String {
    text.chars().take(60).collect()
}
