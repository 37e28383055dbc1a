//! The arrival rate: a decayed mean over observed time, which forgets what came before a significant step. Knows no sizes.

use crate::bins::Bin;

/// A rise has to have lasted this long, in seconds, to be a step: shorter ones are bursts, which nothing that starts
/// replicas can follow, and ten seconds are one interval of AIBrix's traces.
const SHORTEST_RISE: f64 = 10.0;
/// A fall has to have lasted this long, in seconds: believing in one too early costs latency, too late a little money.
const SHORTEST_FALL: f64 = 30.0;
/// What came before has to have been seen this long, in seconds, for there to be a step at all.
const SHORTEST_PAST: f64 = 10.0;
/// Length in seconds of the pieces that dispersion is judged by: bursts of a few seconds count as noise and not as steps.
const PIECE: f64 = 5.0;

/// A rate and how well it is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Estimate {
    /// Arrivals a second.
    pub(crate) rate: f64,
    /// Expected relative standard error, 0 to 1.
    pub(crate) error: f64,
}

/// The rate at the end of the newest bin: Σwn ÷ Σwd over counts n and observed seconds d, w halved each `half_life`.
/// Dividing by the weight of what was observed, and not of all time, makes it unbiased from the first bin on, and a gap
/// change nothing.
pub(crate) fn estimate(bins: &[Bin], half_life: f64) -> Estimate {
    let Some(newest) = bins.last().map(|bin| bin.to) else {
        return Estimate { rate: 0.0, error: 1.0 };
    };
    let decay = std::f64::consts::LN_2 / half_life;
    let weight = |age: f64| (-decay * age.max(0.0)).exp();
    let (mut observed, mut arrived, mut variance) = (0.0, 0.0, 0.0);
    for bin in bins {
        // The integral over the bin: its end weighs more than its beginning.
        let seconds = weight(newest - bin.to) * -(-decay * bin.seconds()).exp_m1() / decay;
        let each = seconds / bin.seconds();
        observed += seconds;
        arrived += each * bin.count;
        variance += each * each * bin.count;
    }
    let error = if arrived > 0.0 { (variance * dispersion(bins)).sqrt() / arrived } else { 1.0 };
    let rate = if observed > 0.0 { arrived / observed } else { 0.0 };
    Estimate { rate, error: error.clamp(0.0, 1.0) }
}

/// The time of the most significant step of the rate within the bins, if its evidence reaches `threshold`: twice the log
/// likelihood ratio of one rate before and one after to a single one, for Poisson counts (the scan statistic of a change
/// point), over the dispersion.
pub(crate) fn step(bins: &[Bin], threshold: f64) -> Option<f64> {
    let (count, seconds) = bins.iter().fold((0.0, 0.0), |(n, d), bin| (n + bin.count, d + bin.seconds()));
    let (mut before_count, mut before_seconds) = (0.0, 0.0);
    let mut best: Option<(f64, f64)> = None;
    for pair in bins.windows(2) {
        before_count += pair[0].count;
        before_seconds += pair[0].seconds();
        let after = ((count - before_count).max(0.0), seconds - before_seconds);
        if !lasted((before_count, before_seconds), after) {
            continue;
        }
        let evidence = evidence((before_count, before_seconds), after);
        if best.is_none_or(|(most, _)| evidence > most) {
            best = Some((evidence, pair[1].from));
        }
    }
    let (evidence, at) = best?;
    // Dispersion is at least 1: where Poisson does not reach the threshold, nothing does.
    (evidence >= threshold && evidence >= threshold * dispersion(bins)).then_some(at)
}

/// Whether both sides of a split were seen long enough.
fn lasted(before: (f64, f64), after: (f64, f64)) -> bool {
    let rises = after.0 * before.1 > before.0 * after.1;
    let shortest = if rises { SHORTEST_RISE } else { SHORTEST_FALL };
    before.1 + 1e-3 >= SHORTEST_PAST && after.1 + 1e-3 >= shortest
}

/// 2 ln of the likelihood ratio: 2 (n₁ ln(r₁ ÷ r) + n₂ ln(r₂ ÷ r)), each side a count and its seconds.
fn evidence(before: (f64, f64), after: (f64, f64)) -> f64 {
    let rate = (before.0 + after.0) / (before.1 + after.1);
    let term = |(count, seconds): (f64, f64)| if count > 0.0 { count * (count / seconds / rate).ln() } else { 0.0 };
    2.0 * (term(before) + term(after))
}

/// How much more the counts vary than Poisson's: 1 for Poisson or less. By neighbours, so that neither a drift nor a step
/// counts (von Neumann's mean square successive difference); the two largest differences, which may be a step's edges,
/// are left out.
fn dispersion(bins: &[Bin]) -> f64 {
    let pieces = pieces(bins);
    let mut terms: Vec<f64> = pieces.windows(2).filter_map(|pair| difference(pair[0], pair[1])).collect();
    if terms.len() < 6 {
        return 1.0;
    }
    terms.sort_by(f64::total_cmp);
    terms.truncate(terms.len() - 2);
    (terms.iter().sum::<f64>() / terms.len() as f64).max(1.0)
}

/// The squared difference of two neighbours' rates over what Poisson counts would give: 1 on average.
fn difference((a, of_a): (f64, f64), (b, of_b): (f64, f64)) -> Option<f64> {
    let rate = (a + b) / (of_a + of_b);
    (rate > 0.0).then(|| (a / of_a - b / of_b).powi(2) / (rate * (1.0 / of_a + 1.0 / of_b)))
}

/// Counts and seconds of pieces of at least [`PIECE`] seconds.
fn pieces(bins: &[Bin]) -> Vec<(f64, f64)> {
    let mut pieces: Vec<(f64, f64)> = Vec::new();
    for bin in bins {
        match pieces.last_mut() {
            Some(last) if last.1 + 1e-3 < PIECE => {
                last.0 += bin.count;
                last.1 += bin.seconds();
            }
            _ => pieces.push((bin.count, bin.seconds())),
        }
    }
    pieces
}
