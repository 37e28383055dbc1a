//! The saturation rule of llm-d's workload-variant-autoscaler (its second generation, "V1"): one replica more where too little
//! is spare, one less where the rest would still have enough; once a minute, and not while a replica starts.

use super::PROMETHEUS;
use crate::world::{Policy, Seen, Stage};
use std::collections::VecDeque;
use std::sync::Arc;

/// A replica is saturated from here on.
const KV: f64 = 0.80;
const QUEUE: f64 = 5.0;
/// Less spare than this asks for one more.
const SPARE_KV: f64 = 0.10;
const SPARE_QUEUE: f64 = 3.0;
/// Peaks of this many seconds are looked at.
const PEAK: f64 = 60.0;

/// The rule.
pub(super) struct Saturation {
    /// Multiplies both limits; 1 is the source's.
    knob: f64,
    /// Pages of the last minute: time, replica, KV usage, queue.
    pages: VecDeque<(f64, Arc<str>, f64, f64)>,
    why: String,
}

impl Saturation {
    pub(super) fn new(knob: f64) -> Self {
        Self { knob, pages: VecDeque::new(), why: String::new() }
    }

    fn remember(&mut self, seen: &Seen<'_>) {
        for replica in seen.replicas {
            if let Some(page) = replica.metrics.as_ref().filter(|_| replica.stage == Stage::Ready) {
                self.pages.push_back((seen.now, Arc::clone(&replica.name), page.kv_usage, page.waiting));
            }
        }
        while self.pages.front().is_some_and(|(at, ..)| *at < seen.now - PEAK) {
            self.pages.pop_front();
        }
    }
}

impl Policy for Saturation {
    fn interval(&self) -> f64 {
        60.0
    }

    fn samples_every(&self) -> Option<f64> {
        Some(PROMETHEUS)
    }

    fn scrapes_every(&self) -> Option<f64> {
        Some(PROMETHEUS)
    }

    fn sample(&mut self, seen: &Seen<'_>) {
        self.remember(seen);
    }

    fn decide(&mut self, seen: &Seen<'_>) -> u32 {
        self.remember(seen);
        let (limit_kv, limit_queue) = (KV * self.knob, QUEUE * self.knob);
        if seen.starting() > 0 {
            "a replica starts".clone_into(&mut self.why);
            return seen.wanted;
        }
        let ready = seen.replicas.iter().filter(|replica| replica.stage == Stage::Ready);
        let mut peaks = Vec::new();
        for replica in ready {
            let own = self.pages.iter().filter(|(_, of, ..)| *of == replica.name);
            let peak = own.fold(None, |peak: Option<(f64, f64)>, (_, _, kv, queue)| {
                Some(peak.map_or((*kv, *queue), |(k, q)| (k.max(*kv), q.max(*queue))))
            });
            peaks.extend(peak);
        }
        if peaks.is_empty() {
            return seen.wanted;
        }
        let unsaturated: Vec<_> = peaks.iter().filter(|(kv, queue)| *kv < limit_kv && *queue < limit_queue).collect();
        let count = unsaturated.len().max(1) as f64;
        let spare_kv = unsaturated.iter().map(|(kv, _)| limit_kv - kv).sum::<f64>() / count;
        let spare_queue = unsaturated.iter().map(|(_, queue)| limit_queue - queue).sum::<f64>() / count;
        self.why = format!("spare: KV {spare_kv:.2}, queue {spare_queue:.1}");
        let (least_kv, least_queue) = (SPARE_KV * self.knob, SPARE_QUEUE * self.knob);
        if spare_kv < least_kv || spare_queue < least_queue {
            return seen.wanted + 1;
        }
        // Would one less still have as much to spare?
        let rest = peaks.len().saturating_sub(1) as f64;
        let (kv, queue) = peaks.iter().fold((0.0, 0.0), |(k, q), (kv, queue)| (k + kv, q + queue));
        if rest >= 1.0 && limit_kv - kv / rest >= least_kv && limit_queue - queue / rest >= least_queue {
            return seen.wanted.saturating_sub(1).max(1);
        }
        seen.wanted
    }

    fn why(&self) -> String {
        self.why.clone()
    }
}
