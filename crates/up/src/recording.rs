//! Writes a run down, for `decide` and `simulate`: what was observed at each turn, what was decided, and which requests ended.

use crate::clock::Clock;
use crate::setup::Setup;
use autoscaler_core::fleet::Pool;
use autoscaler_core::{Observation, TargetDecision};
use autoscaler_runtime::decide::input::{PoolInput, Tick};
use autoscaler_runtime::decide::observe::{self, Clock as Epoch};
use autoscaler_runtime::record::Recorder;
use gateway::Event;
use serde_json::Value;
use std::collections::BTreeMap;
use tokio::sync::mpsc::Receiver;

/// A recording of a run.
pub(crate) struct Recording {
    recorder: Recorder,
    ended: Receiver<Event>,
    written: BTreeMap<String, Value>,
    /// What is shared, and whether the recording has it.
    pools: (Vec<PoolInput>, bool),
}

impl Recording {
    /// Requests come from the gateway.
    pub(crate) fn new(recorder: Recorder, ended: Receiver<Event>) -> Self {
        Self { recorder, ended, written: BTreeMap::new(), pools: (Vec::new(), true) }
    }

    /// The capacity that is shared from now on.
    pub(crate) fn shared(&mut self, pools: &[Pool]) {
        let pool = |pool: &Pool| PoolInput {
            units: pool.units,
            members: pool.members.iter().map(|(name, member)| (name.clone(), member.units_per_replica)).collect(),
            priorities: pool.members.iter().map(|(name, member)| (name.clone(), member.priority)).collect(),
        };
        let now: Vec<PoolInput> = pools.iter().map(pool).collect();
        if now != self.pools.0 {
            self.pools = (now, false);
        }
    }

    /// One turn; without decisions it was only looked.
    pub(crate) fn turn(
        &mut self,
        setup: &Setup,
        clock: Clock,
        at: f64,
        seen: &Observation,
        decided: Option<&BTreeMap<String, TargetDecision>>,
    ) {
        for autoscaler in &setup.autoscalers {
            let name = &autoscaler.spec.name;
            if self.written.get(name) != Some(&autoscaler.object) {
                self.recorder.autoscaler(name, autoscaler.object.clone());
                self.written.insert(name.clone(), autoscaler.object.clone());
            }
        }
        let epoch = Epoch { epoch: clock.timestamp(0.0) };
        let mut tick = Tick::recorded(at, decided.is_some());
        if !std::mem::replace(&mut self.pools.1, true) {
            tick.pools.clone_from(&self.pools.0);
        }
        tick.targets = seen.targets.iter().map(|(name, target)| (name.clone(), observe::wire(epoch, target))).collect();
        tick.plan = seen.plan.as_ref().map(|plan| observe::wire_plan(epoch, plan));
        tick.decided = decided.into_iter().flatten().map(|(name, decision)| (name.clone(), decision.desired)).collect();
        self.requests(clock, &mut tick);
        self.recorder.tick(&tick);
    }

    /// What ended after the last turn.
    pub(crate) fn rest(&mut self, clock: Clock) {
        let mut tick = Tick::recorded(clock.now(), false);
        self.requests(clock, &mut tick);
        self.recorder.tick(&tick);
    }

    fn requests(&mut self, clock: Clock, tick: &mut Tick) {
        while let Ok(event) = self.ended.try_recv() {
            if let Event::Finished(record) = event {
                let tokens = |count: Option<u64>| u32::try_from(count.unwrap_or(1)).unwrap_or(u32::MAX).max(1);
                tick.arrivals.push((
                    clock.at(record.arrived).max(0.0),
                    tokens(record.prompt_tokens),
                    tokens(record.output_tokens),
                ));
            }
        }
    }
}
