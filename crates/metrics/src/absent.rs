//! Why a page has no value for a question. Absence is never zero: who reads it holds.

use crate::dialect::Engine;
use crate::query::Statistic;

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Absent {
    /// The page is larger than is read.
    #[error("the page has {bytes} bytes, more than are read")]
    PageTooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The page has no sample at all: an error page, say.
    #[error("the page is no metrics page")]
    NotAPage,
    /// This engine has no such metric.
    #[error("{engine} has no such metric; name one of its families instead")]
    NotOffered {
        /// The engine.
        engine: Engine,
    },
    /// The family is not on the page.
    #[error("{family} is not on the page")]
    FamilyMissing {
        /// The family.
        family: String,
    },
    /// The family is declared and has no sample yet, as vLLM's V0 engine prints it before its first request.
    #[error("{family} has no samples yet")]
    NoSamples {
        /// The family.
        family: String,
    },
    /// A line of the family cannot be read, so that what is left is only a part.
    #[error("{family} cannot be read whole: {problem}")]
    Unreadable {
        /// The family.
        family: String,
        /// The first such line, and what is wrong with it.
        problem: String,
    },
    /// No series carries the labels that were asked for.
    #[error("no series of {family} carries the labels asked for")]
    NoSeriesMatches {
        /// The family.
        family: String,
    },
    /// A value that is no finite number, or negative where that cannot be.
    #[error("{family} has a value that cannot be used")]
    Unusable {
        /// The family.
        family: String,
    },
    /// Rates and means need two scrapes.
    #[error("{family} needs a second scrape")]
    NeedsSecondScrape {
        /// The family.
        family: String,
    },
    /// A counter went down: the engine has restarted, or its page cannot be trusted.
    #[error("{family} went down; counting begins anew")]
    CounterReset {
        /// The family.
        family: String,
    },
    /// A histogram without observations in the span looked at.
    #[error("{family} has no new observations")]
    NoNewObservations {
        /// The family.
        family: String,
    },
    /// The metric has no such statistic.
    #[error("{family} has no {statistic}; allowed: {allowed}")]
    Unsupported {
        /// The family.
        family: String,
        /// What was asked.
        statistic: Statistic,
        /// What can be asked.
        allowed: &'static str,
    },
    /// A histogram without its last bucket, or a page without its buckets.
    #[error("{family} has no +Inf bucket, so there is no {statistic} of it")]
    NoInfiniteBucket {
        /// The family.
        family: String,
        /// What was asked.
        statistic: Statistic,
    },
    /// A summary prints the quantiles that its exporter chose.
    #[error("{family} is a summary and prints no {statistic}; rate and mean can be had")]
    NoSuchQuantile {
        /// The family.
        family: String,
        /// What was asked.
        statistic: Statistic,
    },
    /// Quantiles of several series cannot be put together.
    #[error("{family} is a summary with several series, whose quantiles cannot be put together; select one by labels")]
    SeveralQuantiles {
        /// The family.
        family: String,
    },
    /// More series, labels or buckets than are remembered.
    #[error("{family} has more series, labels or buckets than are remembered")]
    TooManySeries {
        /// The family.
        family: String,
    },
}
