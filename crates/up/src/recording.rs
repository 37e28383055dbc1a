//! Writes a run down, for `decide` and `simulate`: what was observed at each turn, what was decided, and which requests ended.

use crate::clock::Clock;
use crate::setup::Setup;
use autoscaler_core::{Observation, TargetDecision};
use autoscaler_runtime::decide::input::Tick;
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
}

impl Recording {
    /// Requests come from the gateway.
    pub(crate) fn new(recorder: Recorder, ended: Receiver<Event>) -> Self {
        Self { recorder, ended, written: BTreeMap::new() }
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
        tick.targets = seen.targets.iter().map(|(name, target)| (name.clone(), observe::wire(epoch, target))).collect();
        tick.decided = decided.into_iter().flatten().map(|(name, decision)| (name.clone(), decision.desired)).collect();
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
        self.recorder.tick(&tick);
    }
}
