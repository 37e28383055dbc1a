//! One replica: its start-up, its engine, its end.

use super::seen::{Metrics, ReplicaView, Stage};
use super::setup::{Faults, Group, Setup};
use engine_model::{Engine, EngineSpec, SpecError, Time};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// A replica.
pub(super) struct Replica {
    pub(super) number: u32,
    /// Which group it belongs to.
    pub(super) group: usize,
    pub(super) name: Arc<str>,
    pub(super) stage: Stage,
    pub(super) created: f64,
    pub(super) ready: f64,
    pub(super) engine: Engine,
    /// When the engine next has something to do.
    pub(super) next: Option<Time>,
    taken: u64,
    /// Requests in it.
    pub(super) in_flight: u64,
    /// When the last request ended.
    pub(super) last_ended: f64,
    /// Requests that were given to it and may be in it: those that ended are taken out now and then.
    pub(super) requests: Vec<usize>,
    pub(super) metrics: Option<Metrics>,
}

/// The same draws for the same replica of a seed, whatever the policy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fate {
    /// Seconds from creation to service.
    pub(super) startup: f64,
    /// Whether it is slow.
    pub(super) slow: bool,
    /// Seconds of service before it crashes.
    pub(super) life: f64,
}

impl Fate {
    pub(super) fn of(setup: &Setup, group: &Group, number: u32) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(setup.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ u64::from(number));
        // In (0, 1]: logarithms are finite.
        let mut uniform = || 1.0 - random.random::<f64>();
        // Box and Muller, "A note on the generation of random normal deviates", 1958.
        let normal = (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
        let startup = group.cold_start.median * (group.cold_start.sigma * normal).exp();
        let slow = uniform() <= setup.faults.stragglers;
        let rate = setup.faults.crashes_per_hour / 3600.0;
        let life = if rate > 0.0 { -uniform().ln() / rate } else { f64::INFINITY };
        Self { startup, slow, life }
    }
}

/// What replicas are made of.
pub(super) struct Mould {
    normal: Engine,
    slow: Engine,
}

impl Mould {
    pub(super) fn new(spec: &EngineSpec, faults: Faults) -> Result<Self, SpecError> {
        let factor = faults.slowdown.max(1.0);
        let slow = EngineSpec {
            overhead_ms: spec.overhead_ms * factor,
            weights_ms: spec.weights_ms * factor,
            compute_ms_per_token: spec.compute_ms_per_token * factor,
            kv_ns_per_token: spec.kv_ns_per_token * factor,
            attention_ns_per_token2: spec.attention_ns_per_token2 * factor,
            ..spec.clone()
        };
        Ok(Self { normal: Engine::new(spec)?, slow: Engine::new(&slow)? })
    }
}

impl Replica {
    pub(super) fn new(mould: &Mould, group: usize, number: u32, created: f64, fate: Fate) -> Self {
        let engine = if fate.slow { mould.slow.replica() } else { mould.normal.replica() };
        Self {
            number,
            group,
            name: format!("replica-{number}").into(),
            stage: Stage::Starting,
            created,
            ready: created + fate.startup,
            engine,
            next: None,
            taken: 0,
            in_flight: 0,
            last_ended: created,
            requests: Vec::new(),
            metrics: None,
        }
    }

    /// Gives it a request; false where it can never serve it.
    pub(super) fn take(&mut self, now: Time, request: engine_model::Request, id: usize) -> bool {
        if self.engine.submit(now, request).is_err() {
            return false;
        }
        self.taken += 1;
        self.in_flight += 1;
        self.next = self.engine.next_event();
        self.requests.push(id);
        true
    }

    /// To be called after its engine has advanced.
    pub(super) fn advanced(&mut self) {
        self.next = self.engine.next_event();
        self.in_flight = self.taken - self.engine.counters().finished;
    }

    /// Reads its metrics page.
    pub(super) fn scrape(&mut self, at: f64) {
        let (gauges, counters) = (self.engine.gauges(), self.engine.counters());
        self.metrics = Some(Metrics {
            running: f64::from(gauges.running),
            waiting: f64::from(gauges.waiting),
            kv_usage: gauges.kv_usage,
            prompt_tokens: counters.prompt_tokens as f64,
            generation_tokens: counters.generation_tokens as f64,
            at,
        });
    }

    pub(super) fn view(&self) -> ReplicaView {
        ReplicaView {
            name: Arc::clone(&self.name),
            stage: self.stage,
            created: self.created,
            ready: self.ready,
            metrics: self.metrics,
        }
    }
}
