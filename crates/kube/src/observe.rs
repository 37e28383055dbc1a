//! From a target, its pods and what was read to what the core is told, and to what people are shown. Pure.

use crate::clock;
use crate::look::Eyes;
use crate::plan::{From, Plan};
use crate::target::ScaleView;
use autoscaler_api::v1alpha1::CurrentMetric;
use autoscaler_core::observe::TargetObservation;
use autoscaler_core::spec::{SourceKind, TargetType};
use autoscaler_core::{Pod, Reading, Timestamp};

/// A target and its replicas, without what was read.
pub(crate) fn observation(view: &ScaleView, pods: Vec<Pod>) -> TargetObservation {
    TargetObservation {
        replicas: view.replicas,
        status_replicas: view.status_replicas,
        pods: Some(pods),
        ..TargetObservation::default()
    }
}

/// Puts in what is known of every source now, as fresh as it is.
pub(crate) fn refresh(seen: &mut TargetObservation, plan: &Plan, eyes: &Eyes, now: Timestamp) {
    let (name, at) = (&plan.spec.name, clock::seconds(now));
    for source in &plan.sources {
        match &source.from {
            From::Pages { .. } | From::Custom { .. } => {
                for pod in seen.pods.iter_mut().flatten() {
                    let reading = eyes.of_pod(name, &source.key, &pod.name, at);
                    pod.metrics.insert(source.key.clone(), reading);
                }
            }
            From::Usage => {
                for pod in seen.pods.iter_mut().flatten() {
                    let Some(usage) = eyes.usage(&pod.name) else {
                        pod.usage.clear();
                        continue;
                    };
                    pod.usage.clone_from(&usage.usage);
                    pod.usage_at = Timestamp(usage.at.as_microsecond());
                    pod.usage_window = autoscaler_core::Span::from_secs(usage.window.as_secs_f64());
                }
            }
            From::Endpoint { .. } | From::Object { .. } | From::External { .. } | From::Prometheus { .. } => {
                seen.external.insert(source.key.clone(), vec![eyes.of_fleet(name, &source.key, at)]);
            }
        }
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
