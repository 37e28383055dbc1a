//! A planner in the manner of NVIDIA Dynamo's (components/planner): every three minutes the load of the last interval, divided
//! by what a replica carries within the SLO, sets a floor; every five seconds thresholds on queued prompt tokens and on the KV
//! cache add or take away one replica above it, not while one starts. The reactive half is its "latency" mode.

use crate::world::{Policy, Seen};
use engine_model::{EngineSpec, Mix};
use workload::score::Slo;

/// The slow loop, seconds.
const PLAN: f64 = 180.0;
/// Queued prompt tokens as a share of the context length: up from here on; down only without any.
const QUEUE_UP: f64 = 0.1;
/// KV usage: up above, down below.
const KV_UP: f64 = 0.4;
const KV_DOWN: f64 = 0.1;

/// The planner.
pub(super) struct Planner {
    engine: EngineSpec,
    slo: Slo,
    /// Multiplies what a replica is taken to carry; 1 is the source's.
    knob: f64,
    floor: u32,
    planned: Option<Planned>,
    why: String,
}

/// The router's counts when the plan was made.
struct Planned {
    at: f64,
    arrivals: u64,
    ended: u64,
    input: u64,
    output: u64,
}

impl Planner {
    pub(super) fn new(engine: EngineSpec, slo: Slo, knob: f64) -> Self {
        Self { engine, slo, knob, floor: 1, planned: None, why: String::new() }
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
    fn plan(&mut self, seen: &Seen<'_>) {
        let counts = seen.traffic;
        let next = Planned {
            at: seen.now,
            arrivals: counts.arrivals,
            ended: counts.ended,
            input: counts.ended_input,
            output: counts.ended_output,
        };
        let Some(before) = &self.planned else {
            self.planned = Some(next);
            return;
        };
        if seen.now - before.at < PLAN {
            return;
        }
        let ended = (next.ended - before.ended) as f64;
        if ended > 0.0 {
            // Means, as there: averages hide that a load has two kinds of requests.
            let (input, output) =
                ((next.input - before.input) as f64 / ended, (next.output - before.output) as f64 / ended);
            let rate = (next.arrivals - before.arrivals) as f64 / (next.at - before.at);
            let mix = Mix { computed: input, input, output: output.max(1.0) };
            if let Some(capacity) = self.engine.capacity(mix, self.slo.tpot) {
                self.floor = (rate / (capacity.rate * self.knob)).ceil() as u32;
            }
        } else {
            self.floor = 1;
        }
        self.planned = Some(next);
    }
}

impl Policy for Planner {
    fn decide(&mut self, seen: &Seen<'_>) -> u32 {
        self.plan(seen);
        if seen.starting() > 0 {
            // Scaling in progress: observe only.
            return seen.wanted.max(self.floor);
        }
        let ready = f64::from(seen.ready().max(1));
        let queued = seen.traffic.backlog_tokens as f64 / ready / f64::from(self.engine.max_model_len);
        let kv = seen.pages().map(|page| page.kv_usage).sum::<f64>() / ready;
        let reactive = if queued >= QUEUE_UP * self.knob || kv > KV_UP * self.knob {
            seen.wanted + 1
        } else if queued == 0.0 && kv < KV_DOWN * self.knob {
            seen.wanted.saturating_sub(1)
        } else {
            seen.wanted
        };
        self.why = format!("floor {}, queue {queued:.3} of the context, KV {kv:.2}", self.floor);
        reactive.max(self.floor).max(1)
    }

    fn why(&self) -> String {
        self.why.clone()
    }
}
