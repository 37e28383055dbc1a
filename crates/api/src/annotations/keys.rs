//! The live annotation keys: what each takes, which strategies it reaches, and how a value is read.

use super::{Reading, Settings, path, unusable};
use crate::diagnostics::{Diagnostic, quote};
use crate::gosyntax::{parse_bool, parse_duration, parse_float};
use crate::v1alpha1::{GROUP, PodAutoscalerSpec, ScalingStrategy};
use std::time::Duration;

/// Longest window, grace or deadline: what it keeps in memory is bounded by it.
pub(crate) const MAX_DURATION: Duration = Duration::from_secs(24 * 3600);

/// What a live key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// Growth factor of one decision.
    MaxScaleUpRate,
    /// Shrink divisor of one decision.
    MaxScaleDownRate,
    /// Band above the target.
    ScaleUpTolerance,
    /// Band below the target.
    ScaleDownTolerance,
    /// When KPA panics.
    PanicThreshold,
    /// Stabilization of growth.
    ScaleUpCooldownWindow,
    /// Stabilization of shrinkage.
    ScaleDownCooldownWindow,
    /// Parsed by AIBrix and never read.
    ScaleToZero,
    /// Whether a role's autoscaler scales the whole `StormService`.
    StormServiceMode,
    /// Ours: nothing is changed.
    Paused,
    /// Ours: nothing is taken away.
    PausedScaleIn,
    /// Ours: nothing is added.
    PausedScaleOut,
    /// Ours: how long zero must have been wanted.
    ScaleToZeroGrace,
    /// Ours: how long a replica counts as starting.
    PendingDeadline,
}

/// One live key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Live {
    /// The key after `autoscaling.aibrix.ai/`.
    pub suffix: &'static str,
    /// What it means.
    pub meaning: Key,
}

impl Live {
    /// The whole key.
    pub fn key(&self) -> String {
        format!("{GROUP}/{}", self.suffix)
    }
}

/// Every live key: AIBrix's first, then ours.
pub const LIVE: [Live; 14] = [
    Live { suffix: "max-scale-up-rate", meaning: Key::MaxScaleUpRate },
    Live { suffix: "max-scale-down-rate", meaning: Key::MaxScaleDownRate },
    Live { suffix: "scale-up-tolerance", meaning: Key::ScaleUpTolerance },
    Live { suffix: "scale-down-tolerance", meaning: Key::ScaleDownTolerance },
    Live { suffix: "panic-threshold", meaning: Key::PanicThreshold },
    Live { suffix: "scale-up-cooldown-window", meaning: Key::ScaleUpCooldownWindow },
    Live { suffix: "scale-down-cooldown-window", meaning: Key::ScaleDownCooldownWindow },
    Live { suffix: "scale-to-zero", meaning: Key::ScaleToZero },
    Live { suffix: "storm-service-mode", meaning: Key::StormServiceMode },
    Live { suffix: "paused", meaning: Key::Paused },
    Live { suffix: "paused-scale-in", meaning: Key::PausedScaleIn },
    Live { suffix: "paused-scale-out", meaning: Key::PausedScaleOut },
    Live { suffix: "scale-to-zero-grace", meaning: Key::ScaleToZeroGrace },
    Live { suffix: "pending-deadline", meaning: Key::PendingDeadline },
];

impl Key {
    /// The key's meaning, if it is a live one.
    pub fn of(key: &str) -> Option<Self> {
        let suffix = key.strip_prefix(GROUP)?.strip_prefix('/')?;
        LIVE.iter().find(|live| live.suffix == suffix).map(|live| live.meaning)
    }

    /// The whole key.
    pub fn name(self) -> String {
        LIVE.iter().find(|live| live.meaning == self).map(Live::key).unwrap_or_default()
    }

    /// Whether the strategy reads it.
    fn reaches(self, strategy: ScalingStrategy) -> bool {
        match self {
            // The optimizer's plan is taken whole; it has no ratio to hold in a band, and no rate.
            Self::ScaleUpTolerance | Self::ScaleDownTolerance => {
                !matches!(strategy, ScalingStrategy::Hpa | ScalingStrategy::Optimizer)
            }
            Self::MaxScaleUpRate | Self::MaxScaleDownRate => strategy != ScalingStrategy::Optimizer,
            Self::PanicThreshold => strategy == ScalingStrategy::Kpa,
            _ => true,
        }
    }

    /// Reads a live annotation.
    pub(super) fn apply(self, text: &str, spec: &PodAutoscalerSpec, into: &mut Reading) {
        let key = self.name();
        if !self.reaches(spec.scaling_strategy) {
            let message = format!("has no effect with scalingStrategy {}", spec.scaling_strategy.as_str());
            into.found.push(Diagnostic::note(path(&key), message));
        }
        self.set(&key, text, into);
        into.spoken.push((self, key.clone()));
        if self == Self::StormServiceMode && spec.role_name().is_none() {
            let message = "has no effect without subTargetSelector.roleName";
            into.found.push(Diagnostic::note(path(&key), message));
        }
        if let Some(message) = self.overruled(spec) {
            into.found.push(Diagnostic::note(path(&key), message));
        }
    }

    /// What `behavior` has to say in place of this key. Under HPA a direction is taken whole from one of the two.
    fn overruled(self, spec: &PodAutoscalerSpec) -> Option<String> {
        let behavior = spec.behavior.as_ref()?;
        let (name, rules) = match self {
            Self::ScaleUpCooldownWindow | Self::MaxScaleUpRate | Self::ScaleUpTolerance => {
                ("scaleUp", behavior.scale_up.as_ref()?)
            }
            Self::ScaleDownCooldownWindow | Self::MaxScaleDownRate | Self::ScaleDownTolerance => {
                ("scaleDown", behavior.scale_down.as_ref()?)
            }
            _ => return None,
        };
        let hpa = spec.scaling_strategy == ScalingStrategy::Hpa;
        let field = match self {
            Self::ScaleUpTolerance | Self::ScaleDownTolerance => {
                (!hpa && rules.tolerance.is_some()).then_some("tolerance")
            }
            _ if hpa => return Some(format!("ignored: under HPA spec.behavior.{name} stands for its whole direction")),
            Self::ScaleUpCooldownWindow | Self::ScaleDownCooldownWindow => {
                rules.stabilization_window_seconds.map(|_| "stabilizationWindowSeconds")
            }
            _ => None,
        };
        field.map(|field| format!("ignored: spec.behavior.{name}.{field} says this too, and wins"))
    }

    /// Reads a value under whichever key it came, and keeps it if it can be meant.
    pub(super) fn set(self, key: &str, text: &str, into: &mut Reading) {
        let Reading { settings, found, .. } = into;
        match self {
            Self::MaxScaleUpRate => settings.max_scale_up_rate = rate(key, text, "up", found),
            Self::MaxScaleDownRate => settings.max_scale_down_rate = rate(key, text, "down", found),
            Self::ScaleUpTolerance => settings.up_tolerance = tolerance(key, text, found),
            Self::ScaleDownTolerance => settings.down_tolerance = tolerance(key, text, found),
            Self::PanicThreshold => settings.panic_threshold = threshold(key, text, found),
            Self::ScaleUpCooldownWindow => settings.up_cooldown = duration(key, text, found),
            Self::ScaleDownCooldownWindow => settings.down_cooldown = duration(key, text, found),
            Self::ScaleToZeroGrace => settings.zero_grace = duration(key, text, found),
            Self::PendingDeadline => settings.pending_deadline = duration(key, text, found),
            Self::ScaleToZero => scale_to_zero(key, text, found),
            Self::StormServiceMode => settings.storm_service_replicas = storm_service_mode(key, text, found),
            Self::Paused => settings.paused = switch(key, text, found),
            Self::PausedScaleIn => settings.paused_scale_in = switch(key, text, found),
            Self::PausedScaleOut => settings.paused_scale_out = switch(key, text, found),
        }
    }

    /// Whether a live annotation has already given this.
    pub(super) fn is_set(self, settings: &Settings) -> bool {
        match self {
            Self::MaxScaleUpRate => settings.max_scale_up_rate.is_some(),
            Self::MaxScaleDownRate => settings.max_scale_down_rate.is_some(),
            Self::ScaleUpTolerance => settings.up_tolerance.is_some(),
            Self::ScaleDownTolerance => settings.down_tolerance.is_some(),
            Self::PanicThreshold => settings.panic_threshold.is_some(),
            Self::ScaleUpCooldownWindow => settings.up_cooldown.is_some(),
            Self::ScaleDownCooldownWindow => settings.down_cooldown.is_some(),
            Self::ScaleToZeroGrace => settings.zero_grace.is_some(),
            Self::PendingDeadline => settings.pending_deadline.is_some(),
            Self::ScaleToZero | Self::StormServiceMode | Self::Paused | Self::PausedScaleIn | Self::PausedScaleOut => {
                false
            }
        }
    }
}

/// A finite number, or a warning.
fn number(key: &str, text: &str, allowed: &str, found: &mut Vec<Diagnostic>) -> Option<f64> {
    match parse_float(text) {
        Ok(value) if value.is_finite() => Some(value),
        Ok(_) => {
            found.push(unusable(key, text, "is not finite", allowed));
            None
        }
        Err(_) => {
            found.push(unusable(key, text, "is not a number", allowed));
            None
        }
    }
}

/// A number that `fits`, or a warning with the reason.
fn fitting(
    key: &str,
    text: &str,
    (fits, why, allowed): (fn(f64) -> bool, &str, &str),
    found: &mut Vec<Diagnostic>,
) -> Option<f64> {
    let value = number(key, text, allowed, found)?;
    if !fits(value) {
        found.push(unusable(key, text, why, allowed));
        return None;
    }
    Some(value)
}

fn rate(key: &str, text: &str, direction: &str, found: &mut Vec<Diagnostic>) -> Option<f64> {
    let rule: (fn(f64) -> bool, _, _) =
        (|rate| rate >= 1.0, "is below 1, which would turn the limit round", "1 or more");
    let rate = fitting(key, text, rule, found)?;
    if rate == 1.0 {
        found.push(Diagnostic::warning(path(key), format!("a rate of 1 never scales {direction}")));
    }
    Some(rate)
}

fn tolerance(key: &str, text: &str, found: &mut Vec<Diagnostic>) -> Option<f64> {
    fitting(key, text, (|value| value >= 0.0, "is negative", "0 or more; \"0.1\" is 10 %"), found)
}

fn threshold(key: &str, text: &str, found: &mut Vec<Diagnostic>) -> Option<f64> {
    let threshold = fitting(key, text, (|value| value > 0.0, "is not above 0", "above 1; \"2\" is twice"), found)?;
    if threshold <= 1.0 {
        found.push(Diagnostic::warning(path(key), "panics at the target already").allowed("above 1"));
    }
    Some(threshold)
}

pub(super) fn duration(key: &str, text: &str, found: &mut Vec<Diagnostic>) -> Option<Duration> {
    let allowed = "a duration such as \"300s\" or \"5m\"";
    match parse_duration(text) {
        Ok(Some(duration)) if duration > MAX_DURATION => {
            found.push(Diagnostic::warning(path(key), format!("{} is held to 24h", quote(text))));
            Some(MAX_DURATION)
        }
        Ok(Some(duration)) => Some(duration),
        Ok(None) => {
            found.push(unusable(key, text, "is negative", allowed));
            None
        }
        Err(_) => {
            found.push(unusable(key, text, "is not a duration", allowed));
            None
        }
    }
}

fn scale_to_zero(key: &str, text: &str, found: &mut Vec<Diagnostic>) {
    if parse_bool(text).is_err() {
        found.push(Diagnostic::warning(path(key), format!("{} is not a boolean", quote(text))).allowed("true, false"));
    }
    let message = "has no effect, as in AIBrix: minReplicas 0 allows scaling to zero";
    found.push(Diagnostic::note(path(key), message));
}

fn storm_service_mode(key: &str, text: &str, found: &mut Vec<Diagnostic>) -> bool {
    if !["replica", "pool"].contains(&text) {
        let message = format!("{} is read as \"pool\"", quote(text));
        found.push(Diagnostic::warning(path(key), message).allowed("replica, pool"));
    }
    text == "replica"
}

/// A pause; anything that is not a boolean pauses, as KEDA has it: who writes it means to stop something.
fn switch(key: &str, text: &str, found: &mut Vec<Diagnostic>) -> bool {
    parse_bool(text).unwrap_or_else(|_| {
        let message = format!("{} is not a boolean, and is read as true", quote(text));
        found.push(Diagnostic::warning(path(key), message).allowed("true, false"));
        true
    })
}
