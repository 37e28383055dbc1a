//! Histograms of cumulative buckets: collecting, subtracting, adding, quantiles, mean. Knows nothing of pages.

use std::collections::BTreeMap;

use crate::sample::{Sample, number};

/// One cumulative bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Inclusive upper bound (`le`), in the family's unit; `+Inf` for the last.
    pub upper: f64,
    /// Observations at or below the bound.
    pub cumulative: f64,
}

/// One histogram series, or the increase of one between two scrapes.
///
/// Buckets are ordered by bound, each bound once, and do not fall: small falls, which come from an exporter reading
/// its counters while they change, are lifted to the bucket before, as Prometheus does.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    buckets: Vec<Bucket>,
    sum: Option<f64>,
    count: Option<f64>,
}

/// A later histogram is not a continuation of an earlier one: a sum or count fell, or no bucket bound is common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesChanged;

impl Histogram {
    /// A histogram from its parts. Buckets in any order; those with a NaN bound or a count that is not a finite
    /// number from 0 are left out, of a repeated bound the last one stays.
    pub fn new(mut buckets: Vec<Bucket>, sum: Option<f64>, count: Option<f64>) -> Self {
        buckets.retain(|bucket| !bucket.upper.is_nan() && is_count(bucket.cumulative));
        buckets.sort_by(|a, b| a.upper.total_cmp(&b.upper)); // stable: repeated bounds stay in order
        buckets.dedup_by(|later, earlier| {
            let same = later.upper == earlier.upper;
            if same {
                earlier.cumulative = later.cumulative;
            }
            same
        });
        let mut highest = 0.0_f64;
        for bucket in &mut buckets {
            highest = highest.max(bucket.cumulative);
            bucket.cumulative = highest;
        }
        Self { buckets, sum: sum.filter(|sum| sum.is_finite()), count: count.filter(|count| is_count(*count)) }
    }

    /// The buckets, ordered by bound.
    pub fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    /// Sum of the observed values.
    pub fn sum(&self) -> Option<f64> {
        self.sum
    }

    /// Number of observations: `_count`, or without it the `+Inf` bucket.
    pub fn count(&self) -> Option<f64> {
        self.count.or_else(|| self.infinite_bucket())
    }

    /// Whether the last bucket is the one without bound; without it there is no quantile.
    pub fn has_infinite_bucket(&self) -> bool {
        self.infinite_bucket().is_some()
    }

    /// Mean of the observed values, sum ÷ count; nothing without observations.
    pub fn mean(&self) -> Option<f64> {
        let count = self.count().filter(|count| *count > 0.0)?;
        Some(self.sum? / count).filter(|mean| mean.is_finite())
    }

    /// The `q`-quantile by linear interpolation within a bucket, as Prometheus' `histogram_quantile` for classic
    /// histograms (Prometheus `promql/quantile.go`). Its rules:
    /// - nothing for `q` outside 0..=1, without a `+Inf` bucket, with that bucket alone, or without observations;
    /// - a quantile that falls into the `+Inf` bucket is the highest finite bound: the true value is at least that;
    /// - the lowest bucket begins at 0, unless its bound is not positive: then the answer is its bound.
    ///
    /// Where Prometheus divides 0 by 0 (`q` = 0 in an empty bucket), the answer is the bucket's lower bound.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let (infinite, finite) = self.buckets.split_last()?;
        let last_finite = finite.last()?;
        let observations = infinite.cumulative;
        if !(0.0..=1.0).contains(&q) || infinite.upper != f64::INFINITY || observations <= 0.0 {
            return None;
        }
        let rank = q * observations;
        let Some(at) = finite.iter().position(|bucket| bucket.cumulative >= rank) else {
            return Some(last_finite.upper);
        };
        let bucket = finite[at];
        if at == 0 && bucket.upper <= 0.0 {
            return Some(bucket.upper);
        }
        let before = at.checked_sub(1).map_or(Bucket { upper: 0.0, cumulative: 0.0 }, |before| finite[before]);
        let inside = bucket.cumulative - before.cumulative;
        let share = if inside > 0.0 { (rank - before.cumulative) / inside } else { 0.0 };
        Some(before.upper + (bucket.upper - before.upper) * share)
    }

    /// What was observed between `earlier` and this one. A fall of anything is a change of series: observations are taken
    /// to be not negative, as times and counts are, so that a sum only grows. Bounds that only one of them has are left out, which is
    /// exact for the others since buckets are cumulative.
    pub fn since(&self, earlier: &Self) -> Result<Self, SeriesChanged> {
        let buckets = self.common_buckets(earlier, |now, before| now - before);
        let fell = |now: Option<f64>, before: Option<f64>| matches!((now, before), (Some(n), Some(b)) if n < b);
        let lost = buckets.is_empty() && !(self.buckets.is_empty() && earlier.buckets.is_empty());
        let reset = buckets.iter().any(|bucket| bucket.cumulative < 0.0)
            || fell(self.sum, earlier.sum)
            || fell(self.count(), earlier.count());
        if lost || reset {
            return Err(SeriesChanged);
        }
        let difference = |now: Option<f64>, before: Option<f64>| Some(now? - before?);
        Ok(Self::new(buckets, difference(self.sum, earlier.sum), difference(self.count(), earlier.count())))
    }

    /// Both together, for series that add up (the engines of one replica). Bounds that only one has are left out.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let buckets = self.common_buckets(other, |a, b| a + b);
        let total = |a: Option<f64>, b: Option<f64>| Some(a? + b?);
        Self::new(buckets, total(self.sum, other.sum), total(self.count(), other.count()))
    }

    fn infinite_bucket(&self) -> Option<f64> {
        self.buckets.last().filter(|bucket| bucket.upper == f64::INFINITY).map(|bucket| bucket.cumulative)
    }

    fn common_buckets(&self, other: &Self, combine: impl Fn(f64, f64) -> f64) -> Vec<Bucket> {
        let mut theirs = other.buckets.iter().peekable();
        let mut common = Vec::with_capacity(self.buckets.len());
        for mine in &self.buckets {
            while theirs.next_if(|bucket| bucket.upper < mine.upper).is_some() {}
            if let Some(same) = theirs.next_if(|bucket| bucket.upper == mine.upper) {
                common.push(Bucket { upper: mine.upper, cumulative: combine(mine.cumulative, same.cumulative) });
            }
        }
        common
    }
}

fn is_count(value: f64) -> bool {
    value.is_finite() && value >= 0.0
}

/// Groups samples into histograms by their labels without `le`, in the order of the page. The sample that comes with
/// each is the first one seen of it: use its labels, and not its value. Buckets with an unreadable `le` are left out.
pub fn collect_histograms<'p, 'a: 'p>(
    buckets: impl Iterator<Item = &'p Sample<'a>>,
    sums: impl Iterator<Item = &'p Sample<'a>>,
    counts: impl Iterator<Item = &'p Sample<'a>>,
) -> Vec<(Sample<'a>, Histogram)> {
    let mut groups = Groups::default();
    for sample in buckets {
        let upper = sample.labels.get("le").and_then(|le| number(le.as_bytes()));
        if let Some(upper) = upper {
            groups.of(sample).buckets.push(Bucket { upper, cumulative: sample.value });
        }
    }
    for sample in sums {
        groups.of(sample).sum = Some(sample.value);
    }
    for sample in counts {
        groups.of(sample).count = Some(sample.value);
    }
    groups
        .groups
        .into_iter()
        .map(|group| (group.first, Histogram::new(group.buckets, group.sum, group.count)))
        .collect()
}

struct Group<'a> {
    first: Sample<'a>,
    buckets: Vec<Bucket>,
    sum: Option<f64>,
    count: Option<f64>,
}

/// Groups in the order of the page, and where each label set has its own.
#[derive(Default)]
struct Groups<'a> {
    groups: Vec<Group<'a>>,
    by_key: BTreeMap<String, usize>,
}

impl<'a> Groups<'a> {
    fn of(&mut self, sample: &Sample<'a>) -> &mut Group<'a> {
        // Buckets of one series stand together, so the last group is nearly always the one, and no key is built.
        let same_as_last = self.groups.last().is_some_and(|last| last.first.labels.agree_without(sample.labels, "le"));
        let at = if same_as_last { self.groups.len() - 1 } else { self.find_or_add(sample) };
        &mut self.groups[at]
    }

    fn find_or_add(&mut self, sample: &Sample<'a>) -> usize {
        let next = self.groups.len();
        let at = *self.by_key.entry(sample.labels.key_without(&["le"])).or_insert(next);
        if at == next {
            self.groups.push(Group { first: *sample, buckets: Vec::new(), sum: None, count: None });
        }
        at
    }
}
