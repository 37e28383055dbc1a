//! What becomes of every request: one state at a time, and one at the end.

use super::outcome::Fates;
use super::seen::{Ended, RECENT, Traffic};
use engine_model::{Completion, Event, EventKind, Time};
use workload::Arrival;
use workload::score::{Latency, Slo};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not arrived yet.
    Ahead,
    /// Held, or in a replica without a first token.
    Waiting,
    /// Its first token is out.
    Started,
    /// Over.
    Over,
}

/// All requests of a run.
pub(super) struct Book<'a> {
    arrivals: &'a [Arrival],
    /// Whose requests they are; all of the first model where it is empty.
    models: &'a [u16],
    states: Vec<State>,
    /// Prompt tokens that the replica has to compute, by request.
    computed: Vec<u32>,
    slo: Slo,
    /// Arrivals before are not scored.
    scored_from: f64,
    /// By model.
    pub(super) traffic: Vec<Traffic>,
    /// By model.
    pub(super) fates: Vec<Fates>,
    pub(super) ttft: Option<Latency>,
    pub(super) tpot: Option<Latency>,
    /// Requests that are in and not over.
    pub(super) inside: u64,
    /// When the last one of a replica that is being advanced ended.
    pub(super) last_ended: f64,
    /// Of the requests that ended since somebody last asked, by model: how many there were, and how many kept their SLO.
    pub(super) lately: Vec<(u64, u64)>,
}

impl<'a> Book<'a> {
    pub(super) fn new(arrivals: &'a [Arrival], models: &'a [u16], count: usize, slo: Slo, scored_from: f64) -> Self {
        Self {
            arrivals,
            models,
            states: vec![State::Ahead; arrivals.len()],
            computed: vec![0; arrivals.len()],
            slo,
            scored_from,
            traffic: vec![Traffic::default(); count],
            fates: vec![Fates::default(); count],
            ttft: Latency::new(),
            tpot: Latency::new(),
            inside: 0,
            last_ended: 0.0,
            lately: vec![(0, 0); count],
        }
    }

    /// Whose request it is; one of a model that nobody serves is the last one's.
    pub(super) fn model(&self, id: usize) -> usize {
        self.models.get(id).map_or(0, |model| usize::from(*model)).min(self.traffic.len() - 1)
    }

    pub(super) fn arrives(&mut self, id: usize) {
        let arrival = self.arrivals[id];
        let model = self.model(id);
        self.states[id] = State::Waiting;
        self.inside += 1;
        let traffic = &mut self.traffic[model];
        traffic.arrivals += 1;
        traffic.input_tokens += u64::from(arrival.input_tokens);
        self.computed[id] = arrival.input_tokens;
        traffic.backlog_tokens += u64::from(arrival.input_tokens);
        if self.scored(id) {
            self.fates[model].requests += 1;
        }
    }

    /// A replica will compute this many of its prompt tokens.
    pub(super) fn computes(&mut self, id: usize, tokens: u32) {
        let before = std::mem::replace(&mut self.computed[id], tokens);
        let model = self.model(id);
        let backlog = &mut self.traffic[model].backlog_tokens;
        *backlog = *backlog - u64::from(before) + u64::from(tokens);
    }

    pub(super) fn event(&mut self, event: Event) {
        let Ok(id) = usize::try_from(event.id) else { return };
        match event.kind {
            EventKind::FirstToken => self.starts(id),
            EventKind::Finished(completion) => self.finishes(id, event.at, &completion),
            EventKind::Admitted | EventKind::Tokens(_) | EventKind::Preempted => {}
        }
    }

    fn starts(&mut self, id: usize) {
        debug_assert_eq!(self.states[id], State::Waiting);
        self.states[id] = State::Started;
        let model = self.model(id);
        self.traffic[model].backlog_tokens -= u64::from(self.computed[id]);
    }

    fn finishes(&mut self, id: usize, at: Time, completion: &Completion) {
        debug_assert_eq!(self.states[id], State::Started);
        let at = at.as_secs_f64();
        let arrival = self.arrivals[id];
        // What it waited before a replica took it counts, too.
        let ttft = (completion.first_token.as_secs_f64() - arrival.at).max(0.0);
        let tpot = (arrival.output_tokens > 1).then(|| completion.tpot().as_secs_f64());
        let kept = self.slo.kept(ttft, tpot);
        self.over(id);
        self.last_ended = at;
        let model = self.model(id);
        self.lately[model].0 += 1;
        self.lately[model].1 += u64::from(kept);
        let traffic = &mut self.traffic[model];
        traffic.ended += 1;
        traffic.ended_input += u64::from(arrival.input_tokens);
        traffic.ended_output += u64::from(arrival.output_tokens);
        traffic.recent.push_back(Ended {
            at,
            arrived: arrival.at,
            ttft,
            tpot,
            input: arrival.input_tokens,
            output: arrival.output_tokens,
        });
        if !self.scored(id) {
            return;
        }
        if kept {
            self.fates[model].kept += 1;
        } else {
            self.fates[model].late += 1;
        }
        if let Some(latency) = &mut self.ttft {
            latency.record(ttft);
        }
        if let Some((latency, tpot)) = self.tpot.as_mut().zip(tpot) {
            latency.record(tpot);
        }
    }

    /// No replica can ever serve it.
    pub(super) fn rejected(&mut self, id: usize) {
        self.lost(id);
        let (model, scored) = (self.model(id), self.scored(id));
        self.fates[model].rejected += u64::from(scored);
    }

    /// Its replica was stopped while it ran.
    pub(super) fn aborted(&mut self, id: usize) {
        self.lost(id);
        let (model, scored) = (self.model(id), self.scored(id));
        self.fates[model].aborted += u64::from(scored);
    }

    /// Its replica crashed. One without a token goes elsewhere, and true is answered.
    pub(super) fn crashed(&mut self, id: usize) -> bool {
        if self.states[id] == State::Waiting {
            return true;
        }
        self.lost(id);
        let (model, scored) = (self.model(id), self.scored(id));
        self.fates[model].crashed += u64::from(scored);
        false
    }

    /// The run is over: what is still inside never ended. Of those still ahead there are none.
    pub(super) fn close(&mut self) {
        for id in 0..self.states.len() {
            if matches!(self.states[id], State::Waiting | State::Started) {
                self.lost(id);
                let (model, scored) = (self.model(id), self.scored(id));
                self.fates[model].unfinished += u64::from(scored);
            }
        }
    }

    /// Whether nothing more becomes of it.
    pub(super) fn is_over(&self, id: usize) -> bool {
        self.states[id] == State::Over
    }

    /// Forgets what ended long ago.
    pub(super) fn forget(&mut self, now: f64) {
        for traffic in &mut self.traffic {
            while traffic.recent.front().is_some_and(|ended| ended.at < now - RECENT) {
                traffic.recent.pop_front();
            }
        }
    }

    fn lost(&mut self, id: usize) {
        let model = self.model(id);
        if self.states[id] == State::Waiting {
            self.traffic[model].backlog_tokens -= u64::from(self.computed[id]);
        }
        self.over(id);
        self.lately[model].0 += 1;
    }

    fn over(&mut self, id: usize) {
        debug_assert_ne!(self.states[id], State::Over);
        self.states[id] = State::Over;
        self.inside -= 1;
    }

    fn scored(&self, id: usize) -> bool {
        self.arrivals[id].at >= self.scored_from
    }
}
