//! Asking pages, once and over time.

#![allow(dead_code, reason = "each test file uses a part")]

use autoscaler_metrics::{Absent, Memory, MetricQuery, Statistic, read};

/// The answers to one question at several times, by one memory.
pub(crate) fn over_time(scrapes: &[(f64, &str)], query: &MetricQuery) -> Vec<Result<f64, Absent>> {
    let mut memory = Memory::default();
    let queries = std::slice::from_ref(query);
    scrapes.iter().map(|(at, page)| read(page.as_bytes(), None, queries, &mut memory, *at).remove(0)).collect()
}

/// The last of these answers.
pub(crate) fn at_last(scrapes: &[(f64, &str)], query: &MetricQuery) -> Result<f64, Absent> {
    over_time(scrapes, query).pop().unwrap_or(Err(Absent::NotAPage))
}

/// The answer to a question by default statistic at one scrape.
pub(crate) fn value(page: &str, name: &str) -> Result<f64, Absent> {
    at_last(&[(0.0, page)], &by_name(name))
}

pub(crate) fn by_name(name: &str) -> MetricQuery {
    MetricQuery::new(name)
}

pub(crate) fn with(name: &str, statistic: Statistic) -> MetricQuery {
    MetricQuery { statistic: Some(statistic), ..MetricQuery::new(name) }
}

pub(crate) fn labelled(name: &str, labels: &[(&str, &str)]) -> MetricQuery {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    MetricQuery { labels, ..MetricQuery::new(name) }
}

/// A page with one counter.
pub(crate) fn counter(value: f64) -> String {
    format!("# TYPE vllm:prompt_tokens_total counter\nvllm:prompt_tokens_total {value}\n")
}

/// A histogram of which one bucket up to a second and the rest are known; `labels` end with a comma or are empty.
pub(crate) fn histogram(name: &str, labels: &str, up_to_one: u32, count: u32, sum: f64) -> String {
    let rest = labels.trim_end_matches(',');
    format!(
        "# TYPE {name} histogram\n{name}_bucket{{{labels}le=\"1.0\"}} {up_to_one}\n\
         {name}_bucket{{{labels}le=\"2.0\"}} {count}\n{name}_bucket{{{labels}le=\"+Inf\"}} {count}\n\
         {name}_sum{{{rest}}} {sum}\n{name}_count{{{rest}}} {count}\n"
    )
}
