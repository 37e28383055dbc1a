//! Bounds of the numbers that no manifest carries: settings and history. A number outside is an error with its path, not a
//! decision that nobody can explain.

use super::input::{History, HpaSettings, Input, KpaSettings};
use super::run::DecideError;

/// The farthest that anything looks back: the core's logs and windows hold an hour.
const LONGEST_SECONDS: f64 = 3600.0;
/// Longer than any start-up or age of interest, in seconds: a year.
const YEAR: f64 = 365.0 * 86_400.0;
/// The largest factor of a rate or a band; Knative's default rate is 1000.
const LARGEST_FACTOR: f64 = 1e6;
/// The largest load of one replica.
const LARGEST_LOAD: f64 = 1e15;

/// The first number out of range.
pub(super) fn check(input: &Input) -> Result<(), DecideError> {
    hpa(&input.settings.hpa)?;
    if let Some(kpa) = &input.settings.kpa {
        self::kpa(kpa)?;
    }
    if let Some(history) = &input.history {
        self::history(history)?;
    }
    for (index, tick) in input.ticks.iter().enumerate() {
        let others = tick.targets.values().filter_map(|target| target.pods.as_ref());
        for pod in tick.pods.iter().chain(others).flatten().filter(|pod| pod.usage_window.is_some()) {
            within(&format!("ticks[{index}].pods.{}.usageWindow", pod.name), pod.usage_window, 0.0, YEAR)?;
        }
    }
    Ok(())
}

fn hpa(flags: &HpaSettings) -> Result<(), DecideError> {
    let at = |field: &str| format!("settings.hpa.{field}");
    within(&at("tolerance"), flags.tolerance, 0.0, LARGEST_FACTOR)?;
    within(&at("cpuInitializationSeconds"), flags.cpu_initialization_seconds, 0.0, YEAR)?;
    within(&at("initialReadinessSeconds"), flags.initial_readiness_seconds, 0.0, YEAR)?;
    within(&at("downscaleStabilizationSeconds"), flags.downscale_stabilization_seconds, 0.0, LONGEST_SECONDS)?;
    within(&at("scaleUpLimitFactor"), flags.scale_up_limit_factor, 1.0, LARGEST_FACTOR)?;
    within(&at("scaleUpLimitMinimum"), flags.scale_up_limit_minimum, 0.0, f64::from(i32::MAX))
}

fn kpa(knobs: &KpaSettings) -> Result<(), DecideError> {
    let at = |field: &str| format!("settings.kpa.{field}");
    for (field, value) in [("target", knobs.target), ("total", knobs.total)] {
        if value.is_some_and(|value| value <= 0.0) {
            return Err(outside(&at(field), value, "a number above 0"));
        }
        within(&at(field), value, 0.0, LARGEST_LOAD)?;
    }
    if knobs.target_burst_capacity != Some(-1.0) {
        let reserve = knobs.target_burst_capacity;
        if reserve.is_some_and(|reserve| !(0.0..=LARGEST_LOAD).contains(&reserve)) {
            return Err(outside(&at("targetBurstCapacity"), reserve, "-1 (unlimited), 0 (none) or more"));
        }
    }
    within(&at("panicThreshold"), knobs.panic_threshold, 1.0, LARGEST_FACTOR)?;
    within(&at("maxScaleUpRate"), knobs.max_scale_up_rate, 1.0, LARGEST_FACTOR)?;
    within(&at("maxScaleDownRate"), knobs.max_scale_down_rate, 1.0, LARGEST_FACTOR)?;
    within(&at("stableWindowSeconds"), knobs.stable_window_seconds, 1.0, LONGEST_SECONDS)?;
    let stable = knobs.stable_window_seconds.unwrap_or(LONGEST_SECONDS);
    within(&at("panicWindowSeconds"), knobs.panic_window_seconds, 1.0, stable)?;
    within(&at("scaleDownDelaySeconds"), knobs.scale_down_delay_seconds, 0.0, LONGEST_SECONDS)?;
    within(&at("scaleToZeroGraceSeconds"), knobs.scale_to_zero_grace_seconds, 0.0, YEAR)?;
    within(&at("tolerance"), knobs.tolerance, 0.0, LARGEST_FACTOR)
}

fn history(history: &History) -> Result<(), DecideError> {
    for (index, past) in history.recommendations.iter().enumerate() {
        within(&format!("history.recommendations[{index}].age"), Some(past.age), 0.0, YEAR)?;
    }
    for (index, past) in history.changes.iter().enumerate() {
        within(&format!("history.changes[{index}].age"), Some(past.age), 0.0, YEAR)?;
    }
    Ok(())
}

fn within(path: &str, value: Option<f64>, least: f64, most: f64) -> Result<(), DecideError> {
    if value.is_none_or(|value| (least..=most).contains(&value)) {
        return Ok(());
    }
    Err(outside(path, value, &format!("{least} to {most}")))
}

fn outside(path: &str, value: Option<f64>, allowed: &str) -> DecideError {
    let value = value.unwrap_or(f64::NAN);
    DecideError::Form { path: path.to_owned(), message: format!("{value:?} is out of range; allowed: {allowed}") }
}
