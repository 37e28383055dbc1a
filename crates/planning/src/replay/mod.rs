//! The replay: what would have become of the requests that came, had the fleet been run by one rule or another.
//!
//! A rule is a kind of level and a head-room: as many replicas as the level of a horizon ago, held as plans are, times the
//! head-room. Each rule has a *lane*, a fleet of engine models that serves in virtual time what came, a minute and a half late, since
//! sizes are known at the end. What misses in a lane holds all that a formula leaves out: bursts, the sizes that come in them, queues
//! that outlast what made them. Only for requests whose times are known one by one.

mod held;
mod lane;

use crate::outlook::KINDS;
use crate::seen::Sized;
use crate::settings::Objective;
use engine_model::{Completion, Engine, EngineSpec, Request, Time};
use held::Held;
use lane::Lane;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Head-rooms of the lanes, replicas for a level of one: from a full replica to one thirtieth of its work.
const LEAST: f64 = 1.0;
const STEP: f64 = 1.2;
const HEADROOMS: usize = 19;
/// Beyond the lanes, misses are taken to go with this power of the head-room.
const POWER: i32 = 2;
/// Lanes are so late: a request is known at its end, seconds.
const LATE: f64 = 90.0;
/// A lane has filled before anything is counted, seconds.
const FILLED: f64 = 60.0;
/// Half-life of what has been counted, seconds: as the outlook's ratios.
const HALF_LIFE: f64 = 43_200.0;
/// Most requests that wait to be replayed, and that are remembered while they are.
const WAITING: usize = 100_000;
/// Most replicas of a lane, and requests a second: of more, every second (third, …) request is replayed on half (a third) of the
/// replicas, which is careful, since fewer replicas smooth less.
const REPLICAS: u32 = 256;
const FASTEST: f64 = 100.0;
/// Most levels that wait to come into effect: an hour's and more, one a second.
const ROWS: usize = 8000;
/// Longest size that is believed, tokens.
const LONGEST: f64 = 1e7;

/// See the module's header.
#[derive(Debug)]
pub(crate) struct Replay {
    mould: Engine,
    objective: Objective,
    bounds: (u32, u32),
    /// The lanes' zero.
    origin: f64,
    /// How far lanes have come.
    clock: f64,
    /// What is to be replayed, by nanoseconds of arrival and number.
    waiting: BTreeMap<(u64, u64), (u32, u32)>,
    number: u64,
    /// Levels that have not come into effect.
    rows: VecDeque<(f64, [f64; KINDS])>,
    held: [Held; KINDS],
    /// When levels came into effect first, and last.
    effective: Option<(f64, f64)>,
    /// Requests in the lanes: when they came, and whether they have a time per token. The first one's number.
    known: VecDeque<(f64, bool)>,
    first: u64,
    lanes: Vec<Lane>,
    /// By kind: what a head-room of one has asked for, replica-seconds, and seconds.
    asked: [(f64, f64); KINDS],
}

/// What is remembered over a restart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counted {
    lanes: Vec<(f64, f64)>,
    asked: Vec<(f64, f64)>,
}

impl Replay {
    /// Idle lanes from `now` on; none where the engine cannot be.
    pub(crate) fn new(spec: &EngineSpec, objective: Objective, bounds: (u32, u32), now: f64) -> Option<Self> {
        Some(Self {
            mould: Engine::new(spec).ok()?,
            objective,
            bounds,
            origin: now,
            clock: now,
            waiting: BTreeMap::new(),
            number: 0,
            rows: VecDeque::new(),
            held: std::array::from_fn(|_| Held::default()),
            effective: None,
            known: VecDeque::new(),
            first: 0,
            lanes: (0..KINDS * HEADROOMS).map(|_| Lane::default()).collect(),
            asked: [(0.0, 0.0); KINDS],
        })
    }

    /// Takes the levels of now, as replicas at full use, and requests that ended since; brings the lanes to a while ago. `rate` is in
    /// requests a second, times in seconds: a rule's count serves a `horizon` later and is held for `hold`.
    pub(crate) fn observe(&mut self, look: &Look<'_>) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
        let every = (look.rate / FASTEST).ceil().max(1.0) as u64;
        if let Some(levels) = look.levels.filter(|_| self.rows.len() < ROWS) {
            self.rows.push_back((look.now, levels.map(|level| level / every as f64)));
        }
        for one in look.sizes {
            self.take(one, look.now, every);
        }
        let (before, until) = (self.clock, look.now - LATE);
        loop {
            let row = self.rows.front().map(|(at, _)| at + look.horizon).filter(|at| *at <= until);
            let next = self.waiting.keys().next().map(|(nanos, _)| self.origin + *nanos as f64 * 1e-9);
            match (row, next.filter(|at| *at <= until)) {
                (Some(row), next) if next.is_none_or(|next| row <= next) => self.turn(row, look.hold),
                (_, Some(next)) => self.serve(next),
                _ => break,
            }
        }
        self.clock = self.clock.max(until);
        let kept = 0.5_f64.powf((self.clock - before) / HALF_LIFE);
        self.lanes.iter_mut().for_each(|lane| lane.fade(kept));
        self.asked.iter_mut().for_each(|asked| *asked = (asked.0 * kept, asked.1 * kept));
    }

    /// Puts a request among those that wait, where its time is its own.
    fn take(&mut self, one: &Sized, now: f64, every: u64) {
        let single = (one.count - 1.0).abs() < 1e-9 && one.arrived.is_finite() && one.arrived <= now;
        let sound = |tokens: f64| tokens.is_finite() && (0.0..=LONGEST).contains(&tokens);
        if !(single && sound(one.input) && sound(one.output)) {
            return;
        }
        self.number += 1;
        if self.number.is_multiple_of(every) && self.waiting.len() < WAITING {
            let at = Time::from_secs_f64(one.arrived.max(self.clock) - self.origin);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
            let size = (one.input.max(1.0) as u32, one.output.max(1.0) as u32);
            self.waiting.insert((at.as_nanos(), self.number), size);
        }
    }

    /// Levels come into effect.
    fn turn(&mut self, effective: f64, hold: f64) {
        let Some((at, levels)) = self.rows.pop_front() else { return };
        let (first, last) = self.effective.unwrap_or((effective, effective));
        self.effective = Some((first, effective));
        let bounds = (self.bounds.0.max(1), self.bounds.1.clamp(1, REPLICAS));
        for (kind, level) in levels.into_iter().enumerate() {
            let level = self.held[kind].push(at, level, hold);
            let passed = (effective - last).max(0.0);
            self.asked[kind].0 += level * passed;
            self.asked[kind].1 += passed;
            for (step, lane) in self.lanes[kind * HEADROOMS..][..HEADROOMS].iter_mut().enumerate() {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
                let count = (level * headroom(step)).ceil() as u32;
                lane.count = count.clamp(bounds.0.min(bounds.1), bounds.1);
            }
        }
    }

    /// The next request arrives in all lanes.
    fn serve(&mut self, at: f64) {
        let Some(((nanos, _), (input_tokens, output_tokens))) = self.waiting.pop_first() else { return };
        self.clock = self.clock.max(at);
        let Some((effective, _)) = self.effective else { return };
        let now = Time::from_nanos(nanos);
        let id = self.first + self.known.len() as u64;
        self.known.push_back((now.as_secs_f64(), output_tokens > 1));
        let (known, first, objective) = (&self.known, self.first, self.objective);
        let kept = |id: u64, end: Time, done: &Completion| {
            let index = id.checked_sub(first).and_then(|index| usize::try_from(index).ok());
            index.and_then(|index| known.get(index)).is_some_and(|(came, long)| {
                let tpot = long.then(|| done.tpot().as_secs_f64());
                objective.kept(done.first_token.as_secs_f64() - came, tpot, end.as_secs_f64() - came)
            })
        };
        let request = Request { id, input_tokens, output_tokens, prefix_hit_tokens: 0 };
        let counted = at > effective + FILLED;
        for lane in &mut self.lanes {
            lane.serve(&self.mould, now, request, counted, &kept);
        }
        if self.known.len() > WAITING {
            self.known.pop_front();
            self.first += 1;
        }
    }

    /// What has been counted for a kind of level; none before anything was.
    pub(crate) fn curve(&self, kind: usize) -> Option<Curve> {
        let lanes = self.lanes.get(kind * HEADROOMS..(kind + 1) * HEADROOMS)?;
        let ended = lanes.iter().map(|lane| lane.ended).fold(0.0, f64::max);
        let (level, seconds) = *self.asked.get(kind)?;
        // More replicas never miss more; what says so is chance.
        let (mut shares, mut highest) = ([0.0_f64; HEADROOMS], 0.0_f64);
        for (share, lane) in shares.iter_mut().zip(lanes).rev() {
            highest = highest.max(lane.share());
            *share = highest;
        }
        (ended > 0.0).then(|| Curve { ended, level: (seconds > 0.0).then(|| level / seconds), shares })
    }

    /// What to save.
    pub(crate) fn counted(&self) -> Counted {
        let lanes = self.lanes.iter().map(|lane| (lane.ended, lane.missed)).collect();
        Counted { lanes, asked: self.asked.to_vec() }
    }

    /// Takes up what was saved: lanes begin idle, and go on counting.
    pub(crate) fn resume(&mut self, counted: &Counted) {
        for (lane, (ended, missed)) in self.lanes.iter_mut().zip(&counted.lanes) {
            (lane.ended, lane.missed) = (*ended, *missed);
        }
        for (asked, known) in self.asked.iter_mut().zip(&counted.asked) {
            *asked = *known;
        }
    }
}

impl Counted {
    /// Whether a loaded form is one that was saved.
    pub(crate) fn is_sound(&self) -> bool {
        let sound = |pair: &(f64, f64)| [pair.0, pair.1].iter().all(|value| value.is_finite() && *value >= 0.0);
        let lanes =
            self.lanes.iter().all(|lane| sound(lane) && lane.1 <= lane.0 + 1e-6) && self.asked.iter().all(sound);
        lanes && [0, KINDS * HEADROOMS].contains(&self.lanes.len()) && [0, KINDS].contains(&self.asked.len())
    }
}

/// What has been counted for a kind of level.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Curve {
    /// Requests that were counted.
    pub(crate) ended: f64,
    /// The mean level as it was held, over what was counted: a head-room's cost.
    pub(crate) level: Option<f64>,
    /// By head-room, falling.
    shares: [f64; HEADROOMS],
}

impl Curve {
    #[cfg(test)]
    pub(crate) fn of(ended: f64, level: f64) -> Self {
        Self { ended, level: Some(level), shares: [0.0; HEADROOMS] }
    }

    /// The share that missed with a head-room, between lanes and beyond.
    pub(crate) fn share(&self, wanted: f64) -> f64 {
        let wanted = wanted.max(1e-6);
        let (place, last) = ((wanted / LEAST).ln() / STEP.ln(), HEADROOMS - 1);
        if place <= 0.0 {
            return (self.shares[0] * (LEAST / wanted).powi(POWER)).min(1.0);
        }
        if place >= last as f64 {
            return self.shares[last] * (headroom(last) / wanted).powi(POWER);
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the last")]
        let below = place as usize;
        let part = place - below as f64;
        self.shares[below] * (1.0 - part) + self.shares[below + 1] * part
    }
}

/// What the replay is shown.
#[derive(Debug)]
pub(crate) struct Look<'a> {
    /// When.
    pub(crate) now: f64,
    /// Levels by kind, as replicas at full use; none in a gap, and while they are still being found.
    pub(crate) levels: Option<[f64; KINDS]>,
    /// Requests a second.
    pub(crate) rate: f64,
    /// Requests that ended.
    pub(crate) sizes: &'a [Sized],
    /// Seconds until what is asked for serves.
    pub(crate) horizon: f64,
    /// Seconds for which what was asked for is kept.
    pub(crate) hold: f64,
}

fn headroom(step: usize) -> f64 {
    LEAST * STEP.powf(step as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: Objective = Objective { ttft: Some(2.0), tpot: Some(0.1), e2e: None };
    const TICK: f64 = 5.0;

    fn replay() -> Replay {
        Replay::new(&EngineSpec::builtin("l4-8b").unwrap(), CHAT, (1, 64), 0.0).unwrap()
    }

    /// Looks for so many seconds, at a level of one; `arrivals` says how many requests come in the five seconds from a time on.
    fn run(replay: &mut Replay, from: f64, seconds: f64, arrivals: &dyn Fn(f64) -> u32) {
        let mut now = from;
        while now < from + seconds {
            now += TICK;
            let came = arrivals(now - TICK);
            let sized = |at: u32| Sized {
                arrived: now - TICK + TICK * f64::from(at) / f64::from(came),
                input: 1000.0,
                output: 200.0,
                count: 1.0,
            };
            let sizes: Vec<Sized> = (0..came).map(sized).collect();
            let (levels, rate) = (Some([1.0; KINDS]), f64::from(came) / TICK);
            replay.observe(&Look { now, levels, rate, sizes: &sizes, horizon: 30.0, hold: 60.0 });
        }
    }

    #[test]
    fn what_comes_in_bursts_misses_more_at_the_same_mean() {
        let (mut even, mut bursts) = (replay(), replay());
        run(&mut even, 0.0, 3600.0, &|_| 4);
        run(&mut bursts, 0.0, 3600.0, &|at| if at % 300.0 < 1.0 { 240 } else { 0 });
        let (even, bursts) = (even.curve(0).unwrap(), bursts.curve(0).unwrap());
        let (counted, calm, rough) = (even.ended, even.share(2.0), bursts.share(2.0));
        assert!(counted > 2000.0 && rough > calm + 0.05, "{counted} {calm} {rough}");
        let shares: Vec<f64> = (0..60).map(|step| bursts.share(0.5 + f64::from(step))).collect();
        assert!(shares.windows(2).all(|pair| pair[0] >= pair[1] - 1e-12), "{shares:?}");
    }

    #[test]
    fn levels_that_nobody_knows_count_nothing() {
        let mut replay = replay();
        let one = Sized { arrived: 1.0, input: 100.0, output: 10.0, count: 1.0 };
        for step in 1..100 {
            let now = f64::from(step) * TICK;
            let look = Look { now, levels: None, rate: 1.0, sizes: &[one], horizon: 30.0, hold: 60.0 };
            replay.observe(&look);
        }
        assert_eq!((replay.curve(0), replay.asked[0]), (None, (0.0, 0.0)));
    }

    #[test]
    fn what_cannot_be_a_request_is_left_out_and_a_flood_is_thinned() {
        let mut replay = replay();
        let flood = vec![Sized { arrived: 4.0, input: 10.0, output: 2.0, count: 1.0 }; 300_000];
        let odd = [f64::NAN, f64::INFINITY, -1.0, 1e300].map(|value| Sized { input: value, ..flood[0] });
        let later = Sized { arrived: 1e9, ..flood[0] };
        let many = Sized { count: 12.0, ..flood[0] };
        let sizes: Vec<Sized> = odd.into_iter().chain([later, many]).collect();
        let look = |now, rate, sizes| Look { now, levels: Some([1.0; KINDS]), rate, sizes, horizon: 1.0, hold: 1.0 };
        replay.observe(&look(5.0, 1.0, &sizes));
        assert!(replay.waiting.is_empty());
        replay.observe(&look(10.0, 60_000.0, &flood));
        assert!((400..=600).contains(&replay.waiting.len()), "{}", replay.waiting.len());
        replay.observe(&look(15.0, 1.0, &flood));
        assert!(replay.waiting.len() <= WAITING);
    }

    #[test]
    fn counts_are_taken_up_again_and_others_refused() {
        let mut before = replay();
        run(&mut before, 0.0, 1800.0, &|_| 12);
        let saved = serde_json::to_string(&before.counted()).unwrap();
        let counted: Counted = serde_json::from_str(&saved).unwrap();
        let mut after = replay();
        after.resume(&counted);
        assert!(before.curve(1).is_some() && after.curve(1) == before.curve(1));
        assert!(counted.is_sound() && Counted::default().is_sound());
        for odd in ["[[1,2]]", "[[1,0],[1,0]]"] {
            let odd: Counted = serde_json::from_str(&format!(r#"{{"lanes":{odd},"asked":[]}}"#)).unwrap();
            assert!(!odd.is_sound());
        }
    }
}
