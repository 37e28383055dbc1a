//! One rule's fleet in virtual time: requests go to whoever of a few has fewest, and what misses is counted.

use engine_model::{Completion, Engine, Event, EventKind, Request, Time};

/// A replica that has so many requests is given no more: what comes then misses.
const OPEN: usize = 300;

/// So many are asked who has fewest requests, which is nearly as good as asking all (Mitzenmacher 2001, *The power of two choices in
/// randomized load balancing*).
const ASKED: usize = 4;

/// A fleet and what became of its requests.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Engines and how many requests each has.
    engines: Vec<(Engine, usize)>,
    /// Replicas that take requests; what is beyond them ends what it has.
    pub(super) count: u32,
    turn: usize,
    /// Requests that were counted, and those of them that missed.
    pub(super) ended: f64,
    pub(super) missed: f64,
}

impl Lane {
    /// Brings the fleet to `now` and gives it a request. `kept` says of one that ended whether it kept the SLO.
    pub(super) fn serve(
        &mut self,
        mould: &Engine,
        now: Time,
        request: Request,
        counted: bool,
        kept: &dyn Fn(u64, Time, &Completion) -> bool,
    ) {
        let wanted = self.count.max(1) as usize;
        while self.engines.len() < wanted {
            self.engines.push((mould.replica(), 0));
        }
        // What is not asked is not brought up to now: it would say the same later.
        while self.engines.len() > wanted {
            let last = self.engines.len() - 1;
            self.advance(last, now, counted, kept);
            if self.engines[last].1 > 0 {
                break;
            }
            self.engines.pop();
        }
        self.turn = (self.turn + 1) % wanted;
        let asked = wanted.min(ASKED);
        let mut least: Option<usize> = None;
        for step in 0..asked {
            let at = (self.turn + step * (wanted / asked)) % wanted;
            self.advance(at, now, counted, kept);
            if least.is_none_or(|least| self.engines[at].1 < self.engines[least].1) {
                least = Some(at);
            }
        }
        let Some(least) = least else { return };
        let (engine, open) = &mut self.engines[least];
        if *open >= OPEN {
            self.ended += f64::from(u8::from(counted));
            self.missed += f64::from(u8::from(counted));
        } else if engine.submit(now, request).is_ok() {
            *open += 1;
        }
    }

    /// Brings one engine to `now`, and counts what ended.
    fn advance(&mut self, at: usize, now: Time, counted: bool, kept: &dyn Fn(u64, Time, &Completion) -> bool) {
        let (ended, missed) = (&mut self.ended, &mut self.missed);
        let Some((engine, open)) = self.engines.get_mut(at) else { return };
        if engine.next_event().is_none_or(|next| next > now) {
            return;
        }
        engine.advance(now, &mut |event: Event| {
            let EventKind::Finished(done) = event.kind else { return };
            *open = open.saturating_sub(1);
            if counted {
                *ended += 1.0;
                *missed += f64::from(u8::from(!kept(event.id, event.at, &done)));
            }
        });
    }

    /// The share that missed; none of nothing.
    pub(super) fn share(&self) -> f64 {
        if self.ended > 0.0 { self.missed / self.ended } else { 0.0 }
    }

    /// What was counted weighs less.
    pub(super) fn fade(&mut self, kept: f64) {
        self.ended *= kept;
        self.missed *= kept;
    }
}
