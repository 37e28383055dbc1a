//! The search for one knee: the largest rate that still passes. Knows rates and verdicts only.
//!
//! It gallops from a guess until one rate passes and one fails, the first step small, as a guess from neighbouring sizes is
//! mostly near; then it halves the bracket, by logarithm, until its ends are within the tolerance.

/// A search under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Knee {
    /// Largest rate that passed.
    low: Option<f64>,
    /// Smallest rate that failed, here or at a smaller size.
    high: Option<f64>,
    /// Where to begin.
    guess: f64,
    /// Factor of the next step of the gallop.
    step: f64,
    /// How much larger than `low` `high` may be in the end: 1.05 for 5 %.
    ratio: f64,
    /// Rates below this are not tried.
    floor: f64,
    /// Rates above this are not tried.
    roof: f64,
}

/// Steps of the gallop grow up to this factor.
const LONGEST_STEP: f64 = 4.0;

impl Knee {
    /// A search that begins at `guess` with a step of `step` (above 1), within `floor` and `roof`, to a `tolerance` such as
    /// 0.05. `ceiling` is a rate that is known to fail, since a smaller size failed at it.
    #[must_use]
    pub fn new(guess: f64, step: f64, tolerance: f64, (floor, roof): (f64, f64), ceiling: Option<f64>) -> Self {
        let under = ceiling.map_or(roof, |ceiling| (ceiling / step).min(roof)).max(floor);
        Self { low: None, high: ceiling, guess: guess.clamp(floor, under), step, ratio: 1.0 + tolerance, floor, roof }
    }

    /// The next rate to try; none where the knee is found.
    #[must_use]
    pub fn next(&self) -> Option<f64> {
        match (self.low, self.high) {
            (None, None) => Some(self.guess),
            // Nothing has been tried yet where the guess lies below what is known to fail.
            (None, Some(high)) if self.guess < high => Some(self.guess),
            (None, Some(high)) => (high > self.floor).then(|| (high / self.step).max(self.floor)),
            (Some(low), None) => (low < self.roof).then(|| (low * self.step).min(self.roof)),
            (Some(low), Some(high)) if high <= low * self.ratio => None,
            (Some(low), Some(high)) => {
                let middle = (low * high).sqrt();
                // A ceiling far above is galloped to, not bisected down from.
                Some(middle.min((low * self.step).max(low * self.ratio)))
            }
        }
    }

    /// Takes a verdict on the rate that [`Knee::next`] gave.
    pub fn take(&mut self, rate: f64, passed: bool) {
        let bracketed = self.low.is_some() && self.high.is_some();
        if passed {
            self.low = Some(self.low.map_or(rate, |low| low.max(rate)));
        } else {
            self.high = Some(self.high.map_or(rate, |high| high.min(rate)));
        }
        if !bracketed || passed {
            self.step = (self.step * self.step).min(LONGEST_STEP);
        }
    }

    /// The largest rate that passed.
    #[must_use]
    pub fn low(&self) -> Option<f64> {
        self.low
    }

    /// The smallest rate that is known to fail.
    #[must_use]
    pub fn high(&self) -> Option<f64> {
        self.high
    }

    /// About how many rates are still to be tried.
    #[must_use]
    pub fn left(&self) -> u32 {
        let ratio = match (self.low, self.high) {
            (Some(low), Some(high)) => high / low,
            _ => self.step * self.step,
        };
        let halvings = (ratio.ln() / self.ratio.ln()).max(1.0).log2().ceil();
        let bracket = u32::from(self.low.is_none()) + u32::from(self.high.is_none());
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float to integer cast saturates")]
        let halvings = halvings as u32;
        halvings + bracket
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn search(mut knee: Knee, truth: f64) -> (Knee, u32) {
        let mut tries = 0;
        while let Some(rate) = knee.next() {
            knee.take(rate, rate <= truth);
            tries += 1;
            assert!(tries < 100, "{knee:?} does not find {truth}");
        }
        (knee, tries)
    }

    proptest! {
        #[test]
        fn every_knee_is_found_within_the_tolerance(truth in -2.0_f64..3.0, guess in -2.0_f64..3.0, above in 1.001_f64..50.0) {
            let (truth, guess) = (10_f64.powf(truth), 10_f64.powf(guess));
            for ceiling in [None, Some(truth * above)] {
                let (knee, tries) = search(Knee::new(guess, 1.3, 0.05, (1e-3, 1e4), ceiling), truth);
                let (low, high) = (knee.low().unwrap(), knee.high().unwrap());
                prop_assert!(low <= truth && truth < high && high <= low * 1.05 * (1.0 + 1e-9), "{knee:?} {truth}");
                prop_assert!(tries <= 20, "{tries} tries from {guess} to {truth}");
            }
        }

        #[test]
        fn a_good_guess_needs_few_tries(truth in 0.1_f64..100.0, off in 0.8_f64..1.25) {
            let (_, tries) = search(Knee::new(truth * off, 1.3, 0.05, (1e-3, 1e4), None), truth);
            prop_assert!(tries <= 6, "{tries}");
        }
    }

    #[test]
    fn where_nothing_or_everything_passes_the_search_ends_at_its_bounds() {
        let (knee, _) = search(Knee::new(3.0, 1.3, 0.05, (0.1, 50.0), None), 0.0);
        assert_eq!((knee.low(), knee.high()), (None, Some(0.1)));
        let (knee, _) = search(Knee::new(3.0, 1.3, 0.05, (0.1, 50.0), None), 1e9);
        assert_eq!((knee.low(), knee.high()), (Some(50.0), None));
        assert!(
            Knee::new(3.0, 1.3, 0.05, (1.0, 50.0), Some(0.5)).next().is_none(),
            "a smaller size failed below the floor"
        );
    }
}
