//! Settings that AIBrix keeps in annotations: live keys, keys that AIBrix no longer reads, and our own.
//!
//! AIBrix accepts any text in any of them, so nothing here refuses an object; a value that cannot be meant is a warning
//! that says what is done instead. Each value is read by itself: a bad one does not spoil the others.

mod keys;
mod legacy;

pub use keys::{Key, LIVE, Live};
pub use legacy::{LEGACY, Legacy, Meaning};

use crate::diagnostics::{Diagnostic, nearest, quote};
use crate::shape::keyed;
use crate::v1alpha1::{GROUP, PodAutoscaler};
use std::time::Duration;

/// What the annotations of one object say; absent where they do not.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settings {
    /// `max-scale-up-rate`, 1 or more.
    pub max_scale_up_rate: Option<f64>,
    /// `max-scale-down-rate`, 1 or more.
    pub max_scale_down_rate: Option<f64>,
    /// `scale-up-tolerance`, a fraction of 0 or more.
    pub up_tolerance: Option<f64>,
    /// `scale-down-tolerance`, a fraction of 0 or more.
    pub down_tolerance: Option<f64>,
    /// `panic-threshold`, above 0.
    pub panic_threshold: Option<f64>,
    /// `scale-up-cooldown-window`.
    pub up_cooldown: Option<Duration>,
    /// `scale-down-cooldown-window`.
    pub down_cooldown: Option<Duration>,
    /// `storm-service-mode: replica`: a role's autoscaler scales the whole `StormService`.
    pub storm_service_replicas: bool,
    /// `paused`.
    pub paused: bool,
    /// `paused-scale-out`.
    pub paused_scale_out: bool,
    /// `paused-scale-in`.
    pub paused_scale_in: bool,
    /// `scale-to-zero-grace`.
    pub zero_grace: Option<Duration>,
    /// `pending-deadline`.
    pub pending_deadline: Option<Duration>,
    /// The stable window in seconds, from a key that AIBrix no longer reads.
    pub observe_window_seconds: Option<i64>,
    /// The panic window in seconds, from a key that AIBrix no longer reads.
    pub panic_window_seconds: Option<i64>,
}

/// Settings, and what is to be said about them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    /// The settings.
    pub settings: Settings,
    /// Warnings and notes; never an error.
    pub found: Vec<Diagnostic>,
    /// Which annotation has spoken for which setting. The first one wins, even where its value cannot be meant: the
    /// default that is promised then is the default.
    spoken: Vec<(Key, String)>,
}

impl Reading {
    /// The annotation that has spoken for a setting.
    fn speaker(&self, setting: Key) -> Option<&str> {
        self.spoken.iter().find(|(key, _)| *key == setting).map(|(_, annotation)| annotation.as_str())
    }
}

/// Reads every annotation (and misplaced label) of our group.
pub fn read(object: &PodAutoscaler) -> Reading {
    let mut reading = Reading::default();
    let annotations = object.metadata.annotations.iter().flatten();
    let ours: Vec<_> = annotations.filter(|(key, _)| is_ours(key)).collect();
    for (key, text) in &ours {
        if let Some(known) = Key::of(key) {
            known.apply(text, &object.spec, &mut reading);
        }
    }
    // After the live ones, since those win whatever the order of the file.
    for (key, text) in &ours {
        if let Some(legacy) = Legacy::of(key) {
            legacy.apply(text, &object.spec, &mut reading);
        } else if Key::of(key).is_none() {
            unknown(key, &mut reading.found);
        }
    }
    legacy::settle_windows(&object.spec, &mut reading);
    for key in object.metadata.labels.iter().flatten().map(|(key, _)| key).filter(|key| is_ours(key)) {
        let message = "has no effect as a label; write it under metadata.annotations";
        reading.found.push(Diagnostic::warning(keyed("metadata.labels", key), message));
    }
    reading
}

/// The field path of an annotation.
pub(crate) fn path(key: &str) -> String {
    keyed("metadata.annotations", key)
}

/// Whether a key is of AIBrix's autoscaling group or a subdomain of it (`kpa.autoscaling.aibrix.ai/…`).
fn is_ours(key: &str) -> bool {
    key.split_once('/').is_some_and(|(prefix, _)| {
        prefix.strip_suffix(GROUP).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    })
}

fn unknown(key: &str, found: &mut Vec<Diagnostic>) {
    // The prefixes are all much alike, so only what follows them is compared.
    let suffix = key.split_once('/').map_or(key, |(_, suffix)| suffix);
    let message = match nearest(suffix, LIVE.iter().map(|live| live.suffix)) {
        Some(near) => format!("unknown annotation, ignored; did you mean {GROUP}/{near}?"),
        None => "unknown annotation, ignored".to_owned(),
    };
    found.push(Diagnostic::warning(path(key), message));
}

/// A value that cannot be meant, and what is done.
fn unusable(key: &str, text: &str, why: &str, allowed: &str) -> Diagnostic {
    Diagnostic::warning(path(key), format!("{} {why}; the default is used", quote(text))).allowed(allowed)
}
