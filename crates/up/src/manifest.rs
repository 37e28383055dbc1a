//! From documents to a [`Setup`]: which group each autoscaler scales, where its metrics are, and what a replica runs.

use crate::knowledge::{self, Basis, OURSELVES};
use crate::setup::{AutoscalerSetup, GroupSetup, Origin, Setup, WorldSettings};
use anyhow::{Context, bail};
use autoscaler_api::local::{DeploymentSettings, MAIN_PORT, WorldSettings as ApiWorld};
use autoscaler_api::resolved::{PodEndpoint, Port, ResolvedAutoscaler, ResolvedSource, SourceKind};
use autoscaler_api::v1alpha1::{ProtocolType, SecretKeyRef, Tls};
use autoscaler_api::{Manifest, PodAutoscaler, resolve};
use autoscaler_core::spec::{Mode, Spec};
use autoscaler_metrics::Engine;
use autoscaler_runtime::decide::input::Settings;
use autoscaler_runtime::pages::{self, PageAt};
use autoscaler_runtime::spec::{SpecError, in_world};
use autoscaler_scrape::{Access, Auth, Secret, TlsOptions};
use gateway::{GroupConfig, HoldLimits};
use local_world::{Gpus, GroupSpec, Readiness, ReadinessCheck, RestartPolicy};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The manifest that runs where none is given.
pub const QUICKSTART: &str = include_str!("../assets/quickstart.yaml");

/// Reads a manifest's text. `speed` is passed on to stand-in engines, whose time has to run as fast as the controller's.
pub fn setup(file: &str, text: &str, speed: f64) -> anyhow::Result<Setup> {
    let manifest = autoscaler_api::read(file, text);
    if !manifest.is_valid() {
        let errors: Vec<String> =
            manifest.findings.iter().filter(|finding| finding.diagnostic.is_error()).map(ToString::to_string).collect();
        bail!("{}", errors.join("\nerror: "));
    }
    if manifest.deployments.is_empty() {
        bail!("{file}: has no LocalDeployment; `up --print-quickstart` shows one");
    }
    let mut setup = Setup {
        file: file.to_owned(),
        world: world(&manifest)?,
        groups: Vec::new(),
        autoscalers: Vec::new(),
        notes: manifest.findings.iter().map(ToString::to_string).collect(),
    };
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    for object in oldest_first(&manifest.autoscalers) {
        let name = object.metadata.name.clone().unwrap_or_default();
        let deployment = manifest.deployment_of(object).with_context(|| {
            let known: Vec<String> = manifest.deployments.iter().filter_map(|one| one.metadata.name.clone()).collect();
            format!(
                "{file}: PodAutoscaler {name}: its scaleTargetRef is no LocalDeployment of this file (allowed: {})",
                known.join(", ")
            )
        })?;
        let settings = DeploymentSettings::of(deployment);
        let one = autoscaler(object, &settings, knowledge::folder(file))
            .with_context(|| format!("{file}: PodAutoscaler {name}"))?;
        // One that only recommends stands in nobody's way.
        if one.spec.mode == Mode::Apply
            && let Some(owner) = owners.insert(one.group.clone(), name.clone())
        {
            let group = &one.group;
            setup.notes.push(format!(
                "{file}: warning: PodAutoscaler {name}: conflicts with {owner}, which is older and scales {group}; not used"
            ));
            owners.insert(group.clone(), owner);
            continue;
        }
        if let Some(Basis { known, said }) = &one.basis {
            let weight = if known.is_some() { "note" } else { "warning" };
            setup.notes.push(format!("{file}: {weight}: PodAutoscaler {name}: {said}"));
        }
        setup.autoscalers.push(one);
    }
    // In the file's order, as a person wrote it.
    let place = |name: &str| manifest.autoscalers.iter().position(|one| one.metadata.name.as_deref() == Some(name));
    setup.autoscalers.sort_by_key(|one| place(&one.spec.name));
    for deployment in &manifest.deployments {
        let settings = DeploymentSettings::of(deployment);
        let place = || format!("{file}: LocalDeployment {}", settings.name);
        let scaler = setup.autoscalers.iter().find(|one| one.group == settings.name && one.spec.mode == Mode::Apply);
        let bounds = scaler.map(|one| one.spec.bounds);
        let mut group = group(&settings, bounds.map_or(1, |bounds| bounds.min), speed).with_context(place)?;
        if let Some(bounds) = bounds.filter(|bounds| group.replicas > bounds.max) {
            let (asked, max) = (group.replicas, bounds.max);
            setup.notes.push(format!(
                "{}: warning: spec.replicas: {asked} is above its autoscaler's maxReplicas; {max} are started",
                place()
            ));
            group.replicas = max;
            group.declared = group.declared.map(|_| max);
        }
        setup.groups.push(group);
    }
    Ok(setup)
}

/// By creation where the objects were exported from a cluster, else as the file has them.
fn oldest_first(objects: &[PodAutoscaler]) -> Vec<&PodAutoscaler> {
    let mut sorted: Vec<&PodAutoscaler> = objects.iter().collect();
    sorted.sort_by_key(|object| {
        let created = object.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (created.is_none(), created)
    });
    sorted
}

fn world(manifest: &Manifest) -> anyhow::Result<WorldSettings> {
    let given = manifest.world.as_ref().map_or_else(ApiWorld::default, ApiWorld::of);
    let address =
        |text: Option<String>| text.map(|text| text.parse().with_context(|| format!("{text}: no address"))).transpose();
    Ok(WorldSettings {
        scrape_interval: given.scrape_interval,
        tick_interval: given.tick_interval,
        gpus: given.gpus.map_or(Gpus::Detect, Gpus::Count),
        gateway: address(given.gateway_address)?,
        dashboard: address(given.dashboard_address)?,
    })
}

fn group(given: &DeploymentSettings, floor: u32, speed: f64) -> anyhow::Result<GroupSetup> {
    let mut spec = GroupSpec::new(&given.name, command(&given.command, &given.models, speed)?);
    spec.env.clone_from(&given.env);
    spec.working_dir = given.working_dir.clone().map(PathBuf::from);
    spec.gpus_per_replica = given.gpus_per_replica;
    let check = ReadinessCheck::Http { path: given.readiness.path.clone() };
    spec.readiness = Readiness {
        check,
        port: given.readiness.port.clone(),
        interval: given.readiness.interval,
        timeout: given.readiness.timeout,
        failure_threshold: given.readiness.failure_threshold,
    };
    spec.start_timeout = given.start_timeout;
    spec.drain_timeout = given.drain_timeout;
    spec.restart = RestartPolicy { initial: given.backoff_initial, max: given.backoff_max, ..RestartPolicy::default() };
    let mut route = GroupConfig::new(&given.name, &given.models);
    let machine = |trace: Duration| Duration::from_secs_f64(trace.as_secs_f64() / speed);
    route.hold =
        HoldLimits { max_requests: given.max_held, timeout: machine(given.hold_timeout), ..HoldLimits::default() };
    route.request_timeout = Some(machine(given.request_timeout));
    let engine = given.engine.as_deref().map(|name| {
        Engine::named(name).with_context(|| format!("spec.engine: {name:?} is no engine (allowed: {})", Engine::NAMES))
    });
    Ok(GroupSetup {
        spec,
        route,
        request_timeout: Some(given.request_timeout),
        replicas: given.replicas.unwrap_or(floor),
        declared: given.replicas,
        engine: engine.transpose()?,
    })
}

/// The command, where our own name stands for this binary. Its stand-in engines run as fast as everything else, and serve
/// their group's model.
fn command(given: &[String], models: &[String], speed: f64) -> anyhow::Result<Vec<String>> {
    let mut command = given.to_vec();
    if command.first().is_none_or(|program| program != OURSELVES) {
        return Ok(command);
    }
    let ourselves = std::env::current_exe().context("the path of this program is not known")?;
    command[0] = ourselves.to_string_lossy().into_owned();
    if command.get(1).is_none_or(|word| word != "engine") {
        return Ok(command);
    }
    let says = |flag: &str| given.iter().any(|word| word == flag || word.starts_with(&format!("{flag}=")));
    if (speed - 1.0).abs() > f64::EPSILON && !says("--speed") {
        command.extend(["--speed".to_owned(), speed.to_string()]);
    }
    if let [model] = models
        && !says("--model")
    {
        command.extend(["--model".to_owned(), model.clone()]);
    }
    Ok(command)
}

fn autoscaler(
    object: &PodAutoscaler,
    deployment: &DeploymentSettings,
    folder: &Path,
) -> anyhow::Result<AutoscalerSetup> {
    let problem = |lines: Vec<String>| anyhow::anyhow!("{}", lines.join("; "));
    let resolved = resolve(object).map_err(|found| problem(found.iter().map(ToString::to_string).collect()))?;
    let spec: Spec = in_world(&resolved, &Settings::default()).map_err(|SpecError(lines)| problem(lines))?;
    let origins = origins(&resolved, deployment)?;
    let object = serde_json::to_value(object)?;
    let basis = knowledge::of(&resolved, deployment, folder)?;
    let (strategy, group) = (resolved.strategy.as_str(), deployment.name.clone());
    Ok(AutoscalerSetup { object, spec, strategy, group, origins, resolved, basis })
}

fn origins(resolved: &ResolvedAutoscaler, deployment: &DeploymentSettings) -> anyhow::Result<Vec<Origin>> {
    let place = |index: usize| format!("spec.metricsSources[{index}]");
    let sources = resolved.sources.iter().enumerate();
    sources.map(|(index, source)| origin(source, deployment).with_context(|| place(index))).collect()
}

fn origin(source: &ResolvedSource, deployment: &DeploymentSettings) -> anyhow::Result<Origin> {
    let query = pages::query(source);
    let access = access(source.tls.as_ref(), source.secret.as_ref())?;
    let page = match &source.kind {
        SourceKind::Pod(endpoint) => page(endpoint, deployment, access)?,
        // Without an adapter between, a custom metric is what the replica itself prints.
        SourceKind::Custom => {
            PageAt { port: MAIN_PORT.to_owned(), path: deployment.metrics_path.clone(), https: false, access }
        }
        SourceKind::Endpoint { protocol, endpoint, path } => {
            let scheme = if *protocol == ProtocolType::Https { "https" } else { "http" };
            return Ok(Origin::Endpoint { url: format!("{scheme}://{endpoint}{path}"), access, query });
        }
        SourceKind::Resource(_) => {
            bail!("resource metrics are read on Kubernetes only (allowed here: pod, custom, external with an endpoint)")
        }
        SourceKind::External | SourceKind::Object(_) => {
            bail!("needs Kubernetes' metrics APIs (allowed here: pod, custom, external with an endpoint)")
        }
        SourceKind::Prometheus { .. } => {
            bail!("prometheus queries are not read yet (allowed here: pod, custom, external with an endpoint)")
        }
    };
    Ok(Origin::Replica { page, query })
}

fn page(endpoint: &PodEndpoint, deployment: &DeploymentSettings, access: Access) -> anyhow::Result<PageAt> {
    let asked = match &endpoint.port {
        Port::Number(number) => number.to_string(),
        Port::Name(name) => name.clone(),
    };
    let port = match (deployment.port_name(&asked), &endpoint.port) {
        (Some(name), _) => name.to_owned(),
        // A manifest for Kubernetes names its container's port; here the replica's own is assigned.
        (None, Port::Number(_)) => MAIN_PORT.to_owned(),
        (None, Port::Name(name)) => {
            let known: Vec<&str> = deployment.ports.iter().map(|port| port.name.as_str()).collect();
            bail!("port: {name:?} is no port of {} (allowed: {MAIN_PORT} {})", deployment.name, known.join(" "))
        }
    };
    Ok(PageAt { port, path: endpoint.path.clone(), https: endpoint.protocol == ProtocolType::Https, access })
}

fn access(tls: Option<&Tls>, secret: Option<&SecretKeyRef>) -> anyhow::Result<Access> {
    let file =
        |secret: &SecretKeyRef, key: &str| PathBuf::from(&secret.name).join(secret.key.as_deref().unwrap_or(key));
    let mut options = TlsOptions::default();
    if let Some(tls) = tls {
        options.insecure_skip_verify = tls.insecure_skip_verify.unwrap_or(false);
        let bundle =
            tls.ca_file.clone().map(PathBuf::from).or(tls.ca_secret_ref.as_ref().map(|secret| file(secret, "ca.crt")));
        if let Some(path) = bundle {
            let pem = std::fs::read(&path).with_context(|| format!("tls: {}", path.display()))?;
            options.ca_pem = Some(pem.into());
        }
        options.server_name.clone_from(&tls.server_name);
    }
    // Read anew at each scrape: tokens are rotated by replacing their file.
    let auth = secret.map_or(Auth::None, |secret| Auth::Bearer(Secret::file(file(secret, "token"))));
    Ok(Access { tls: options, auth })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str, created: Option<&str>) -> PodAutoscaler {
        let metadata = serde_json::json!({ "name": name, "creationTimestamp": created });
        let spec = serde_json::json!({
            "scaleTargetRef": { "name": "g" }, "maxReplicas": 1, "metricsSources": [], "scalingStrategy": "APA",
        });
        let object = serde_json::json!({
            "apiVersion": "autoscaling.aibrix.ai/v1alpha1", "kind": "PodAutoscaler", "metadata": metadata, "spec": spec,
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn the_oldest_object_comes_first_and_undated_ones_as_the_file_has_them() {
        let objects = [
            object("first", None),
            object("young", Some("2026-01-01T00:00:00Z")),
            object("old", Some("2024-01-01T00:00:00Z")),
            object("second", None),
        ];
        let sorted: Vec<_> =
            oldest_first(&objects).iter().map(|one| one.metadata.name.clone().unwrap_or_default()).collect();
        assert_eq!(sorted, ["old", "young", "first", "second"]);
    }
}
