//! The decider against a naive one that keeps every sample in a list and follows the published rules word for word.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the reference is written as the published rules are, on small numbers"
)]

mod common;

use autoscaler_core::spec::{Kpa, Strategy, Tolerance};
use autoscaler_core::window::buckets::{Averaging, Buckets};
use autoscaler_core::{Span, Spec};
use common::*;
use proptest::prelude::*;

/// Every sample since the window began, by second.
#[derive(Default)]
struct Window {
    length: i64,
    samples: Vec<(i64, f64)>,
}

impl Window {
    fn last(&self) -> Option<i64> {
        self.samples.iter().map(|&(second, _)| second).max()
    }

    fn record(&mut self, second: i64, value: f64) {
        if let Some(last) = self.last() {
            if second <= last - self.length {
                return;
            }
            if second - last >= self.length {
                self.samples.clear();
            }
        }
        self.samples.push((second, value));
    }

    fn silent(&self, now: i64) -> bool {
        self.last().is_none_or(|last| now - last > self.length)
    }

    fn inside(&self, now: i64) -> impl Iterator<Item = (i64, f64)> + '_ {
        let end = self.last().unwrap_or(now).max(now);
        self.samples.iter().copied().filter(move |&(second, _)| second > end - self.length)
    }

    fn linear(&self, now: i64) -> f64 {
        let Some(last) = self.last().filter(|last| now - last < self.length) else { return 0.0 };
        let first = self.samples.iter().map(|&(second, _)| second).min().unwrap();
        let stale = (now - last).max(0);
        let divisor = (last - first + 1).min(self.length - stale);
        let sum: f64 = self.inside(now).map(|(_, value)| value).sum();
        (sum / divisor as f64 * 1e6).floor() / 1e6
    }

    fn weighted(&self, now: i64) -> f64 {
        if self.silent(now) {
            return 0.0;
        }
        let share = (1.0 - 0.0001_f64.powf(1.0 / self.length as f64)).max(0.2);
        let end = self.last().unwrap_or(now).max(now);
        let weight = |second: i64| share * (1.0 - share).powf((end - second) as f64);
        self.inside(now).map(|(second, value)| value * weight(second)).sum()
    }
}

/// The decider of the reference, section by section.
struct Decider {
    settings: Kpa,
    target: f64,
    stable: Window,
    panic: Window,
    // In milliseconds: a sum of seconds in floating point would miss the edge of the window.
    panic_since: Option<i64>,
    max_panic: f64,
    delayed: Vec<(i64, f64)>,
}

impl Decider {
    fn new(settings: Kpa, target: f64, now: f64, ready: u32) -> Self {
        let window = |span: Span| Window { length: span.as_secs() as i64, samples: Vec::new() };
        Self {
            stable: window(settings.stable_window),
            panic: window(settings.panic_window),
            panic_since: (ready > 1).then_some(millis(now)),
            max_panic: f64::from(ready),
            delayed: Vec::new(),
            settings,
            target,
        }
    }

    fn record(&mut self, now: f64, value: f64) {
        self.stable.record(now.floor() as i64, value);
        self.panic.record(now.floor() as i64, value);
    }

    /// The count, whether panic is on, and the excess burst capacity.
    fn decide(&mut self, now: f64, ready: u32) -> Option<(u32, bool, f64)> {
        let second = now.floor() as i64;
        if self.stable.silent(second) {
            return None;
        }
        let (stable, panic) = (self.stable.linear(second), self.panic.linear(second));
        let r = f64::from(ready).max(1.0);
        let up = (self.settings.max_scale_up_rate * r).ceil();
        let down = (r / self.settings.max_scale_down_rate).floor();
        let (ds, dp) = ((stable / self.target).ceil(), (panic / self.target).ceil());
        let activation = f64::from(self.settings.activation_scale);
        let bounded = |d: f64| {
            let s = d.max(down).min(up);
            if activation > 1.0 && d > 0.0 { s.max(activation) } else { s }
        };
        let over = dp / r >= self.settings.panic_threshold;
        if over {
            self.panic_since = Some(millis(now));
        } else if self.panic_since.is_some_and(|since| since + self.stable.length * 1000 < millis(now)) {
            self.panic_since = None;
            self.max_panic = 0.0;
        }
        let mut wanted = bounded(ds);
        if self.panic_since.is_some() {
            self.max_panic = self.max_panic.max(wanted).max(bounded(dp));
            wanted = self.max_panic;
        }
        let delay = self.settings.scale_down_delay.as_secs();
        if delay > 0.0 {
            let bucket = second.div_euclid(2);
            self.delayed.push((bucket, wanted));
            let oldest = bucket - (delay / 2.0).ceil() as i64;
            wanted = self.delayed.iter().filter(|&&(at, _)| at > oldest).map(|&(_, value)| value).fold(0.0, f64::max);
        }
        let reserve = self.settings.target_burst_capacity.unwrap_or(0.0);
        let excess = if reserve == 0.0 {
            0.0
        } else if reserve < 0.0 {
            -1.0
        } else {
            (f64::from(ready) * self.settings.total.unwrap() - reserve - panic).floor()
        };
        Some((wanted as u32, self.panic_since.is_some(), excess))
    }
}

fn millis(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

/// One turn: milliseconds since the last, quarters of load where there is a sample, ready replicas, whether to decide.
type Turn = (u32, Option<u32>, u32, bool);

fn turn() -> impl proptest::strategy::Strategy<Value = Turn> {
    let pause = prop_oneof![8 => 100_u32..2_500, 1 => 2_500_u32..12_000, 1 => Just(30_000_u32), 1 => Just(1_000_u32)];
    (pause, proptest::option::weighted(0.8, 0_u32..4_000), 0_u32..30, proptest::bool::weighted(0.7))
}

prop_compose! {
    fn settings()(
        stable in 6_i64..60,
        panic in 1_i64..6,
        threshold in prop_oneof![Just(2.0), 1.1_f64..3.0],
        up in prop_oneof![Just(1000.0), 1.1_f64..4.0],
        down in 1.1_f64..4.0,
        delay in 0_i64..20,
        activation in 1_u32..5,
        reserve in prop_oneof![Just(0.0), Just(-1.0), Just(211.0)],
        ready in 0_u32..10,
    ) -> Kpa {
        Kpa {
            stable_window: Span::secs(stable),
            panic_window: Span::secs(panic),
            panic_threshold: threshold,
            max_scale_up_rate: up,
            max_scale_down_rate: down,
            scale_down_delay: Span::secs(delay),
            activation_scale: activation,
            target_burst_capacity: Some(reserve),
            total: Some(14.0),
            initial_ready: Some(ready),
            ..knative()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_decider_agrees_with_the_naive_one(
        settings in settings(),
        target in 1_u32..80,
        turns in proptest::collection::vec(turn(), 1..120),
    ) {
        let target = f64::from(target) / 4.0;
        let spec = Spec {
            tolerance: Tolerance::both(0.0),
            bounds: autoscaler_core::spec::Bounds { min: 0, max: u32::MAX },
            ..spec(Strategy::Kpa(settings.clone()), vec![external(target)])
        };
        let mut lone = Lone::new(spec);
        let ready = settings.initial_ready.unwrap();
        let mut millis = 1_000_000_u32;
        let mut naive: Option<Decider> = None;
        for (index, (pause, quarters, replicas, decides)) in turns.into_iter().enumerate() {
            millis += pause;
            let now = f64::from(millis) / 1000.0;
            let naive = naive.get_or_insert_with(|| Decider::new(settings.clone(), target, now, ready));
            let mut seen = seen(replicas);
            if let Some(quarters) = quarters {
                let value = f64::from(quarters) / 4.0;
                naive.record(now, value);
                seen = seen.total(value);
            }
            if !decides {
                lone.record(now, seen);
                continue;
            }
            let decision = lone.step(now, seen);
            let expected = naive.decide(now, replicas);
            let found = decision
                .recommendation
                .map(|wanted| (wanted, decision.panic, decision.kpa.unwrap().excess_burst_capacity));
            prop_assert_eq!(found, expected, "turn {} at {} s", index, now);
        }
    }

    #[test]
    fn both_averages_agree_with_the_naive_ones(
        length in 1_i64..70,
        writes in proptest::collection::vec((-3_i64..9, 0_u32..1_000, 0_i64..80), 1..200),
    ) {
        let mut buckets = Buckets::new(usize::try_from(length).unwrap());
        let mut naive = Window { length, samples: Vec::new() };
        let mut second = 1_000;
        for (step, value, ahead) in writes {
            // Now and then a sample comes late.
            second += step;
            buckets.record(at(second as f64), f64::from(value));
            naive.record(second, f64::from(value));
            let now = naive.last().unwrap().max(second) + ahead;
            let then = at(now as f64);
            prop_assert_eq!(buckets.is_silent(then, false), naive.silent(now));
            prop_assert_eq!(buckets.average(then, Averaging::Linear), naive.linear(now), "at {}", now);
            let (found, expected) = (buckets.average(then, Averaging::WeightedExponential), naive.weighted(now));
            prop_assert!((found - expected).abs() < 1e-9 * expected.max(1.0), "{} is not {} at {}", found, expected, now);
        }
    }
}
