//! Sizes from two histograms of lengths. Knows no replica.

use crate::batch::{MAX_TOKENS, Size};
use promtext::Histogram;

/// Most buckets of one side that are told apart; engines have 12 to 30. Of more, neighbours are joined.
const MAX_BUCKETS: usize = 64;

/// The lengths that the growth of a histogram stands for, with counts; their sum is the histogram's.
///
/// A bucket holds whole numbers above the bound below and up to its own. All buckets are read at the same relative place
/// between these, which is chosen so that Σ length × count is `_sum`; the last, unbounded one takes what the others leave
/// at their middle, and at least its lower bound. Without `_sum` the place is the middle.
#[must_use]
pub fn lengths(growth: &Histogram) -> Vec<(f64, f64)> {
    let buckets = bounded(growth);
    let total = growth.sum().filter(|sum| *sum >= 0.0);
    let at = |place: f64| move |bucket: &Bucket| bucket.count * (bucket.low + place * (bucket.high - bucket.low));
    let bounded: Vec<Bucket> = buckets.iter().copied().filter(|bucket| bucket.high.is_finite()).collect();
    let open = buckets.iter().find(|bucket| bucket.high.is_infinite());
    let of_open = open.map(|open| {
        let middle: f64 = bounded.iter().map(at(0.5)).sum();
        let left = total.map_or(open.low, |total| (total - middle) / open.count);
        (left.clamp(open.low, MAX_TOKENS.max(open.low)), open.count)
    });
    let (least, most): (f64, f64) = (bounded.iter().map(at(0.0)).sum(), bounded.iter().map(at(1.0)).sum());
    let rest = total.map(|total| total - of_open.map_or(0.0, |(length, count)| length * count));
    let place =
        rest.map_or(0.5, |rest| if most > least { ((rest - least) / (most - least)).clamp(0.0, 1.0) } else { 0.5 });
    let read = bounded.iter().map(|bucket| (at(place)(bucket) / bucket.count, bucket.count));
    let mut lengths: Vec<(f64, f64)> = read.chain(of_open).collect();
    let sum: f64 = lengths.iter().map(|(length, count)| length * count).sum();
    if let Some(total) = total.filter(|_| sum > 0.0) {
        // Only where buckets and sum contradict each other is this not 1.
        for (length, _) in &mut lengths {
            *length = (*length * (total / sum)).min(MAX_TOKENS);
        }
    }
    lengths
}

/// A bucket that holds something, by the whole numbers in it.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    low: f64,
    high: f64,
    count: f64,
}

fn bounded(growth: &Histogram) -> Vec<Bucket> {
    let (mut below, mut counted) = (None, 0.0);
    let mut buckets = Vec::new();
    for bucket in growth.buckets() {
        let count = bucket.cumulative - counted;
        let low = below.map_or(0.0, |bound: f64| bound.max(-1.0).floor() + 1.0);
        if count > 0.0 {
            let high = if bucket.upper.is_finite() { bucket.upper.floor().max(low) } else { f64::INFINITY };
            buckets.push(Bucket { low: low.min(MAX_TOKENS), high, count });
        }
        (below, counted) = (Some(bucket.upper), bucket.cumulative);
    }
    if buckets.is_empty() {
        // A sum and a count alone are one bucket of everything.
        let count = growth.count().filter(|count| *count > 0.0);
        buckets.extend(count.map(|count| Bucket { low: 0.0, high: f64::INFINITY, count }));
    }
    while buckets.len() > MAX_BUCKETS {
        let last = buckets.len() - 1;
        let (a, b) = (buckets[last - 1], buckets.swap_remove(last));
        buckets[last - 1] = Bucket { low: a.low, high: b.high, count: a.count + b.count };
    }
    buckets
}

/// Sizes from lengths of prompts and of answers, as if the two were independent; the counts add up to `requests`, and mean
/// prompt and mean answer are those of the lengths.
///
/// What comes together cannot be seen in two marginals. Independence keeps every cost that is a sum of one of the prompt and one
/// of the answer exact, and so tokens a second; it loses the covariance: where long prompts have short answers, a cost
/// with input × output is read too high, and where both are long together too low. The fewer requests a marginal is of, the less is lost
/// (with one nothing), so this is done for each replica and scrape by itself.
#[must_use]
pub fn joint(inputs: &[(f64, f64)], outputs: &[(f64, f64)], requests: f64) -> Vec<(Size, f64)> {
    let total = |lengths: &[(f64, f64)]| lengths.iter().map(|(_, count)| count).sum::<f64>();
    let all = total(inputs) * total(outputs);
    if !(all > 0.0 && all.is_finite() && requests > 0.0 && requests.is_finite()) {
        return Vec::new();
    }
    let pair = |&(input, a): &(f64, f64)| {
        outputs.iter().map(move |&(output, b)| (Size { input, output }, requests * (a * b / all)))
    };
    inputs.iter().flat_map(pair).collect()
}
