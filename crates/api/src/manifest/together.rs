//! Rules across the objects of the local world: what `up` would refuse about a file as a whole.

use super::across::Across;
use super::{Manifest, Origin};
use crate::diagnostics::{Diagnostic, quote};
use crate::local::{DEPLOYMENT_KIND, DeploymentSettings, MAIN_PORT};
use crate::v1alpha1::{MetricSource, MetricSourceType, PodAutoscaler};
use std::collections::BTreeMap;

/// Within one file, which is all that `up` reads.
pub(super) fn within(manifest: &Manifest) -> Vec<Across> {
    let mut found = Vec::new();
    groups(manifest, &mut found);
    for (object, origin) in manifest.autoscalers.iter().zip(&manifest.origins.autoscalers) {
        autoscaler(object, origin, manifest, &mut found);
    }
    found
}

/// Adds a finding at its place.
fn say(origin: &Origin, diagnostic: Diagnostic, found: &mut Vec<Across>) {
    found.push((origin.document, (origin.lines.at(&diagnostic.path), diagnostic)));
}

/// Groups have names and models of their own, and one replica of each fits the machine.
fn groups(manifest: &Manifest, found: &mut Vec<Across>) {
    let gpus = manifest.world.as_ref().and_then(|world| world.spec.gpus);
    let (mut names, mut models) = (BTreeMap::new(), BTreeMap::<String, String>::new());
    for (deployment, origin) in manifest.deployments.iter().zip(&manifest.origins.deployments) {
        let settings = DeploymentSettings::of(deployment);
        let name = settings.name.clone();
        if name.is_empty() {
            continue;
        }
        if let Some(first) = names.insert(name.clone(), origin.document) {
            let message = format!("two LocalDeployments are called {}; the other is document {first}", quote(&name));
            say(origin, Diagnostic::error("metadata.name", message), found);
            continue;
        }
        for (index, model) in settings.models.iter().enumerate() {
            let path = if deployment.spec.models.is_some() {
                format!("spec.models[{index}]")
            } else {
                "metadata.name".to_owned()
            };
            if let Some(other) = models.get(model).filter(|other| **other != name) {
                let message = format!("the model {} leads to LocalDeployment {} already", quote(model), quote(other));
                say(origin, Diagnostic::error(path, message), found);
            } else {
                models.insert(model.clone(), name.clone());
            }
        }
        if let (Some(own), Some(all)) = (deployment.spec.gpus_per_replica, gpus)
            && own > all
        {
            let message = format!("{own} is more than the {all} that the LocalWorld has");
            say(origin, Diagnostic::error("spec.gpusPerReplica", message).allowed(format!("0 to {all}")), found);
        }
    }
}

/// An autoscaler of a local world scales a group of its file, and reads metrics that the group has.
fn autoscaler(object: &PodAutoscaler, origin: &Origin, manifest: &Manifest, found: &mut Vec<Across>) {
    let target = &object.spec.scale_target_ref;
    let local = target.kind.as_deref() == Some(DEPLOYMENT_KIND);
    let Some(name) = target.name.as_deref().filter(|name| !name.is_empty()) else { return };
    let Some(deployment) = manifest.deployment_of(object) else {
        if local || !manifest.deployments.is_empty() {
            let names: Vec<&str> = manifest.deployments.iter().filter_map(|one| one.metadata.name.as_deref()).collect();
            let message = format!("this file has no LocalDeployment {}", quote(name));
            let missing = Diagnostic::error("spec.scaleTargetRef.name", message);
            say(origin, if names.is_empty() { missing } else { missing.allowed(names.join(", ")) }, found);
        }
        return;
    };
    let settings = DeploymentSettings::of(deployment);
    if object.spec.routes_by_size == Some(true) {
        let message = "has no effect in the local world, where each group is planned alone";
        say(origin, Diagnostic::warning("spec.routesBySize", message), found);
    }
    for (index, source) in object.spec.sources().iter().enumerate() {
        let path = format!("spec.metricsSources[{index}]");
        for diagnostic in [unread(source, &path), port(source, &path, &settings)].into_iter().flatten() {
            say(origin, diagnostic, found);
        }
    }
}

/// A source that only a cluster has.
fn unread(source: &MetricSource, path: &str) -> Option<Diagnostic> {
    use MetricSourceType as Type;
    let kind = source.metric_source_type;
    let read = match kind {
        Type::Pod | Type::Custom => true,
        Type::External | Type::Domain => source.endpoint().is_some(),
        Type::Resource | Type::Object | Type::Prometheus => false,
    };
    if read {
        return None;
    }
    let without = if kind.is_external() { " without endpoint" } else { "" };
    let message = format!("{}{without} is not read in the local world", kind.as_str());
    let allowed = "pod, custom, external with an endpoint";
    Some(Diagnostic::error(format!("{path}.metricSourceType"), message).allowed(allowed))
}

/// A port by a name that the group does not have. A number is the container's on Kubernetes, and stands for the main port.
fn port(source: &MetricSource, path: &str, group: &DeploymentSettings) -> Option<Diagnostic> {
    let port = source.port().filter(|_| source.metric_source_type == MetricSourceType::Pod)?;
    if port.parse::<u16>().is_ok_and(|number| number > 0) || group.port_name(port).is_some() {
        return None;
    }
    let known: Vec<&str> =
        std::iter::once(MAIN_PORT).chain(group.ports.iter().map(|port| port.name.as_str())).collect();
    let message = format!("{} is no port of LocalDeployment {}", quote(port), quote(&group.name));
    Some(Diagnostic::error(format!("{path}.port"), message).allowed(known.join(", ")))
}
