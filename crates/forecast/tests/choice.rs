//! What is chosen for which load, and how well the bounds hold.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{Noise, forecaster, middle};
use forecast::{Forecast, Forecaster};

fn loss(forecast: &Forecast, name: &str) -> f64 {
    forecast.candidates.iter().find(|one| one.name == name).and_then(|one| one.loss).unwrap()
}

fn weight(forecast: &Forecast, name: &str) -> f64 {
    forecast.candidates.iter().find(|one| one.name == name).map_or(0.0, |one| one.weight)
}

fn after_one(forecaster: &mut Forecaster, index: usize, load: f64) -> Forecast {
    let at = middle(forecaster.settings().step, index);
    forecaster.observe(at, load).unwrap();
    forecaster.forecast(at)
}

/// Shows `loads` one by one and gives the forecast after the last.
fn after(forecaster: &mut Forecaster, loads: impl IntoIterator<Item = f64>) -> Forecast {
    let step = forecaster.settings().step;
    let mut last = 0.0;
    for (index, load) in loads.into_iter().enumerate() {
        last = middle(step, index);
        forecaster.observe(last, load).unwrap();
    }
    forecaster.forecast(last)
}

#[test]
fn a_trend_beats_persistence_on_a_ramp() {
    for horizon in [30.0, 120.0, 300.0] {
        let mut noise = Noise(1);
        let mut forecaster = forecaster(10.0, horizon);
        let forecast =
            after(&mut forecaster, (0..600).map(|index| 2.0 + f64::from(index) * 0.1 + 0.2 * noise.normal()));
        assert!(forecast.chosen.starts_with("trend"), "{horizon}: {}", forecast.why);
        assert!(loss(&forecast, forecast.chosen) < 0.7 * loss(&forecast, "persistence"), "{}", forecast.why);
        let truth = 2.0 + (599.0 + horizon / 10.0) * 0.1;
        assert!(
            (truth - 0.5..truth * 1.2).contains(&forecast.at_horizon),
            "{horizon}: {} of {truth}",
            forecast.at_horizon
        );
    }
}

#[test]
fn a_level_beats_persistence_on_white_noise() {
    for horizon in [30.0, 300.0] {
        let mut noise = Noise(2);
        let mut forecaster = forecaster(10.0, horizon);
        let mut bounds = Vec::new();
        for index in 0..4000 {
            let forecast = after_one(&mut forecaster, index, 10.0 + 2.0 * noise.normal());
            if index >= 1000 {
                assert!(forecast.chosen.starts_with("level") || forecast.chosen == "blend", "{}", forecast.why);
                assert!(loss(&forecast, forecast.chosen) < 0.8 * loss(&forecast, "persistence"), "{}", forecast.why);
                assert!(forecast.peak_until_horizon > forecast.at_horizon);
                bounds.push(forecast.at_horizon);
            }
        }
        // the 0.9 quantile of the noise is 10 + 2 × 1.28
        let mean = bounds.iter().sum::<f64>() / bounds.len() as f64;
        assert!((12.3..12.9).contains(&mean), "{horizon}: {mean}");
    }
}

/// How often the two bounds held, and how often the choice changed, once there was enough history.
struct Held {
    at_horizon: f64,
    peak: f64,
    switches: usize,
}

fn judge(loads: &[f64], step: f64, horizon: f64, skip: usize) -> Held {
    let ahead = (1..1000_u16).find(|ahead| f64::from(*ahead) * step >= horizon).map(usize::from).unwrap();
    let mut forecaster = forecaster(step, horizon);
    let (mut at_horizon, mut peak, mut count, mut choices) = (0, 0, 0, Vec::new());
    for (index, load) in loads.iter().enumerate() {
        forecaster.observe(middle(step, index), *load).unwrap();
        if index < skip || index + ahead >= loads.len() {
            continue;
        }
        let forecast = forecaster.forecast(middle(step, index));
        assert!(forecast.enough, "{}", forecast.why);
        count += 1;
        at_horizon += u32::from(loads[index + ahead] <= forecast.at_horizon);
        peak += u32::from(loads[index + 1..=index + ahead].iter().all(|load| *load <= forecast.peak_until_horizon));
        choices.push(forecast.chosen);
    }
    let share = |held: u32| f64::from(held) / f64::from(count);
    let switches = choices.windows(2).filter(|two| two[0] != two[1]).count();
    Held { at_horizon: share(at_horizon), peak: share(peak), switches }
}

/// Office hours: up within 40 minutes at eight, down at eighteen.
fn office(step: f64, index: usize, noise: &mut Noise) -> f64 {
    let hour = (middle(step, index) / 3600.0) % 24.0;
    let share = ((hour - 8.0) / 0.66).clamp(0.0, 1.0) - ((hour - 18.0) / 0.66).clamp(0.0, 1.0);
    (5.0 + 45.0 * share) * (1.0 + 0.03 * noise.normal())
}

#[test]
fn a_season_is_chosen_after_two_days_and_not_before() {
    let (step, horizon, day) = (60.0, 900.0, 1440);
    let mut forecaster = forecaster(step, horizon);
    let mut noise = Noise(3);
    let mut missed = Vec::new();
    for index in 0..5 * day {
        forecaster.observe(middle(step, index), office(step, index, &mut noise)).unwrap();
        let forecast = forecaster.forecast(middle(step, index));
        if index < 2 * day - 1 {
            assert_ne!(forecast.chosen, "seasonal-day", "step {index}");
            assert_eq!(weight(&forecast, "seasonal-day"), 0.0, "step {index}");
        } else if index == 2 * day + day / 2 {
            assert_eq!(forecast.chosen, "seasonal-day", "{}", forecast.why);
        }
        // five minutes before the load begins to rise, each day; ten minutes into the rise it is 16.4
        if index % day == 7 * 60 + 55 {
            missed.push(16.4 - forecast.mean);
        }
    }
    assert!(missed[1] > 10.0 && missed[3] < missed[1] / 2.0 && missed[4] < missed[1] / 2.0, "{missed:?}");
}

#[test]
fn a_season_that_is_not_there_is_not_chosen() {
    let mut noise = Noise(4);
    let mut forecaster = forecaster(60.0, 600.0);
    let forecast = after(&mut forecaster, (0..5 * 1440).map(|_| 10.0 + 2.0 * noise.normal()));
    assert!(!forecast.chosen.starts_with("seasonal"), "{}", forecast.why);
    let best = forecast.candidates.iter().filter_map(|one| one.loss).fold(f64::INFINITY, f64::min);
    assert!(loss(&forecast, forecast.chosen) < 1.05 * best, "{}", forecast.why);
}

/// A load at a time.
type Load = fn(&mut Noise, f64) -> f64;

#[test]
fn nine_of_ten_loads_stay_below_the_bound() {
    let stationary: Load = |noise, _| 20.0 + 4.0 * noise.normal();
    // up and down by half within four hours
    let drifting: Load = |noise, at| (20.0 + 10.0 * (at / 2292.0).sin()) * (1.0 + 0.2 * noise.normal());
    // to twice the load within two days
    let growing: Load = |noise, at| 10.0 * (1.0 + at / 172_800.0) + 3.0 * noise.normal();
    let kinds: [(&str, Load); 3] = [("stationary", stationary), ("drifting", drifting), ("growing", growing)];
    for (kind, load) in kinds {
        for horizon in [30.0, 120.0, 300.0] {
            let mut noise = Noise(5);
            let loads: Vec<f64> = (0..12_000).map(|index| load(&mut noise, middle(10.0, index)).max(0.0)).collect();
            let held = judge(&loads, 10.0, horizon, 360);
            assert!((0.86..=0.94).contains(&held.at_horizon), "{kind}, {horizon} s: {}", held.at_horizon);
            assert!((0.86..=0.94).contains(&held.peak), "{kind}, {horizon} s: peak {}", held.peak);
        }
    }
}

#[test]
fn a_jump_is_followed_within_five_steps() {
    let mut noise = Noise(10);
    let mut forecaster = forecaster(10.0, 120.0);
    let before = after(&mut forecaster, (0..3000).map(|_| 10.0 + 2.0 * noise.normal()));
    assert!(before.at_horizon < 15.0, "{}", before.why);
    for index in 3000..3100 {
        let forecast = after_one(&mut forecaster, index, 30.0 + 2.0 * noise.normal());
        if index >= 3005 {
            assert!(forecast.at_horizon > 29.0, "{index}: {} {}", forecast.at_horizon, forecast.why);
            assert!(forecast.at_horizon < 60.0, "{index}: {} {}", forecast.at_horizon, forecast.why);
        }
    }
}

#[test]
fn the_choice_does_not_flap() {
    for seed in 6..9 {
        let mut noise = Noise(seed);
        let loads: Vec<f64> = (0..12_000).map(|_| (5.0 + 2.0 * noise.normal()).max(0.0)).collect();
        let held = judge(&loads, 10.0, 120.0, 360);
        assert!(held.switches <= 4, "seed {seed}: {} switches in 32 hours", held.switches);
    }
}
