//! What is asked of a page.

use std::collections::BTreeMap;

/// One question to a page.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetricQuery {
    /// A normalised name (`num_requests_waiting`), one of AIBrix's, or a family as the engine prints it.
    pub name: String,
    /// What is taken of the series; none: a gauge's value, a counter's rate, a histogram's mean.
    pub statistic: Option<Statistic>,
    /// Labels that series have to carry.
    pub labels: BTreeMap<String, String>,
}

/// What is taken of a metric's series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Statistic {
    /// The value as it stands.
    Value,
    /// Growth a second.
    Rate,
    /// A histogram's mean.
    Mean,
    /// A histogram's quantile, in percent.
    Percentile(u8),
}

impl MetricQuery {
    /// A question for all series of a metric, by its default statistic.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), statistic: None, labels: BTreeMap::new() }
    }
}

impl std::fmt::Display for Statistic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Value => f.write_str("value"),
            Self::Rate => f.write_str("rate"),
            Self::Mean => f.write_str("mean"),
            Self::Percentile(percent) => write!(f, "p{percent}"),
        }
    }
}
