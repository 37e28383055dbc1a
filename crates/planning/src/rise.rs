//! A load that still rises when it is first seen is carried on for a horizon.
//!
//! Who has looked for a minute has no distribution of what comes in five, only the way it has gone so far: a mean of that minute would
//! ask for what is needed now, and have it when it is needed no more. What is no steeper than chance is not carried on.

use std::collections::VecDeque;

/// The requests a second of late.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Rise {
    /// When a look was, how long it was, and what it saw a second.
    looks: VecDeque<(f64, f64, f64)>,
}

/// Seconds that are looked back on: what rises for longer shows in the levels.
const BACK: f64 = 120.0;
/// Looks, and requests in them, below which nothing can be told.
const LEAST: (usize, f64) = (4, 10.0);
/// Standard errors that are taken off a slope.
const DOUBT: f64 = 0.5;
/// A load is not carried on beyond so many times of itself.
const STEEPEST: f64 = 8.0;
/// Most looks that are remembered: one a second.
const LOOKS: usize = 120;

impl Rise {
    /// Takes what a look saw.
    pub(crate) fn observe(&mut self, now: f64, passed: f64, requests: f64) {
        self.looks.push_back((now, passed, requests));
        while self.looks.len() > LOOKS || self.looks.front().is_some_and(|(at, ..)| now - at > BACK) {
            self.looks.pop_front();
        }
    }

    /// By how much the load of a horizon from now is above the mean of what was seen; 1 where it does not clearly rise, or does no
    /// more: a step has a slope, too, but its later half has none.
    pub(crate) fn ahead(&self, horizon: f64) -> f64 {
        let half = self.looks.len() / 2;
        let (Some(all), Some(later)) = (Line::of(&self.looks.range(..)), Line::of(&self.looks.range(half..))) else {
            return 1.0;
        };
        if self.looks.len() < LEAST.0 || all.mean * all.seconds < LEAST.1 {
            return 1.0;
        }
        let last = self.looks.back().map_or(all.middle, |(at, ..)| *at);
        let slope = (all.slope - DOUBT * all.error).min(later.slope);
        let ahead = 1.0 + slope * (last - all.middle + horizon) / all.mean;
        if ahead.is_finite() { ahead.clamp(1.0, STEEPEST) } else { 1.0 }
    }
}

/// A line through looks, by least squares, each weighed by its length.
struct Line {
    /// Seconds that were looked at, the middle of them, and the mean rate.
    seconds: f64,
    middle: f64,
    mean: f64,
    slope: f64,
    /// The slope's standard error.
    error: f64,
}

impl Line {
    fn of<'a>(looks: &(impl Iterator<Item = &'a (f64, f64, f64)> + Clone)) -> Option<Self> {
        let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
            looks.clone().map(|(at, passed, rate)| passed * of(at - passed / 2.0, *rate)).sum()
        };
        let (count, seconds) = (looks.clone().count(), sum(&|_, _| 1.0));
        let (middle, mean) = (sum(&|at, _| at) / seconds, sum(&|_, rate| rate) / seconds);
        let spread = sum(&|at, _| (at - middle).powi(2));
        let slope = sum(&|at, rate| (at - middle) * (rate - mean)) / spread;
        let left = sum(&|at, rate| (rate - mean - slope * (at - middle)).powi(2));
        // Per second of looking; requests that come by chance alone scatter as their mean (Poisson).
        let scatter = (left / count.saturating_sub(2).max(1) as f64).max(mean);
        let error = (scatter / spread).sqrt();
        [slope, error, mean].iter().all(|value| value.is_finite()).then_some(Self {
            seconds,
            middle,
            mean,
            slope,
            error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(rate: impl Fn(f64) -> f64) -> Rise {
        let mut rise = Rise::default();
        for step in 1..=12 {
            let at = 5.0 * f64::from(step);
            rise.observe(at, 5.0, rate(at));
        }
        rise
    }

    #[test]
    fn what_rises_is_carried_on_and_what_stands_or_falls_is_not() {
        let rising = seen(|at| at / 10.0);
        assert!((4.0..=6.5).contains(&rising.ahead(120.0)), "{}", rising.ahead(120.0));
        assert!(rising.ahead(30.0) < rising.ahead(120.0));
        // The first look may have seen a part of its time, and a load may begin all at once.
        let step = |from: f64| seen(move |at| if at <= from { 0.0 } else { 12.0 });
        for flat in [
            step(5.0),
            step(30.0),
            seen(|_| 4.0),
            seen(|at| 12.0 - at / 10.0),
            seen(|at| if at % 10.0 < 5.0 { 2.0 } else { 6.0 }),
        ] {
            assert!(flat.ahead(120.0) <= 1.0 + 1e-9, "{}", flat.ahead(120.0));
        }
    }

    #[test]
    fn a_few_requests_and_numbers_that_cannot_be_say_nothing() {
        assert!((seen(|at| at / 500.0).ahead(120.0) - 1.0).abs() < 1e-9);
        assert!((seen(|_| f64::NAN).ahead(120.0) - 1.0).abs() < 1e-9);
        assert!((Rise::default().ahead(120.0) - 1.0).abs() < 1e-9);
        let mut still = Rise::default();
        (0..9).for_each(|_| still.observe(7.0, 0.0, 1e6));
        assert!((still.ahead(1e9) - 1.0).abs() < 1e-9);
    }
}
