//! What one page says of requests. Knows no other page.

use crate::batch::is_count;
use autoscaler_metrics::{Absent, Engine, Memory, MetricQuery, Statistic};
use promtext::{Histogram, Page, PageTooLarge, Selection};
use std::collections::BTreeMap;

/// What one replica says at one time; counts are since its start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// Requests that arrived, where the engine counts them (TGI).
    pub arrived: Option<f64>,
    /// Requests that ended, however they did.
    pub completed: Option<f64>,
    /// Requests that run.
    pub running: Option<f64>,
    /// Requests that wait.
    pub waiting: Option<f64>,
    /// Prompt lengths of requests that ended.
    pub inputs: Option<Histogram>,
    /// Lengths of their answers.
    pub outputs: Option<Histogram>,
    /// Prompt tokens, for engines without histograms of lengths.
    pub input_tokens: Option<f64>,
    /// Generated tokens, for them.
    pub output_tokens: Option<f64>,
    /// When the process began, in Unix seconds.
    pub started: Option<f64>,
}

/// Why a page says nothing of requests.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PageError {
    /// It is larger than is read.
    #[error(transparent)]
    TooLarge(#[from] PageTooLarge),
    /// Something on it cannot be used.
    #[error("{metric}: {why}")]
    Unusable {
        /// What was asked for.
        metric: &'static str,
        /// Why there is no answer.
        why: Absent,
    },
    /// The engine counts no requests, or none of these labels.
    #[error("the page of {engine} counts no requests")]
    NoRequests {
        /// The engine.
        engine: Engine,
    },
    /// More than is remembered.
    #[error("more than {0} replicas")]
    TooManyReplicas(usize),
    /// The time is not a number or not after that of the replica's page before.
    #[error("the page is not newer than the one before")]
    NotNewer,
}

/// Families of lengths: prompts and answers. Sources as in `autoscaler-metrics`' table of names.
fn families(engine: Engine) -> &'static [(&'static str, &'static str)] {
    const ALL: [(&str, &str); 4] = [
        ("vllm:request_prompt_tokens", "vllm:request_generation_tokens"),
        ("sglang:prompt_tokens_histogram", "sglang:generation_tokens_histogram"),
        ("tgi_request_input_length", "tgi_request_generated_tokens"),
        ("dynamo_frontend_input_sequence_tokens", "dynamo_frontend_output_sequence_tokens"),
    ];
    match engine {
        Engine::Vllm => &ALL[0..1],
        Engine::Sglang => &ALL[1..2],
        Engine::Tgi => &ALL[2..3],
        Engine::Dynamo => &ALL[3..4],
        Engine::Generic => &ALL,
        _ => &[],
    }
}

/// Labels of SGLang's ranks, which report the same requests.
const RANKS: [&str; 3] = ["tp_rank", "pp_rank", "moe_ep_rank"];

/// What is asked of a page, as it stands.
const ASKED: [&str; 8] = [
    "request_success_total",
    "num_requests_running",
    "num_requests_waiting",
    "prompt_tokens_total",
    "generation_tokens_total",
    "process_start_time_seconds",
    "tgi_request_count",
    "dynamo_frontend_requests_total",
];

impl Reading {
    /// Reads a page. Without an engine the page tells which it is. Only series with these labels count: give `model_name`
    /// where a page shows several models.
    pub fn of(page: &[u8], engine: Option<Engine>, labels: &BTreeMap<String, String>) -> Result<Self, PageError> {
        let engine = engine.unwrap_or_else(|| Engine::detect(page));
        let query = |name: &'static str| MetricQuery {
            statistic: Some(Statistic::Value),
            // The process is not of a model.
            labels: if name == "process_start_time_seconds" { BTreeMap::new() } else { labels.clone() },
            ..MetricQuery::new(name)
        };
        let answers = autoscaler_metrics::read(page, Some(engine), &ASKED.map(query), &mut Memory::default(), 0.0);
        let value = |name: &'static str| {
            let at = ASKED.iter().position(|asked| *asked == name);
            let answer = at.and_then(|at| answers.get(at)).cloned();
            answer.map_or(Ok(None), |answer| known(name, answer))
        };
        let lengths = Lengths::of(page, engine, labels)?;
        let counted = lengths.inputs.as_ref().or(lengths.outputs.as_ref()).and_then(Histogram::count);
        // Dynamo counts requests by status: all of them have ended.
        let success = match engine {
            Engine::Dynamo => value("dynamo_frontend_requests_total")?,
            _ => value("request_success_total")?,
        };
        let reading = Self {
            arrived: if engine == Engine::Tgi { value("tgi_request_count")? } else { None },
            completed: success.or(counted),
            running: value("num_requests_running")?,
            waiting: value("num_requests_waiting")?,
            inputs: lengths.inputs,
            outputs: lengths.outputs,
            input_tokens: value("prompt_tokens_total")?,
            output_tokens: value("generation_tokens_total")?,
            started: value("process_start_time_seconds").ok().flatten(),
        };
        if reading.completed.is_none() && reading.arrived.is_none() {
            return Err(PageError::NoRequests { engine });
        }
        Ok(reading)
    }

    /// The same without what is no count: NaN, infinite, negative.
    #[must_use]
    pub(super) fn sound(self) -> Self {
        let count = |value: Option<f64>| value.filter(|value| is_count(*value));
        Self {
            arrived: count(self.arrived),
            completed: count(self.completed),
            running: count(self.running),
            waiting: count(self.waiting),
            input_tokens: count(self.input_tokens),
            output_tokens: count(self.output_tokens),
            started: count(self.started),
            ..self
        }
    }

    /// Requests that run or wait; nothing where the engine tells neither.
    #[must_use]
    pub fn unfinished(&self) -> Option<f64> {
        match (self.running, self.waiting) {
            (None, None) => None,
            (running, waiting) => Some(running.unwrap_or(0.0) + waiting.unwrap_or(0.0)),
        }
    }
}

/// A value, nothing where the engine has it not, and 0 for a counter that is declared and not used yet.
fn known(metric: &'static str, answer: Result<f64, Absent>) -> Result<Option<f64>, PageError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(Absent::NoSamples { .. }) if metric.ends_with("_total") => Ok(Some(0.0)),
        Err(Absent::NoSamples { .. } | Absent::NotOffered { .. } | Absent::FamilyMissing { .. }) => Ok(None),
        Err(why) => Err(PageError::Unusable { metric, why }),
    }
}

/// Histograms of lengths.
#[derive(Debug, Default)]
struct Lengths {
    inputs: Option<Histogram>,
    outputs: Option<Histogram>,
}

impl Lengths {
    fn of(page: &[u8], engine: Engine, labels: &BTreeMap<String, String>) -> Result<Self, PageError> {
        let families = families(engine);
        let page = Page::read(page, &Selection::new(families.iter().flat_map(|(input, output)| [input, output])))?;
        let found = |(input, output): &(&str, &str)| {
            let of = |name| histogram(&page, name, labels);
            (page.family(input).is_some() || page.family(output).is_some())
                .then(|| Self { inputs: of(input), outputs: of(output) })
        };
        Ok(families.iter().find_map(found).unwrap_or_default())
    }
}

/// All series of a family with these labels together; of ranks that report the same, the highest. One that is declared and not
/// used yet is empty; one that was not read whole is nothing.
#[must_use]
pub fn histogram(page: &Page<'_>, name: &str, labels: &BTreeMap<String, String>) -> Option<Histogram> {
    let family = page.family(name).filter(|family| family.unread().is_none())?;
    let mut groups: BTreeMap<String, Histogram> = BTreeMap::new();
    for (sample, histogram) in family.histograms() {
        let fits = labels.iter().all(|(name, value)| sample.labels.get(name).is_some_and(|found| found == *value));
        let key = sample.labels.key_without(&RANKS);
        if fits && groups.get(&key).is_none_or(|known| histogram.count() > known.count()) {
            groups.insert(key, histogram);
        }
    }
    Some(groups.into_values().reduce(|a, b| a.plus(&b)).unwrap_or_default())
}
