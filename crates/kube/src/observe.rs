//! From a target, its pods and what was read to what the core is told, and to what people are shown. Pure.

use crate::clock;
use crate::look::Eyes;
use crate::plan::{From, Plan};
use crate::pods::{PodView, Replica};
use crate::target::ScaleView;
use autoscaler_api::v1alpha1::CurrentMetric;
use autoscaler_core::observe::TargetObservation;
use autoscaler_core::spec::{SourceKind, TargetType};
use autoscaler_core::{Pod, Reading, Timestamp, Why};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A target as it was seen: what the core is told, and the pods behind each of its replicas, in the same order.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) target: TargetObservation,
    replicas: Vec<Replica>,
}

impl Seen {
    /// Without what was read. No replicas are none that are known, which is not the same as that there are none.
    pub(crate) fn new(view: &ScaleView, replicas: Option<Vec<Replica>>) -> Self {
        let pods = replicas.as_ref().map(|replicas| replicas.iter().map(|replica| replica.pod.clone()).collect());
        let target = TargetObservation {
            replicas: view.replicas,
            status_replicas: view.status_replicas,
            pods,
            ..TargetObservation::default()
        };
        Self { target, replicas: replicas.unwrap_or_default() }
    }

    /// The pods whose pages are read: those that answer for what serves.
    pub(crate) fn leaders(&self) -> Vec<Arc<PodView>> {
        let serving = self.replicas.iter().filter(|replica| replica.pod.serves());
        serving.flat_map(|replica| replica.leaders.iter().cloned()).collect()
    }

    /// Puts in what is known of every source now, as fresh as it is.
    pub(crate) fn refresh(&mut self, plan: &Plan, eyes: &Eyes, now: Timestamp) {
        let (name, at) = (&plan.spec.name, clock::seconds(now));
        for source in &plan.sources {
            let replicas = self.target.pods.iter_mut().flatten().zip(&self.replicas);
            match &source.from {
                From::Pages { .. } | From::Custom { .. } => {
                    for (pod, replica) in replicas {
                        let of = |leader: &Arc<PodView>| eyes.of_pod(name, &source.key, &leader.name, at);
                        pod.metrics.insert(source.key.clone(), mean(replica.leaders.iter().map(of)));
                    }
                }
                From::Usage => {
                    for (pod, replica) in replicas {
                        used(pod, replica, eyes);
                    }
                }
                From::Endpoint { .. } | From::Object { .. } | From::External { .. } | From::Prometheus { .. } => {
                    let reading = eyes.of_fleet(name, &source.key, at);
                    self.target.external.insert(source.key.clone(), vec![reading]);
                }
            }
        }
    }
}

/// The mean of what the pods of one replica say; where one says nothing, the replica does not.
fn mean(readings: impl Iterator<Item = Reading>) -> Reading {
    let (mut sum, mut count) = (0.0, 0.0);
    for reading in readings {
        let Some(value) = reading.fresh() else { return reading };
        sum += value;
        count += 1.0;
    }
    if count > 0.0 { Reading::load(sum / count) } else { Reading::Absent(Why::NotRead) }
}

/// What a replica uses: the sum over its pods, by how many serve alike; nothing where one of them was not measured.
fn used(pod: &mut Pod, replica: &Replica, eyes: &Eyes) {
    pod.usage.clear();
    let measured: Option<Vec<_>> = replica.members.iter().map(|member| eyes.usage(&member.name)).collect();
    let Some(measured) = measured.filter(|all| !all.is_empty()) else { return };
    let mut sums: BTreeMap<&String, (i64, usize)> = BTreeMap::new();
    for (resource, amount) in measured.iter().flat_map(|one| &one.usage) {
        let (sum, pods) = sums.entry(resource).or_default();
        *sum = sum.saturating_add(*amount);
        *pods += 1;
    }
    let whole = sums.into_iter().filter(|(_, (_, pods))| *pods == measured.len());
    pod.usage = whole.map(|(resource, (sum, _))| (resource.clone(), sum / i64::from(replica.share))).collect();
    // The oldest measurement dates the sum.
    if let Some(oldest) = measured.iter().min_by_key(|one| one.at) {
        pod.usage_at = Timestamp(oldest.at.as_microsecond());
        pod.usage_window = autoscaler_core::Span::from_secs(oldest.window.as_secs_f64());
    }
}

/// Each source's value, as people are shown it: the mean over what serves, or the total.
pub(crate) fn shown(seen: &TargetObservation, plan: &Plan, eyes: &Eyes) -> Vec<CurrentMetric> {
    let one = |(source, asked): (&autoscaler_core::spec::Source, &crate::plan::Source)| {
        let (values, failure) = match &asked.from {
            From::Usage => (usages(seen, source), eyes.usage_failure().map(str::to_owned)),
            _ => read(seen, &source.key),
        };
        let count = if seen.external.contains_key(&source.key) { 1.0 } else { values.len() as f64 };
        let value = (!values.is_empty()).then(|| number(values.iter().sum::<f64>() / count));
        let error = if value.is_some() { None } else { Some(failure.unwrap_or_else(|| "no ready replica".to_owned())) };
        CurrentMetric { name: source.key.clone(), value, target: number(source.target), error }
    };
    plan.spec.sources.iter().zip(&plan.sources).map(one).collect()
}

/// What was read of a source, and why something was not.
fn read(seen: &TargetObservation, key: &str) -> (Vec<f64>, Option<String>) {
    let of_pods = || {
        let serving = seen.pods.iter().flatten().filter(|pod| pod.serves());
        serving.filter_map(|pod| pod.metrics.get(key).cloned()).collect()
    };
    let readings: Vec<Reading> = seen.external.get(key).cloned().unwrap_or_else(of_pods);
    let failure = readings.iter().find(|reading| reading.fresh().is_none()).map(ToString::to_string);
    (readings.iter().filter_map(Reading::fresh).collect(), failure)
}

/// The usage of what serves: percent of the request, else in the target's unit.
fn usages(seen: &TargetObservation, source: &autoscaler_core::spec::Source) -> Vec<f64> {
    let SourceKind::Resource(resource) = &source.kind else { return Vec::new() };
    let serving = seen.pods.iter().flatten().filter(|pod| pod.serves());
    let one = |pod: &Pod| {
        let used = *pod.usage.get(resource)? as f64;
        match source.target_type {
            TargetType::Utilization => Some(used * 100.0 / *pod.requests.get(resource).filter(|one| **one > 0)? as f64),
            // Thousandths of a core are millicores; memory is in bytes.
            _ if resource == "cpu" => Some(used),
            _ => Some(used / 1000.0),
        }
    };
    serving.filter_map(one).collect()
}

/// Three decimals at most, as quantities have.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
