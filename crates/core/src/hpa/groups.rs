//! Kubernetes' classes of pods: ignored, unready, missing, ready (`groupPods` of `replica_calculator.go`).

use super::Context;
use crate::observe::{Phase, Pod, count};
use std::collections::BTreeMap;

/// The pods of a target by class, for one metric.
pub(super) struct Groups<'a> {
    /// How many pods are ready; for metrics other than cpu, unready pods count as ready.
    pub(super) ready: u32,
    /// Names of pods whose sample does not count yet.
    pub(super) unready: Vec<&'a str>,
    /// Names of pods without a sample.
    pub(super) missing: Vec<&'a str>,
    /// The samples that count, by name.
    pub(super) samples: BTreeMap<&'a str, i64>,
}

impl<'a> Groups<'a> {
    /// Groups the pods by `sample`, under the start-up rules where the metric is cpu.
    pub(super) fn of(context: &Context<'a>, cpu: bool, sample: impl Fn(&Pod) -> Option<i64>) -> Result<Self, String> {
        let pods = context.seen.pods.as_deref().unwrap_or_default();
        if pods.is_empty() {
            return Err("no pods to compute a replica count from".to_owned());
        }
        let mut groups = Self { ready: 0, unready: Vec::new(), missing: Vec::new(), samples: BTreeMap::new() };
        for pod in pods {
            if pod.deleting || pod.phase == Phase::Failed {
                continue;
            }
            if pod.phase == Phase::Pending {
                groups.unready.push(&pod.name);
                continue;
            }
            let Some(value) = sample(pod) else {
                groups.missing.push(&pod.name);
                continue;
            };
            if cpu && starting_up(context, pod) {
                groups.unready.push(&pod.name);
            } else {
                groups.samples.insert(&pod.name, value);
            }
        }
        groups.ready = count(groups.samples.keys());
        if groups.samples.is_empty() {
            return Err("no metrics of the targeted pods (they might be unready)".to_owned());
        }
        Ok(groups)
    }

    /// Whether a fill-in is needed at all.
    pub(super) fn complete(&self, ratio: f64) -> bool {
        self.missing.is_empty() && !self.scales_up_with_unready(ratio)
    }

    /// Unready pods count as idle, but only where the rest asks for more.
    pub(super) fn scales_up_with_unready(&self, ratio: f64) -> bool {
        !self.unready.is_empty() && ratio > 1.0
    }

    /// Fills in: missing pods at `low` where the rest is below target and idle where it is above; unready pods idle.
    pub(super) fn fill_in(&mut self, ratio: f64, low: impl Fn(&str) -> i64) {
        for name in &self.missing {
            if ratio < 1.0 {
                self.samples.insert(name, low(name));
            } else if ratio > 1.0 {
                self.samples.insert(name, 0);
            }
        }
        if self.scales_up_with_unready(ratio) {
            for name in &self.unready {
                self.samples.insert(name, 0);
            }
        }
    }
}

/// Whether a pod's cpu sample does not count yet: no readiness or start known; young and either unready or not yet
/// measured for a whole window since it became ready; or older and never ready.
fn starting_up(context: &Context<'_>, pod: &Pod) -> bool {
    let (Some(ready), Some(started)) = (pod.ready, pod.started_at) else { return true };
    // A condition that does not say when it changed has Kubernetes' zero time, which is before everything.
    if started + context.settings.cpu_initialization > context.now {
        !ready || pod.ready_at.is_some_and(|changed| pod.usage_at < changed + pod.usage_window)
    } else {
        !ready && pod.ready_at.is_none_or(|changed| started + context.settings.initial_readiness > changed)
    }
}
