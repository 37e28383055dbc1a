//! How requests fared, from the growth of engines' latency histograms. Knows no planning and no network.
//!
//! Engines tell latencies one by one and not which came together. The share that kept every objective is taken as the product of
//! the shares: it is at most the least of them, and misses that come together are counted more than once, so it errs on the safe
//! side. Inside a bucket observations are spread evenly; beyond the last bound all are late.

use autoscaler_planning::{Objective, Outcome};
use promtext::{Histogram, Page, PageTooLarge, Selection};
use request_monitor::engine::histogram;
use std::collections::BTreeMap;

/// The latencies of a replica, or what they have grown by.
#[derive(Debug, Clone, Default, PartialEq)]
struct Latencies {
    ttft: Option<Histogram>,
    /// Each request's mean.
    tpot: Option<Histogram>,
    /// Each token's, for engines without the former.
    gaps: Option<Histogram>,
    e2e: Option<Histogram>,
}

/// What is remembered between looks.
#[derive(Debug, Default)]
pub(crate) struct Fared {
    pods: BTreeMap<String, Latencies>,
    /// Grown since the last outcome.
    grown: Latencies,
    /// Since when there is something in it.
    since: Option<f64>,
    /// Mean seconds of a request, of late.
    duration: f64,
}

/// An objective of which nothing came for so many seconds is left out: answers of one token have no time per token.
const PATIENCE: f64 = 60.0;
/// Weight of the latest look in the mean duration.
const LATEST: f64 = 0.2;
/// Longest duration that is believed, seconds.
const LONGEST: f64 = 3600.0;

// Families as in autoscaler-metrics' table of names, where their sources are.
const TTFT: [&str; 5] = [
    "vllm:time_to_first_token_seconds",
    "sglang:time_to_first_token_seconds",
    "trtllm_time_to_first_token_seconds",
    "trtllm:time_to_first_token_seconds",
    "dynamo_frontend_time_to_first_token_seconds",
];
const TPOT: [&str; 4] = [
    "vllm:request_time_per_output_token_seconds",
    "sglang:request_time_per_output_token_seconds",
    "trtllm_time_per_output_token_seconds",
    "tgi_request_mean_time_per_token_duration",
];
const GAPS: [&str; 6] = [
    "vllm:inter_token_latency_seconds",
    "vllm:time_per_output_token_seconds",
    "sglang:inter_token_latency_seconds",
    "sglang:time_per_output_token_seconds",
    "trtllm:inter_token_latency_seconds",
    "dynamo_frontend_inter_token_latency_seconds",
];
const E2E: [&str; 6] = [
    "vllm:e2e_request_latency_seconds",
    "sglang:e2e_request_latency_seconds",
    "trtllm_e2e_request_latency_seconds",
    "trtllm:e2e_request_latency_seconds",
    "tgi_request_duration",
    "dynamo_frontend_request_duration_seconds",
];

impl Latencies {
    fn of(page: &[u8]) -> Result<Self, PageTooLarge> {
        let names = TTFT.iter().chain(&TPOT).chain(&GAPS).chain(&E2E);
        let page = Page::read(page, &Selection::new(names))?;
        let any = BTreeMap::new();
        let first = |names: &[&str]| {
            names.iter().filter(|name| page.family(name).is_some()).find_map(|name| histogram(&page, name, &any))
        };
        Ok(Self { ttft: first(&TTFT), tpot: first(&TPOT), gaps: first(&GAPS), e2e: first(&E2E) })
    }

    fn each<'a>(&'a mut self, other: &'a Self) -> [(&'a mut Option<Histogram>, &'a Option<Histogram>); 4] {
        [
            (&mut self.ttft, &other.ttft),
            (&mut self.tpot, &other.tpot),
            (&mut self.gaps, &other.gaps),
            (&mut self.e2e, &other.e2e),
        ]
    }

    /// What came since; nothing of what began anew.
    fn since(mut self, before: &Self) -> Self {
        for (now, before) in self.each(before) {
            *now = match (now.take(), before) {
                // Declared and not used before.
                (Some(now), Some(before)) if *before == Histogram::default() => Some(now),
                (Some(now), Some(before)) => now.since(before).ok(),
                _ => None,
            };
        }
        self
    }

    fn add(&mut self, other: &Self) {
        for (sum, more) in self.each(other) {
            if let Some(more) = more.as_ref().filter(|more| more.count().unwrap_or(0.0) > 0.0) {
                let both = sum.take().map(|sum| sum.plus(more)).filter(|both| !both.buckets().is_empty());
                *sum = both.or_else(|| Some(more.clone()));
            }
        }
    }
}

impl Fared {
    /// Takes a replica's page.
    pub(crate) fn page(&mut self, pod: &str, page: &[u8], at: f64) -> Result<(), PageTooLarge> {
        let now = Latencies::of(page)?;
        if let Some(before) = self.pods.insert(pod.to_owned(), now.clone()) {
            let grown = now.since(&before);
            if let Some(mean) =
                grown.e2e.as_ref().and_then(Histogram::mean).filter(|mean| (0.0..=LONGEST).contains(mean))
            {
                let share = if self.duration > 0.0 { LATEST } else { 1.0 };
                self.duration += (mean - self.duration) * share;
            }
            self.grown.add(&grown);
            if self.grown != Latencies::default() {
                self.since.get_or_insert(at);
            }
        }
        Ok(())
    }

    /// Forgets replicas that are no more.
    pub(crate) fn keep(&mut self, is_there: impl Fn(&str) -> bool) {
        self.pods.retain(|name, _| is_there(name));
    }

    /// Mean seconds of a request, of late; 0 where no engine told.
    pub(crate) fn duration(&self) -> f64 {
        self.duration
    }

    /// How the requests fared that ended since the outcome before; none while one of the objectives has yet to tell.
    pub(crate) fn outcome(&mut self, now: f64, objective: &Objective) -> Option<Outcome> {
        let since = self.since?;
        let Latencies { ttft, tpot, gaps, e2e } = &self.grown;
        let asked = [(objective.ttft, ttft), (objective.e2e, e2e)];
        let mut shares: Vec<Option<f64>> =
            asked.iter().filter_map(|(limit, grown)| Some(within(grown.as_ref(), (*limit)?))).collect();
        if let Some(limit) = objective.tpot {
            // A request's mean is what counts; of single tokens the mean over all of them stands for it.
            let by_tokens = || Some(f64::from(u8::from(gaps.as_ref()?.mean()? <= limit)));
            shares.push(within(tpot.as_ref(), limit).or_else(by_tokens));
        }
        let count = |grown: &Option<Histogram>| grown.as_ref().and_then(Histogram::count);
        let ended = count(e2e).or(count(tpot)).or(count(ttft));
        let complete = shares.iter().all(Option::is_some) && ended.is_some();
        if !complete && now - since < PATIENCE {
            return None;
        }
        self.grown = Latencies::default();
        self.since = None;
        let known: Vec<f64> = shares.into_iter().flatten().collect();
        let (ended, any) = (ended?, !known.is_empty());
        let kept = ended * known.iter().product::<f64>();
        any.then(|| Outcome { arrived: now.midpoint(since) - self.duration, ended, kept })
    }
}

/// The share of observations at or below a limit.
fn within(grown: Option<&Histogram>, limit: f64) -> Option<f64> {
    let grown = grown?;
    let total = grown.count().filter(|total| *total > 0.0)?;
    let (mut low, mut below) = (0.0, 0.0);
    for bucket in grown.buckets() {
        if bucket.upper > limit {
            let width = bucket.upper - low;
            let share = if width.is_finite() && width > 0.0 { ((limit - low) / width).clamp(0.0, 1.0) } else { 0.0 };
            below += (bucket.cumulative - below) * share;
            return Some((below / total).clamp(0.0, 1.0));
        }
        (low, below) = (bucket.upper, bucket.cumulative);
    }
    Some((below / total).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Objective = Objective { ttft: Some(1.5), tpot: Some(0.1), e2e: None };

    /// TTFT buckets of 1 s, 2 s and more; time per token at most 0.1 s and more.
    fn page(ttft: [u32; 3], tpot: [u32; 2]) -> String {
        let [second, two, all] = ttft;
        let [short, means] = tpot;
        format!(
            "# TYPE vllm:time_to_first_token_seconds histogram\n\
             vllm:time_to_first_token_seconds_bucket{{le=\"1\"}} {second}\n\
             vllm:time_to_first_token_seconds_bucket{{le=\"2\"}} {two}\n\
             vllm:time_to_first_token_seconds_bucket{{le=\"+Inf\"}} {all}\n\
             vllm:time_to_first_token_seconds_sum {all}\nvllm:time_to_first_token_seconds_count {all}\n\
             # TYPE vllm:request_time_per_output_token_seconds histogram\n\
             vllm:request_time_per_output_token_seconds_bucket{{le=\"0.1\"}} {short}\n\
             vllm:request_time_per_output_token_seconds_bucket{{le=\"+Inf\"}} {means}\n\
             vllm:request_time_per_output_token_seconds_sum {means}\nvllm:request_time_per_output_token_seconds_count {means}\n"
        )
    }

    fn after(pages: &[String], objective: &Objective) -> Option<Outcome> {
        let mut fared = Fared::default();
        for (at, page) in pages.iter().enumerate() {
            fared.page("pod", page.as_bytes(), f64::from(u32::try_from(at).unwrap())).unwrap();
        }
        fared.outcome(f64::from(u32::try_from(pages.len()).unwrap()), objective)
    }

    #[test]
    fn shares_are_read_between_bounds_and_multiplied() {
        // Of ten, four within 1 s and four within 2 s: six within 1.5 s. Half of the means per token are short enough.
        let outcome = after(&[page([1, 1, 1], [1, 1]), page([5, 9, 11], [6, 11])], &BOTH).unwrap();
        assert_eq!(outcome.ended, 10.0);
        assert!((outcome.kept - 10.0 * 0.6 * 0.5).abs() < 1e-9, "{outcome:?}");
    }

    #[test]
    fn late_first_tokens_wait_for_the_ends_of_their_requests() {
        let pages = [page([0, 0, 0], [0, 0]), page([0, 0, 4], [0, 0])];
        assert_eq!(after(&pages, &BOTH), None);
        let [first, late] = pages;
        let outcome = after(&[first, late, page([0, 0, 4], [4, 4])], &BOTH).unwrap();
        assert_eq!((outcome.ended, outcome.kept), (4.0, 0.0));
    }

    #[test]
    fn an_engine_that_began_anew_tells_nothing_of_the_time_between() {
        assert_eq!(after(&[page([5, 5, 5], [5, 5]), page([1, 1, 1], [1, 1])], &BOTH), None);
        assert_eq!(after(&[page([5, 5, 5], [5, 5])], &BOTH), None, "nor a first page");
    }
}
