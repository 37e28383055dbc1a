//! A family as found on a page: its kind and its samples. Knows nothing of what a number means.

use crate::{
    histogram::{Histogram, collect_histograms},
    page::Page,
    problem::Problem,
    sample::Sample,
};

/// Kind of a family, from its `TYPE` line or, without one, from the suffixes of its samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Kind {
    /// A value that goes up and down.
    Gauge,
    /// A value that only grows, but for resets.
    Counter,
    /// Cumulative buckets with sum and count.
    Histogram,
    /// Quantiles computed by the exporter, with sum and count.
    Summary,
    /// Any other declared type (info, stateset, gaugehistogram), untyped, or not declared at all.
    #[default]
    Unknown,
}

impl Kind {
    pub(crate) fn parse(word: &[u8]) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_slice() {
            b"gauge" => Self::Gauge,
            b"counter" => Self::Counter,
            b"histogram" => Self::Histogram,
            b"summary" => Self::Summary,
            b"untyped" | b"unknown" | b"info" | b"stateset" | b"gaugehistogram" => Self::Unknown,
            _ => return None,
        })
    }
}

/// One wanted family of a page. See [`Page::family`].
#[derive(Debug, Clone, Copy)]
pub struct Family<'p, 'a> {
    page: &'p Page<'a>,
    name: &'p str,
}

impl<'p, 'a> Family<'p, 'a> {
    pub(crate) fn new(page: &'p Page<'a>, name: &'p str) -> Self {
        Self { page, name }
    }

    /// The kind: declared, else guessed from the samples (`x_bucket` histogram, `x_total` counter, `x{quantile}` with
    /// `x_count` summary). Read by their full names, the sum, count and buckets of a distribution are counters.
    pub fn kind(&self) -> Kind {
        let declared = self.page.declared(self.name);
        let of_stem = || self.name.strip_suffix("_total").and_then(|stem| self.page.declared(stem));
        match declared.or_else(of_stem) {
            Some(kind) if kind != Kind::Unknown => kind,
            // The parts of a distribution only grow, and have no declaration of their own.
            _ if self.page.is_part_of_distribution(self.name) => Kind::Counter,
            _ => self.kind_by_suffix(),
        }
    }

    fn kind_by_suffix(&self) -> Kind {
        if self.with_suffix("_bucket").next().is_some() {
            Kind::Histogram
        } else if self.with_suffix("_total").next().is_some() || self.name.ends_with("_total") {
            Kind::Counter
        } else if self.with_suffix("").any(|sample| sample.labels.get("quantile").is_some())
            && self.with_suffix("_count").next().is_some()
        {
            Kind::Summary
        } else {
            Kind::Unknown
        }
    }

    /// Samples of a gauge, counter or untyped family: those named exactly so, or, where there are none, those
    /// with `_total` added. Never buckets, sums, counts or `_created`.
    pub fn values(&self) -> impl Iterator<Item = &'p Sample<'a>> + use<'p, 'a> {
        let suffix = if self.with_suffix("").next().is_some() { "" } else { "_total" };
        self.with_suffix(suffix)
    }

    /// Histograms of the family, one for each label set (without `le`), in the order of the page.
    pub fn histograms(&self) -> Vec<(Sample<'a>, Histogram)> {
        collect_histograms(self.with_suffix("_bucket"), self.with_suffix("_sum"), self.with_suffix("_count"))
    }

    /// Whether the family has any sample; a family may be declared and empty, which is not the same as zero.
    pub fn has_samples(&self) -> bool {
        self.page.run_names().any(|name| belongs(name, self.name))
    }

    /// The first line of the family that could not be read. With one, its samples are a part of what the page says, and
    /// their sum is too small.
    pub fn unread(&self) -> Option<Problem> {
        self.page.unread(self.name)
    }

    fn with_suffix(&self, suffix: &'static str) -> impl Iterator<Item = &'p Sample<'a>> + use<'p, 'a> {
        self.page.samples_named(self.name, suffix)
    }
}

/// Whether a sample's name is the family's, with or without one of the known suffixes.
pub(crate) fn belongs(sample: &str, family: &str) -> bool {
    sample.strip_prefix(family).is_some_and(|rest| rest.is_empty() || crate::selection::SAMPLE_SUFFIXES.contains(&rest))
}
