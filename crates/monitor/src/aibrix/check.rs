//! Whether successive traces can be one writer's: requests are conserved. Knows no Redis.

use super::trace::Trace;
use std::fmt;

/// Intervals that a judgement is of: a minute of AIBrix's.
const JUDGED: u32 = 6;
/// Of them so many must not add up. One may be a restart of the gateway.
const WRONG: u32 = 3;
/// Requests that an interval may be off by: counters are not read at one instant.
const SLACK: f64 = 3.0;
/// And the share of its arrivals.
const SLACK_SHARE: f64 = 0.1;

/// What is wrong with a model's traces.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Warning {
    /// Pending before, plus arrivals, less completions, is again and again not pending after: several gateways write one
    /// key, the last one wins, and the load is larger than the traces say.
    NotConserved {
        /// Requests by which the last interval is off: above 0, more are pending than can be.
        off: f64,
    },
    /// More requests were completed than arrived and were pending.
    TooManyCompletions {
        /// Completed requests.
        completed: f64,
        /// Those that could be.
        possible: f64,
    },
    /// Requests arrive and none complete for a minute, although fewer are pending than arrived.
    NoCompletions {
        /// Requests that arrived in that time.
        arrived: f64,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConserved { off } => write!(
                f,
                "pending requests do not follow from arrivals and completions (off by {off}): several gateways seem to \
                 write one trace, and the load is larger than it says"
            ),
            Self::TooManyCompletions { completed, possible } => {
                write!(f, "{completed} requests were completed in an interval, and only {possible} could be")
            }
            Self::NoCompletions { arrived } => write!(
                f,
                "{arrived} requests arrived within a minute, none was completed, and they are not pending: their sizes \
                 are lost"
            ),
        }
    }
}

/// Judges a model's traces one after the other. Only versions from 3 on can be judged.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Check {
    before: Option<(u64, f64)>,
    /// One bit an interval, the newest lowest: whether it did not add up.
    wrong: u32,
    /// Intervals in a row without completions, and what arrived in them.
    barren: u32,
    arrived: f64,
}

impl Check {
    /// Takes the next trace, whose key has the time `at`, and says what is wrong, if anything is. Gaps begin anew.
    pub fn see(&mut self, at: u64, trace: &Trace) -> Option<Warning> {
        let (total, pending) = (trace.total? as f64, trace.pending? as f64);
        let completed = trace.completions() as f64;
        let before = self.before.replace((at, pending));
        let next_to =
            |(then, pending): (u64, f64)| (then.checked_add(u64::from(trace.interval)) == Some(at)).then_some(pending);
        let Some(before) = before.and_then(next_to) else {
            *self = Self { before: self.before, ..Self::default() };
            return None;
        };
        let off = pending - (before + total - completed);
        let slack = SLACK + SLACK_SHARE * total;
        self.wrong = (self.wrong << 1 | u32::from(off.abs() > slack)) & ((1 << JUDGED) - 1);
        (self.barren, self.arrived) = if completed > 0.0 { (0, 0.0) } else { (self.barren + 1, self.arrived + total) };
        if completed > before + total + slack {
            Some(Warning::TooManyCompletions { completed, possible: before + total })
        } else if self.barren >= JUDGED && self.arrived > pending + slack {
            Some(Warning::NoCompletions { arrived: self.arrived })
        } else if self.wrong & 1 == 1 && self.wrong.count_ones() >= WRONG {
            Some(Warning::NotConserved { off })
        } else {
            None
        }
    }
}
