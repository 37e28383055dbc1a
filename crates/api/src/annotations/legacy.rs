//! Keys that older AIBrix read and samples still carry. Honoured where the meaning is clear and the strategy is the
//! one they were made for; a live key of the same meaning wins. Always reported.

use super::keys::duration;
use super::{Key, Reading, Settings, path};
use crate::diagnostics::Diagnostic;
use crate::v1alpha1::{
    DEFAULT_OBSERVE_WINDOW_SECONDS, DEFAULT_PANIC_WINDOW_SECONDS, PodAutoscalerSpec, ScalingStrategy,
};

/// Longest window in seconds (AIBrix's limit).
const MAX_WINDOW_SECONDS: i64 = 3600;

/// One key that AIBrix no longer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Legacy {
    /// The whole key.
    pub key: &'static str,
    /// What it meant.
    pub meaning: Meaning,
    /// The strategies that it was made for.
    strategies: &'static [ScalingStrategy],
}

/// What a key meant, in today's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The same as a live annotation.
    As(Key),
    /// Both tolerances.
    Tolerances,
    /// `spec.observeWindowSeconds`.
    ObserveWindow,
    /// `spec.panicWindowSeconds`.
    PanicWindow,
}

const KPA: &[ScalingStrategy] = &[ScalingStrategy::Kpa];
const APA: &[ScalingStrategy] = &[ScalingStrategy::Apa];
const BOTH: &[ScalingStrategy] = &[ScalingStrategy::Kpa, ScalingStrategy::Apa];

const fn legacy(key: &'static str, meaning: Meaning, strategies: &'static [ScalingStrategy]) -> Legacy {
    Legacy { key, meaning, strategies }
}

/// Every dead key that is known.
pub const LEGACY: [Legacy; 11] = [
    legacy("kpa.autoscaling.aibrix.ai/scale-down-delay", Meaning::As(Key::ScaleDownCooldownWindow), KPA),
    legacy("kpa.autoscaling.aibrix.ai/scale-up-cooldown", Meaning::As(Key::ScaleUpCooldownWindow), KPA),
    legacy("kpa.autoscaling.aibrix.ai/panic-threshold", Meaning::As(Key::PanicThreshold), KPA),
    legacy("kpa.autoscaling.aibrix.ai/panic-window", Meaning::PanicWindow, KPA),
    legacy("kpa.autoscaling.aibrix.ai/stable-window", Meaning::ObserveWindow, KPA),
    legacy("kpa.autoscaling.aibrix.ai/tolerance", Meaning::Tolerances, KPA),
    legacy("apa.autoscaling.aibrix.ai/window", Meaning::ObserveWindow, APA),
    legacy("autoscaling.aibrix.ai/up-fluctuation-tolerance", Meaning::As(Key::ScaleUpTolerance), BOTH),
    legacy("autoscaling.aibrix.ai/down-fluctuation-tolerance", Meaning::As(Key::ScaleDownTolerance), BOTH),
    legacy("apa.autoscaling.aibrix.ai/up-fluctuation-tolerance", Meaning::As(Key::ScaleUpTolerance), APA),
    legacy("apa.autoscaling.aibrix.ai/down-fluctuation-tolerance", Meaning::As(Key::ScaleDownTolerance), APA),
];

impl Legacy {
    /// The dead key of this name.
    pub fn of(key: &str) -> Option<&'static Self> {
        LEGACY.iter().find(|legacy| legacy.key == key)
    }

    /// Honours the key or says why not.
    pub(super) fn apply(&self, text: &str, spec: &PodAutoscalerSpec, into: &mut Reading) {
        if !self.strategies.contains(&spec.scaling_strategy) {
            let message =
                format!("AIBrix no longer reads this; ignored with scalingStrategy {}", spec.scaling_strategy.as_str());
            into.found.push(Diagnostic::warning(path(self.key), message));
            return;
        }
        match self.meaning {
            Meaning::As(live) => self.as_live(&[live], text, into),
            Meaning::Tolerances => self.as_live(&[Key::ScaleUpTolerance, Key::ScaleDownTolerance], text, into),
            Meaning::ObserveWindow | Meaning::PanicWindow => self.as_window(text, spec, into),
        }
    }

    fn as_live(&self, live: &[Key], text: &str, into: &mut Reading) {
        for key in live {
            if let Some(winner) = into.speaker(*key).map(str::to_owned) {
                self.say(&format!("ignored, {winner} wins"), into);
                continue;
            }
            key.set(self.key, text, into);
            into.spoken.push((*key, self.key.to_owned()));
            if key.is_set(&into.settings) {
                self.say(&format!("honoured as {}", key.name()), into);
            }
        }
    }

    /// Keeps a window for [`settle_windows`], unless the spec has its own.
    fn as_window(&self, text: &str, spec: &PodAutoscalerSpec, into: &mut Reading) {
        let (field, given) = self.window_field(spec);
        if given.is_some() {
            return self.say(&format!("ignored, {field} wins"), into);
        }
        let Some(window) = duration(self.key, text, &mut into.found) else { return };
        let seconds = i64::try_from(window.as_secs()).unwrap_or(i64::MAX);
        if !(1..=MAX_WINDOW_SECONDS).contains(&seconds) {
            return self.say(&format!("ignored, {field} must be 1 to {MAX_WINDOW_SECONDS} seconds"), into);
        }
        *self.slot(&mut into.settings) = Some(seconds);
    }

    /// The field that says the same, and its value.
    fn window_field(&self, spec: &PodAutoscalerSpec) -> (&'static str, Option<i64>) {
        match self.meaning {
            Meaning::PanicWindow => ("spec.panicWindowSeconds", spec.panic_window_seconds),
            _ => ("spec.observeWindowSeconds", spec.observe_window_seconds),
        }
    }

    fn slot<'s>(&self, settings: &'s mut Settings) -> &'s mut Option<i64> {
        match self.meaning {
            Meaning::PanicWindow => &mut settings.panic_window_seconds,
            _ => &mut settings.observe_window_seconds,
        }
    }

    fn say(&self, what: &str, into: &mut Reading) {
        into.found.push(Diagnostic::warning(path(self.key), format!("AIBrix no longer reads this; {what}")));
    }
}

/// Keeps the windows that dead keys gave if they fit together with the spec's, and says what became of them.
pub(super) fn settle_windows(spec: &PodAutoscalerSpec, into: &mut Reading) {
    let windows =
        LEGACY.iter().filter(|legacy| matches!(legacy.meaning, Meaning::ObserveWindow | Meaning::PanicWindow));
    let made_for = windows.filter(|legacy| legacy.strategies.contains(&spec.scaling_strategy));
    let given: Vec<&Legacy> = made_for.filter(|legacy| legacy.slot(&mut into.settings).is_some()).collect();
    if given.is_empty() {
        return;
    }
    let settings = &mut into.settings;
    let observe =
        settings.observe_window_seconds.or(spec.observe_window_seconds).unwrap_or(DEFAULT_OBSERVE_WINDOW_SECONDS);
    let panic = settings.panic_window_seconds.or(spec.panic_window_seconds).unwrap_or(DEFAULT_PANIC_WINDOW_SECONDS);
    if panic > observe && spec.scaling_strategy == ScalingStrategy::Apa {
        // APA has no panic; its window only has to stay well-formed.
        settings.panic_window_seconds = Some(observe);
    } else if panic > observe {
        for legacy in given {
            *legacy.slot(&mut into.settings) = None;
            legacy.say(
                &format!("ignored, a panic window of {panic} s does not fit an observe window of {observe} s"),
                into,
            );
        }
        return;
    }
    for legacy in given {
        legacy.say(&format!("honoured as {}", legacy.window_field(spec).0), into);
    }
}
