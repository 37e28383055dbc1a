//! What must hold for any input: gaps, zeros, nonsense, restarts, other settings, and states from a stranger.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{Noise, forecaster, middle};
use forecast::{Event, Forecast, Forecaster, Refused, RestoreError, Settings, State};
use proptest::prelude::*;

fn json(forecaster: &Forecaster) -> String {
    serde_json::to_string(&forecaster.state()).unwrap()
}

fn restored(settings: &Settings, text: &str) -> Result<Forecaster, RestoreError> {
    Forecaster::restore(settings.clone(), serde_json::from_str::<State>(text).unwrap())
}

fn sound(forecast: &Forecast) {
    for value in [forecast.mean, forecast.at_horizon, forecast.peak_until_horizon] {
        assert!(value.is_finite() && value >= 0.0, "{forecast:?}");
    }
    assert!(forecast.peak_until_horizon >= forecast.at_horizon, "{forecast:?}");
    let weights: f64 = forecast.candidates.iter().map(|one| one.weight).sum();
    assert!(weights == 0.0 || (weights - 1.0).abs() < 1e-9, "{forecast:?}");
}

fn noisy(forecaster: &mut Forecaster, steps: std::ops::Range<usize>) {
    let mut noise = Noise(11);
    for index in steps {
        let at = middle(forecaster.settings().step, index);
        forecaster.observe(at, (10.0 + 2.0 * noise.normal()).max(0.0)).unwrap();
    }
}

#[test]
fn nothing_observed_is_nothing_claimed() {
    let forecast = forecaster(10.0, 120.0).forecast(1e9);
    assert_eq!((forecast.chosen, forecast.enough, forecast.age), ("none", false, None));
    assert_eq!((forecast.at_horizon, forecast.peak_until_horizon), (0.0, 0.0));
}

#[test]
fn what_is_refused_changes_nothing() {
    let mut forecaster = forecaster(10.0, 120.0);
    forecaster.observe(1000.0, 5.0).unwrap();
    let before = json(&forecaster);
    let cases = [
        (1010.0, f64::NAN, Refused::Value),
        (1010.0, f64::INFINITY, Refused::Value),
        (1010.0, -0.1, Refused::Value),
        (1010.0, 1e300, Refused::Value),
        (f64::NAN, 1.0, Refused::Time),
        (f64::INFINITY, 1.0, Refused::Time),
        (1e13, 1.0, Refused::Time),
        (999.0, 1.0, Refused::Late),
    ];
    for (at, value, why) in cases {
        assert_eq!(forecaster.observe(at, value), Err(why), "{at} {value}");
    }
    assert_eq!(json(&forecaster), before);
}

#[test]
fn settings_out_of_range_are_named() {
    let event = |start, end, factor| vec![Event { name: "sale".into(), start, end, factor }];
    let usual = Settings::default;
    let cases = [
        (Settings { step: 0.0, ..usual() }, "step: 0 is not allowed; allowed is 1 to 300"),
        (Settings { step: f64::NAN, ..usual() }, "step: NaN is not allowed; allowed is 1 to 300"),
        (Settings { horizon: 0.0, ..usual() }, "horizon: 0 is not allowed; allowed is above 0 and at most 3600"),
        (Settings { horizon: 3601.0, ..usual() }, "horizon: 3601 is not allowed; allowed is above 0 and at most 3600"),
        (Settings { quantile: 0.4, ..usual() }, "quantile: 0.4 is not allowed; allowed is 0.5 to 0.99"),
        (Settings { season: Some(60.0), ..usual() }, "season: 60 is not allowed; allowed is 600 to 604800"),
        (
            Settings { events: event(0.0, 1.0, 0.0), ..usual() },
            "events[0].factor: 0 is not allowed; allowed is 0.01 to 100",
        ),
        (
            Settings { events: event(5.0, 1.0, 2.0), ..usual() },
            "events[0].end: 1 is not allowed; allowed is 5 or later",
        ),
        (
            Settings { events: vec![event(0.0, 1.0, 2.0)[0].clone(); 257], ..usual() },
            "events: 257 are too many; at most 256 are allowed",
        ),
    ];
    for (settings, message) in cases {
        assert_eq!(Forecaster::new(settings).unwrap_err().to_string(), message);
    }
}

#[test]
fn no_load_is_forecast_as_none_and_a_first_burst_is_survived() {
    let mut forecaster = forecaster(10.0, 120.0);
    for index in 0..1000 {
        forecaster.observe(middle(10.0, index), 0.0).unwrap();
    }
    let quiet = forecaster.forecast(10_000.0);
    assert!(quiet.enough, "{}", quiet.why);
    assert_eq!((quiet.at_horizon, quiet.peak_until_horizon), (0.0, 0.0));
    for index in 1000..1400 {
        forecaster.observe(middle(10.0, index), if index % 100 < 20 { 5.0 } else { 0.0 }).unwrap();
        let forecast = forecaster.forecast(middle(10.0, index));
        sound(&forecast);
        assert!(forecast.at_horizon < 50.0, "{forecast:?}");
    }
}

#[test]
fn a_constant_load_is_forecast_as_it_is() {
    let mut forecaster = forecaster(10.0, 120.0);
    for index in 0..500 {
        forecaster.observe(middle(10.0, index), 7.0).unwrap();
    }
    let forecast = forecaster.forecast(4995.0);
    assert!(forecast.enough && (forecast.at_horizon - 7.0).abs() < 1e-2, "{forecast:?}");
    assert!((forecast.peak_until_horizon - 7.0).abs() < 1e-2, "{forecast:?}");
}

#[test]
fn too_little_history_means_the_last_value_and_head_room() {
    let mut forecaster = forecaster(10.0, 120.0);
    noisy(&mut forecaster, 0..20);
    forecaster.observe(205.0, 10.0).unwrap();
    let forecast = forecaster.forecast(205.0);
    assert_eq!((forecast.enough, forecast.chosen, forecast.mean), (false, "persistence", 10.0));
    // 1.2 × 10, and 1.28 times twice the deviation of a Poisson count over ten seconds, which is 1
    assert!((forecast.at_horizon - (12.0 + 2.0 * 1.2816)).abs() < 1e-2, "{}", forecast.at_horizon);
    assert!(forecast.peak_until_horizon > forecast.at_horizon + 1.0);
}

#[test]
fn a_gap_is_no_load_of_zero_and_an_old_value_is_no_basis() {
    let mut forecaster = forecaster(10.0, 120.0);
    noisy(&mut forecaster, 0..1000);
    let before = forecaster.forecast(10_000.0);
    let later = forecaster.forecast(10_000.0 + 3600.0);
    assert!(before.enough && !later.enough, "{}", later.why);
    assert!(later.at_horizon > 6.0, "{later:?}");
    assert_eq!(later.age.map(f64::floor), Some(3605.0));
    noisy(&mut forecaster, 1360..1380);
    let after = forecaster.forecast(13_800.0);
    assert!(after.enough && (after.mean - 10.0).abs() < 2.0, "{after:?}");
    assert!(after.at_horizon < 1.5 * before.at_horizon && after.at_horizon > 10.0, "{after:?}");
}

#[test]
fn observations_from_the_future_are_no_basis() {
    let mut forecaster = forecaster(10.0, 120.0);
    noisy(&mut forecaster, 0..1000);
    let forecast = forecaster.forecast(5000.0);
    assert!(!forecast.enough && forecast.why.contains("later than now"), "{}", forecast.why);
}

#[test]
fn several_observations_of_one_step_are_its_mean() {
    let (mut twice, mut once) = (forecaster(10.0, 60.0), forecaster(10.0, 60.0));
    for index in 0..200 {
        let at = f64::from(index) * 10.0;
        twice.observe(at + 1.0, 4.0 + f64::from(index % 3)).unwrap();
        twice.observe(at + 6.0, 8.0 + f64::from(index % 3)).unwrap();
        once.observe(at + 6.0, 6.0 + f64::from(index % 3)).unwrap();
    }
    assert_eq!(twice.forecast(2000.0), once.forecast(2000.0));
}

#[test]
fn an_event_multiplies_and_is_not_learnt_as_the_usual_load() {
    let events = vec![
        Event { name: "launch".into(), start: 20_000.0, end: 22_000.0, factor: 3.0 },
        Event { name: "campaign".into(), start: 21_000.0, end: 21_500.0, factor: 2.0 },
    ];
    let settings = Settings { events, ..Settings::default() };
    let mut with = Forecaster::new(settings).unwrap();
    let mut without = forecaster(10.0, 120.0);
    for index in 0..2300 {
        let at = middle(10.0, index);
        let factor = if (20_000.0..22_000.0).contains(&at) { 3.0 } else { 1.0 };
        let factor = factor * if (21_000.0..21_500.0).contains(&at) { 2.0 } else { 1.0 };
        let base = if index % 2 == 0 { 8.0 } else { 12.0 };
        with.observe(at, base * factor).unwrap();
        without.observe(at, base).unwrap();
        let (with, without) = (with.forecast(at), without.forecast(at));
        let expected = match at + 120.0 {
            to if (21_000.0 - 10.0..21_500.0).contains(&to) => (6.0, Some("launch, campaign")),
            to if (20_000.0 - 10.0..22_000.0).contains(&to) => (3.0, None),
            to if to < 19_900.0 => (1.0, Some("")),
            _ => continue,
        };
        assert!((with.at_horizon / without.at_horizon - expected.0).abs() < 1e-6, "{at}: {with:?}");
        match expected.1 {
            Some("") => assert_eq!(with.event, None),
            Some(names) => assert_eq!(with.event.as_deref(), Some(names)),
            None => assert!(with.event.is_some()),
        }
    }
}

#[test]
fn another_horizon_is_tested_on_the_history_that_is_kept() {
    let mut forecaster = forecaster(10.0, 120.0);
    noisy(&mut forecaster, 0..2000);
    let before = forecaster.forecast(20_000.0);
    forecaster.set_horizon(126.0);
    assert_eq!(
        forecaster.forecast(20_000.0).candidates[0].loss,
        before.candidates[0].loss,
        "a little is no other horizon"
    );
    for horizon in [f64::NAN, 0.0, -5.0, f64::INFINITY] {
        forecaster.set_horizon(horizon);
        assert_eq!(forecaster.settings().horizon, 126.0, "{horizon}");
    }
    forecaster.set_horizon(300.0);
    let after = forecaster.forecast(20_000.0);
    assert!(after.enough && after.why.contains("300 s"), "{}", after.why);
    assert!(after.peak_until_horizon > before.peak_until_horizon, "more steps have a higher maximum");
    let mut fresh = common::forecaster(10.0, 300.0);
    noisy(&mut fresh, 0..2000);
    assert_eq!(fresh.forecast(20_000.0), after, "as if it had been that horizon from the start");
    forecaster.set_horizon(1e9);
    assert_eq!(forecaster.settings().horizon, 3600.0);
}

#[test]
fn other_settings_keep_the_history() {
    let mut forecaster = forecaster(10.0, 120.0);
    noisy(&mut forecaster, 0..3000);
    let bounds = |forecaster: &Forecaster| forecaster.forecast(30_000.0).at_horizon;
    let nine = bounds(&forecaster);
    forecaster.configure(Settings { quantile: 0.5, ..Settings::default() }).unwrap();
    let half = bounds(&forecaster);
    assert!(nine > half + 1.0, "{nine} {half}");
    forecaster.configure(Settings { step: 30.0, ..Settings::default() }).unwrap();
    let longer = forecaster.forecast(30_000.0);
    assert!(longer.enough && longer.at_horizon < nine, "a mean of thirty seconds varies less: {longer:?}");
    forecaster.configure(Settings { step: 5.0, ..Settings::default() }).unwrap();
    assert!(forecaster.forecast(30_000.0).enough);
    let kept = forecaster.settings().clone();
    assert!(forecaster.configure(Settings { step: 0.5, ..Settings::default() }).is_err());
    assert_eq!(*forecaster.settings(), kept);
}

#[test]
fn a_restored_forecaster_answers_as_the_original_would() {
    let settings = Settings { horizon: 90.0, ..Settings::default() };
    let mut original = Forecaster::new(settings.clone()).unwrap();
    let mut noise = Noise(12);
    let mut load = |index: usize| if index % 50 == 7 { f64::NAN } else { 9.0 + 3.0 * noise.uniform() };
    for index in 0..1500 {
        let _refused = original.observe(middle(10.0, index), load(index));
    }
    let mut copy = restored(&settings, &json(&original)).unwrap();
    assert_eq!(copy, original);
    for index in 1500..2500 {
        let (at, value) = (middle(10.0, index), load(index));
        assert_eq!(copy.observe(at, value), original.observe(at, value));
        let answers = [&copy, &original].map(|one| serde_json::to_string(&one.forecast(at)).unwrap());
        assert_eq!(answers[0], answers[1]);
    }
    assert_eq!(json(&copy), json(&original));
}

#[test]
fn a_state_saved_under_other_settings_is_used_all_the_same() {
    let mut forecaster = forecaster(10.0, 120.0);
    noisy(&mut forecaster, 0..2000);
    let text = json(&forecaster);
    let other = Settings { step: 20.0, horizon: 300.0, quantile: 0.95, ..Settings::default() };
    let copy = restored(&other, &text).unwrap();
    assert_eq!(*copy.settings(), other);
    let forecast = copy.forecast(20_000.0);
    assert!(forecast.enough && (forecast.mean - 10.0).abs() < 2.0, "{forecast:?}");
}

#[test]
fn the_state_stays_within_its_bound() {
    // sixteen days, so that both series are full, at the longest horizon
    let mut forecaster = forecaster(120.0, 43_200.0);
    let mut noise = Noise(13);
    for index in 0..11_520 {
        forecaster.observe(middle(120.0, index), 1000.0 * noise.uniform()).unwrap();
    }
    let full = json(&forecaster).len();
    assert!(full < 640 * 1024, "{full}");
    forecaster.set_horizon(3600.0);
    let usual = json(&forecaster).len();
    assert!(usual < 256 * 1024, "{usual}");
    assert!(restored(forecaster.settings(), &json(&forecaster)).is_ok());
}

#[test]
fn a_state_that_no_forecaster_saved_is_refused() {
    let mut forecaster = forecaster(10.0, 30.0);
    noisy(&mut forecaster, 0..100);
    let good = serde_json::to_value(forecaster.state()).unwrap();
    let cases = [
        ("/version", serde_json::json!(2)),
        ("/history/step", serde_json::json!(0.0)),
        ("/history/fine/values/3", serde_json::json!(-1.0)),
        ("/history/fine/last", serde_json::json!(i64::MAX)),
        ("/backtest/ahead", serde_json::json!(0)),
        ("/backtest/chosen", serde_json::json!(99)),
        ("/backtest/tracks", serde_json::json!([])),
        ("/backtest/since", serde_json::json!(i64::MIN)),
        ("/backtest/pending/0/index", serde_json::json!(i64::MAX)),
        ("/backtest/pending/0/guesses", serde_json::json!([])),
        ("/backtest/models/trends/0/1", serde_json::json!(1e300)),
        ("/backtest/tracks/0/at/recent/0", serde_json::json!(1e9)),
        ("/backtest/tracks/0/at/level", serde_json::json!(-3.0)),
        ("/backtest/tracks/0/loss", serde_json::json!(-3.0)),
        ("/open/sum", serde_json::json!(-3.0)),
        ("/latest", serde_json::json!(1e300)),
    ];
    for (place, value) in cases {
        let mut bad = good.clone();
        *bad.pointer_mut(place).unwrap_or_else(|| panic!("{place}")) = value;
        assert!(restored(forecaster.settings(), &bad.to_string()).is_err(), "{place}");
    }
}

#[test]
fn warming_up_is_observing() {
    let (mut one, mut other) = (forecaster(10.0, 60.0), forecaster(10.0, 60.0));
    noisy(&mut one, 0..300);
    let mut noise = Noise(11);
    let past = (0..300).map(|index| (middle(10.0, index), (10.0 + 2.0 * noise.normal()).max(0.0)));
    assert_eq!(other.warm_start(past), 300);
    assert_eq!(one, other);
    assert_eq!(other.warm_start([(0.0, 1.0), (5000.0, f64::NAN), (5000.0, 1.0)]), 1);
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => 0.0..100.0,
        2 => Just(0.0),
        1 => prop_oneof![Just(f64::NAN), Just(-1.0), Just(1e34), Just(f64::MIN_POSITIVE), Just(f64::INFINITY)],
    ]
}

fn gap() -> impl Strategy<Value = f64> {
    prop_oneof![8 => Just(10.0), 2 => 0.0..40.0, 1 => prop_oneof![Just(-50.0), Just(1e5), Just(1e7), Just(f64::NAN)]]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_observations_give_finite_bounds(
        series in prop::collection::vec((gap(), value()), 1..400),
        horizon in prop_oneof![1.0..60.0, 60.0..3600.0],
        quantile in 0.5..0.99,
        season in prop::option::of(600.0..86_400.0),
    ) {
        let settings = Settings { horizon, quantile, season, ..Settings::default() };
        let mut forecaster = Forecaster::new(settings.clone()).unwrap();
        let mut at = 0.0;
        for (gap, value) in series {
            let _refused = forecaster.observe(at + gap, value);
            at = if gap.is_nan() { at } else { at + gap };
            sound(&forecaster.forecast(at));
        }
        sound(&forecaster.forecast(f64::NAN));
        sound(&forecaster.forecast(f64::MAX));
        sound(&forecaster.forecast(-1e6));
        let copy = restored(&settings, &json(&forecaster)).unwrap();
        prop_assert_eq!(copy.forecast(at), forecaster.forecast(at));
        forecaster.set_horizon(horizon * 2.0);
        sound(&forecaster.forecast(at));
        forecaster.configure(Settings { step: 7.0, ..Settings::default() }).unwrap();
        sound(&forecaster.forecast(at));
    }
}
