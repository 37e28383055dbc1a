//! Reads one source's values out of an observation, for the strategies that work on loads (KPA and APA). HPA groups
//! pods by its own rules and reads for itself.

use crate::observe::{Pod, TargetObservation, count};
use crate::reading::{Reading, Why};
use crate::spec::{Source, SourceKind, TargetType};

/// The values of one source at one time.
#[derive(Debug, Clone, PartialEq)]
pub enum Signal {
    /// Values of the ready replicas that have one, and how many ready replicas have none.
    PerPod {
        /// One value a replica, in the order of the replicas' names.
        present: Vec<f64>,
        /// Ready replicas without a value.
        missing: u32,
    },
    /// One value for the whole fleet.
    Total(f64),
}

/// Reads a source; the error says why there is no value.
pub fn read(source: &Source, seen: &TargetObservation) -> Result<Signal, String> {
    match &source.kind {
        SourceKind::External | SourceKind::Object => total(source, seen),
        SourceKind::Custom if seen.external.contains_key(&source.key) => total(source, seen),
        SourceKind::Pods | SourceKind::Custom => {
            per_pod(seen, |pod| pod.metrics.get(&source.key).and_then(Reading::fresh))
        }
        SourceKind::Resource(resource) => {
            let share = source.target_type == TargetType::Utilization;
            per_pod(seen, |pod| resource_value(pod, resource, share))
        }
    }
}

/// The sum of a source's fleet-wide values; any that is not fresh makes the sum absent.
pub fn total(source: &Source, seen: &TargetObservation) -> Result<Signal, String> {
    let values = seen.external.get(&source.key).map(Vec::as_slice).unwrap_or_default();
    if values.is_empty() {
        return Err(Why::NotRead.to_string());
    }
    let mut sum = 0.0;
    for reading in values {
        sum += reading.fresh().ok_or_else(|| reading.checked().to_string())?;
    }
    if sum.is_finite() { Ok(Signal::Total(sum)) } else { Err(Why::NotFinite.to_string()) }
}

fn per_pod(seen: &TargetObservation, value: impl Fn(&Pod) -> Option<f64>) -> Result<Signal, String> {
    let mut pods: Vec<&Pod> = seen.pods.iter().flatten().filter(|pod| pod.serves()).collect();
    if pods.is_empty() {
        return Err("no ready replica to read".to_owned());
    }
    // Floating-point sums depend on their order, and a decision must not depend on the order of the list.
    pods.sort_by(|a, b| a.name.cmp(&b.name));
    let present: Vec<f64> = pods.iter().filter_map(|pod| value(pod)).filter(|value| *value >= 0.0).collect();
    if present.is_empty() {
        return Err(format!("none of {} ready replicas has a value", pods.len()));
    }
    if !present.iter().sum::<f64>().is_finite() {
        return Err(format!("the sum over {} ready replicas {}", pods.len(), Why::NotFinite));
    }
    let missing = count(pods.iter()) - count(present.iter());
    Ok(Signal::PerPod { present, missing })
}

/// Millicores, bytes, or percent of the request.
fn resource_value(pod: &Pod, resource: &str, share: bool) -> Option<f64> {
    let usage = *pod.usage.get(resource)? as f64;
    if share {
        let request = *pod.requests.get(resource)?;
        return (request > 0).then(|| usage / request as f64 * 100.0);
    }
    Some(if resource == "cpu" { usage } else { usage / 1000.0 })
}
