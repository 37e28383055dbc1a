//! The local kinds with their defaults put in.

use super::{LocalDeployment, LocalPort, LocalWorld, MAIN_PORT};
use std::collections::BTreeMap;
use std::time::Duration;

/// Everything that a `LocalDeployment` asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct DeploymentSettings {
    /// Its name.
    pub name: String,
    /// Program and arguments, with placeholders (see [`placeholder`]).
    pub command: Vec<String>,
    /// Ports besides the main one.
    pub ports: Vec<LocalPort>,
    /// Environment, values with placeholders.
    pub env: BTreeMap<String, String>,
    /// Folder that the process starts in.
    pub working_dir: Option<String>,
    /// GPUs of one replica.
    pub gpus_per_replica: u32,
    /// Model names, at least one.
    pub models: Vec<String>,
    /// The engine, where the manifest says.
    pub engine: Option<String>,
    /// Path of the metrics page.
    pub metrics_path: String,
    /// Replicas to start with; none is the autoscaler's minimum.
    pub replicas: Option<u32>,
    /// When a replica counts as ready.
    pub readiness: ReadinessSettings,
    /// How long a replica may take to become ready.
    pub start_timeout: Duration,
    /// How long a replica may take to finish its requests before it is stopped.
    pub drain_timeout: Duration,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// How long a request is held while no replica is ready.
    pub hold_timeout: Duration,
    /// Requests held at once.
    pub max_held: usize,
    /// Wait after the first crash.
    pub backoff_initial: Duration,
    /// Longest wait after a crash.
    pub backoff_max: Duration,
}

/// When a replica counts as ready.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadinessSettings {
    /// Path that is asked.
    pub path: String,
    /// Name of the port.
    pub port: String,
    /// Between questions.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Failures in a row after which a ready replica is no longer.
    pub failure_threshold: u32,
}

/// Everything that a `LocalWorld` asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct WorldSettings {
    /// GPUs that replicas share; none is those of the machine.
    pub gpus: Option<u32>,
    /// Address of the gateway; none is the command's default.
    pub gateway_address: Option<String>,
    /// Address of the dashboard; none is the command's default.
    pub dashboard_address: Option<String>,
    /// Between scrapes.
    pub scrape_interval: Duration,
    /// Between decisions.
    pub tick_interval: Duration,
}

impl Default for WorldSettings {
    fn default() -> Self {
        Self::of(&LocalWorld::new("", super::LocalWorldSpec::default()))
    }
}

/// Seconds of a validated field, or its default. Anything that is no time counts as the default.
fn time(seconds: Option<f64>, default: u64) -> Duration {
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(Duration::from_secs(default))
}

fn count(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

impl DeploymentSettings {
    /// The settings of a deployment that passed its rules.
    pub fn of(deployment: &LocalDeployment) -> Self {
        let (name, spec) = (deployment.metadata.name.clone().unwrap_or_default(), &deployment.spec);
        let readiness = spec.readiness.clone().unwrap_or_default();
        let backoff = spec.restart_backoff.clone().unwrap_or_default();
        let request_timeout = time(spec.request_timeout_seconds, 600);
        let backoff_initial = time(backoff.initial_seconds, 1);
        Self {
            command: spec.command.clone(),
            ports: spec.ports.clone().unwrap_or_default(),
            env: spec.env.clone().unwrap_or_default(),
            working_dir: spec.working_dir.clone(),
            gpus_per_replica: spec.gpus_per_replica.map_or(0, count),
            models: spec.models.clone().unwrap_or_else(|| vec![name.clone()]),
            engine: spec.engine.clone(),
            metrics_path: spec.metrics_path.clone().unwrap_or_else(|| "/metrics".into()),
            replicas: spec.replicas.map(count),
            readiness: ReadinessSettings {
                path: readiness.path.unwrap_or_else(|| "/health".into()),
                port: readiness.port.unwrap_or_else(|| MAIN_PORT.into()),
                interval: time(readiness.interval_seconds, 1),
                timeout: time(readiness.timeout_seconds, 2),
                failure_threshold: readiness.failure_threshold.map_or(3, count),
            },
            start_timeout: time(spec.start_timeout_seconds, 600),
            // A request that began just before the drain may still take its whole time.
            drain_timeout: spec.drain_timeout_seconds.map_or(request_timeout, |seconds| time(Some(seconds), 600)),
            request_timeout,
            hold_timeout: time(spec.hold_timeout_seconds, 60),
            max_held: spec.max_held.map_or(256, |held| usize::try_from(held).unwrap_or(0)),
            backoff_initial,
            backoff_max: time(backoff.max_seconds, 60).max(backoff_initial),
            name,
        }
    }

    /// Whether a metric source's `port` means this port: by name, or by the number that the manifest gives it.
    pub fn port_name(&self, port: &str) -> Option<&str> {
        if port == MAIN_PORT {
            return Some(MAIN_PORT);
        }
        let number: Option<i32> = port.parse().ok();
        let found = self.ports.iter().find(|one| one.name == port || (number.is_some() && one.number == number));
        found.map(|one| one.name.as_str())
    }
}

impl WorldSettings {
    /// The settings of a world that passed its rules.
    pub fn of(world: &LocalWorld) -> Self {
        let spec = &world.spec;
        Self {
            gpus: spec.gpus.map(count),
            gateway_address: spec.gateway_address.clone(),
            dashboard_address: spec.dashboard_address.clone(),
            scrape_interval: time(spec.scrape_interval_seconds, 1),
            tick_interval: time(spec.tick_interval_seconds, 5),
        }
    }
}
