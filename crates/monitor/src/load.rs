//! The load as it is now. Plain data, and its merging to fewer sizes.

use crate::cells::{self, Cell};
use serde::Serialize;

/// The load as it is now.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Load {
    /// The time that was asked for, in seconds on the caller's clock.
    pub at: f64,
    /// Arrivals a second, of all sizes.
    pub rate: f64,
    /// The rate by size; the rates add up to `rate`. Empty as long as no size is known, whatever the rate.
    pub sizes: Vec<SizeRate>,
    /// Unfinished requests, waiting ones included, as last told.
    pub pending: Option<f64>,
    /// Waiting requests, as last told.
    pub queued: Option<f64>,
    /// How well the sizes are known, 0 to 1: n ÷ (n + 25) for `samples` n. One half is where a mean over sizes has a
    /// standard error of 20 %, if sizes vary by their mean.
    pub confidence: f64,
    /// Seconds since the end of the newest span that was told of; infinite before the first.
    pub age: f64,
    /// Effective number of requests behind the sizes: (Σw)² ÷ Σw² of their weights.
    pub samples: f64,
    /// Expected relative standard error of `rate`, 0 to 1; 1 where nothing is known.
    pub rate_error: f64,
    /// When the rate last took a step, if the past before it is not used any more.
    pub since: Option<f64>,
}

/// One cell of the histogram: requests of about one size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SizeRate {
    /// Mean prompt tokens of the requests in the cell (of tokens and not of logarithms: the tokens a second are exact).
    pub input: f64,
    /// Mean generated tokens of them.
    pub output: f64,
    /// Arrivals a second.
    pub rate: f64,
}

impl Load {
    /// The same load in at most `most` sizes (at least one), for solvers whose time grows with sizes. The lightest are
    /// joined with their nearest; rates and tokens a second stay exact.
    #[must_use]
    pub fn at_most(&self, most: usize) -> Self {
        let as_cell = |size: &SizeRate| Cell {
            weight: size.rate,
            input: size.rate * size.input,
            output: size.rate * size.output,
        };
        let mut sizes: Vec<Cell> = self.sizes.iter().filter(|size| size.rate > 0.0).map(as_cell).collect();
        cells::join(&mut sizes, most.max(1));
        let as_size = |cell: &Cell| SizeRate {
            input: cell.input / cell.weight,
            output: cell.output / cell.weight,
            rate: cell.weight,
        };
        Self { sizes: sizes.iter().map(as_size).collect(), ..self.clone() }
    }
}
