//! Faults on demand, so that whoever depends on an engine can be tested against a bad one.
//!
//! Set with `--fail`, or while running with `POST /standin/faults` and `{"fail": ["hang", "slow-metrics=2s"]}`, which
//! replaces the whole set: `{"fail": []}` heals. `GET /standin/faults` shows it. A crash is counted from the moment
//! the set was last changed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use tokio::sync::watch;

/// One way to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The metrics page takes this much wall time.
    SlowMetrics(Duration),
    /// The metrics page is no metrics page.
    GarbageMetrics,
    /// Nothing is answered any more, running streams included; connections stay open.
    Hang,
    /// After this much model time the engine stops at once, with an error.
    CrashAfter(Duration),
    /// Every OpenAI request is answered with 503.
    Reject,
    /// `/health` says 503 though requests are served.
    RefuseReady,
}

const ALLOWED: &str = "slow-metrics=DURATION, garbage-metrics, hang, crash-after=DURATION, reject, refuse-ready";

/// Not a fault that can be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no fault; allowed are {ALLOWED}")]
pub struct FaultError {
    /// What was asked for.
    pub text: String,
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let refuse = || FaultError { text: text.to_owned() };
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let duration = value.map(humantime::parse_duration).transpose().map_err(|_| refuse())?;
        match (name, duration) {
            ("slow-metrics", Some(duration)) => Ok(Self::SlowMetrics(duration)),
            ("crash-after", Some(duration)) => Ok(Self::CrashAfter(duration)),
            ("garbage-metrics", None) => Ok(Self::GarbageMetrics),
            ("hang", None) => Ok(Self::Hang),
            ("reject", None) => Ok(Self::Reject),
            ("refuse-ready", None) => Ok(Self::RefuseReady),
            _ => Err(refuse()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SlowMetrics(duration) => write!(f, "slow-metrics={}", humantime::format_duration(*duration)),
            Self::GarbageMetrics => f.write_str("garbage-metrics"),
            Self::Hang => f.write_str("hang"),
            Self::CrashAfter(duration) => write!(f, "crash-after={}", humantime::format_duration(*duration)),
            Self::Reject => f.write_str("reject"),
            Self::RefuseReady => f.write_str("refuse-ready"),
        }
    }
}

/// The faults in force.
#[derive(Debug)]
pub(crate) struct Faults {
    set: watch::Sender<Vec<Fault>>,
}

impl Faults {
    pub(crate) fn new(faults: Vec<Fault>) -> Self {
        Self { set: watch::Sender::new(faults) }
    }

    pub(crate) fn replace(&self, faults: Vec<Fault>) {
        self.set.send_replace(faults);
    }

    pub(crate) fn all(&self) -> Vec<Fault> {
        self.set.borrow().clone()
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.set.borrow().contains(&fault)
    }

    pub(crate) fn metrics_delay(&self) -> Option<Duration> {
        self.set.borrow().iter().find_map(|fault| match fault {
            Fault::SlowMetrics(delay) => Some(*delay),
            _ => None,
        })
    }

    /// Returns once the engine does not hang, at once where it does not.
    pub(crate) async fn until_responsive(&self) {
        if !self.has(Fault::Hang) {
            return;
        }
        let mut changes = self.set.subscribe();
        // Fails only when the sender is gone, and `self` holds it.
        let _ = changes.wait_for(|faults| !faults.contains(&Fault::Hang)).await;
    }

    /// Returns when the engine is to crash, if ever.
    pub(crate) async fn until_crash(&self, speed: f64) {
        let mut changes = self.set.subscribe();
        loop {
            let crash = changes.borrow_and_update().iter().find_map(|fault| match fault {
                Fault::CrashAfter(after) => Some(after.div_f64(speed)),
                _ => None,
            });
            let Some(after) = crash else {
                if changes.changed().await.is_err() {
                    return std::future::pending().await;
                }
                continue;
            };
            tokio::select! {
                () = tokio::time::sleep(after) => return,
                _ = changes.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_as_they_are_written() {
        for text in ["slow-metrics=2s", "garbage-metrics", "hang", "crash-after=1m 30s", "reject", "refuse-ready"] {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_unknown_fault_is_refused_with_what_is_allowed() {
        for text in ["", "hnag", "hang=2s", "slow-metrics", "slow-metrics=fast"] {
            assert!(text.parse::<Fault>().unwrap_err().to_string().contains("crash-after=DURATION"));
        }
    }
}
