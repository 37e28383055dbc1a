//! The fewest replicas at which the expected share of misses is within what is allowed.

use crate::risk::Risk;

/// Replicas that are considered, beyond any bound that a manifest has: the rest is cut off by the bounds.
pub(crate) const MOST: u32 = 4096;

/// What is expected: a level of work, ratios to it with weights that sum up to 1, and how much the load weighs more than the risk says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expectation<'a> {
    pub(crate) level: f64,
    pub(crate) ratios: &'a [(f64, f64)],
    pub(crate) scale: f64,
}

impl Expectation<'_> {
    /// The share of requests that is expected to miss with so many replicas.
    pub(crate) fn misses(&self, risk: &Risk, replicas: u32) -> f64 {
        if replicas == 0 {
            return if self.level > 0.0 { 1.0 } else { 0.0 };
        }
        let count = f64::from(replicas);
        let miss = |(ratio, weight): &(f64, f64)| weight * risk.at(self.level * ratio * self.scale / count, count);
        self.ratios.iter().map(miss).sum::<f64>().min(1.0)
    }

    /// The fewest replicas, from 1 to `most`, at which no more than `allowed` is expected to miss; `most` where none are enough.
    pub(crate) fn fewest(&self, risk: &Risk, allowed: f64, most: u32) -> u32 {
        fewest(&|count| self.misses(risk, count), allowed, most)
    }
}

/// The fewest replicas, from 1 to `most`, at which `misses` is no more than `allowed`; `most` where none are enough. Misses must not
/// rise with the count.
pub(crate) fn fewest(misses: &dyn Fn(u32) -> f64, allowed: f64, most: u32) -> u32 {
    let (mut low, mut high) = (0, most.max(1));
    while high - low > 1 {
        let middle = u32::midpoint(low, high);
        if misses(middle) <= allowed { high = middle } else { low = middle }
    }
    high
}
