//! What reactive guards add to a count: what waits has to be served, too; fewer replicas have to carry the load of now; and what was
//! just asked for is kept.

use crate::choose::{Expectation, MOST};
use crate::planning::Planning;
use crate::risk::Risk;
use std::collections::VecDeque;

/// By about so much the load of now lags behind what arrives, seconds.
pub(crate) const SMOOTHED: f64 = 10.0;
/// What waits when new replicas come is to be served in so many seconds.
const DRAIN: f64 = 60.0;
/// Of a start-up's work, what is taken as used: at full use nothing would ever drain.
const FULL: f64 = 0.9;
/// Fewer replicas have to carry the load of now at no more than so many times what may miss.
const NOW: f64 = 2.0;
/// Most plans that are remembered: an hour's of one a second.
const RECENT: usize = 3600;

/// What a plan asked for, and until when it is kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked<T> {
    pub(crate) at: f64,
    pub(crate) until: f64,
    pub(crate) what: T,
}

impl Planning {
    /// Seconds for which a plan keeps what one asked for.
    pub(crate) fn hold(&self) -> f64 {
        self.horizon().max(self.settings.hold)
    }

    /// The count with what waits and what is there now, and which of them asked for it.
    pub(crate) fn guarded(
        &self,
        risk: &Risk,
        count: u32,
        allowed: f64,
        scale: f64,
        now: f64,
    ) -> (u32, Option<&'static str>) {
        let mut answer = (count, None);
        let ready = self.equivalents(&self.ready);
        let wanted = self.equivalents(&self.wanted);
        if self.settings.parts.backlog {
            let each = self.sizes.input().max(1.0);
            let waiting = risk.work(self.backlog_tokens, self.backlog_tokens / each);
            // What came in the last seconds waits in every engine; more is a queue.
            let queue = waiting - now.max(0.0) * SMOOTHED / 3.0;
            let gathered = queue + (now - FULL * ready.max(1.0)).max(0.0) * self.horizon();
            if queue > 0.0 && gathered > 0.0 {
                let coming = if self.settings.parts.credit { 0.0 } else { (wanted - ready).max(0.0) };
                let needed = whole((now + gathered / DRAIN) / FULL + coming);
                if needed > answer.0 {
                    answer = (needed, Some("what waits has to be served"));
                }
            }
        }
        if self.settings.parts.consolidation && f64::from(answer.0) < wanted {
            let expected = Expectation { level: now, ratios: &[(1.0, 1.0)], scale };
            let least = expected.fewest(risk, (allowed * NOW).min(0.5), MOST).min(whole(wanted));
            if least > answer.0 {
                answer = (least, Some("fewer would not carry the load of now"));
            }
        }
        answer
    }

    /// No plan takes away what one just asked for: what is let go now could not be had back sooner than in a start-up. What only a
    /// rise spoke for is kept for a start-up, and then it has come or it has not. In replicas of the first target: which types carry
    /// them may change meanwhile.
    pub(crate) fn held(&mut self, now: f64, count: u32, rising: bool) -> u32 {
        let window = if rising { self.horizon() } else { self.hold() };
        keep(&mut self.needed, Asked { at: now, until: now + window, what: count });
        self.needed.iter().map(|asked| asked.what).max().unwrap_or(count)
    }

    /// What a mix replaces is kept until the new replicas serve.
    pub(crate) fn replaced(&mut self, now: f64, counts: Vec<u32>) -> Vec<u32> {
        let until = if counts.len() > 1 { now + self.horizon() } else { now };
        keep(&mut self.recent, Asked { at: now, until, what: counts });
        self.asked_for()
    }

    /// The most that plans of late asked for, by target.
    pub(crate) fn asked_for(&self) -> Vec<u32> {
        let highest = |at: usize| self.recent.iter().filter_map(|asked| asked.what.get(at)).max().copied().unwrap_or(0);
        (0..self.settings.targets.len()).map(highest).collect()
    }
}

fn keep<T>(recent: &mut VecDeque<Asked<T>>, asked: Asked<T>) {
    let now = asked.at;
    recent.push_back(asked);
    // A clock that went back leaves plans of the future behind.
    recent.retain(|asked| (asked.at..=asked.until).contains(&now));
    recent.drain(..recent.len().saturating_sub(RECENT));
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
fn whole(count: f64) -> u32 {
    (count - 1e-9).ceil().max(0.0) as u32
}
