//! The loads that a run sends at its own gateway, and what they wait for.

use crate::routing;
use crate::setup::{GroupSetup, Setup};
use crate::world::World;
use anyhow::bail;
use local_world::ReplicaStatus;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use workload::Arrival;
use workload::client::{self, Config};
use workload::score::Slo;

/// One load.
#[derive(Debug, Clone)]
pub struct Load {
    /// The model that is asked for.
    pub model: String,
    /// What is sent, in order.
    pub arrivals: Vec<Arrival>,
}

/// Whether every model that is asked for is served.
pub(crate) fn check(loads: &[Load], setup: &Setup) -> anyhow::Result<()> {
    for Load { model, .. } in loads {
        if !setup.groups.iter().any(|group| group.route.models.contains(model)) {
            let known: Vec<&str> =
                setup.groups.iter().flat_map(|group| &group.route.models).map(String::as_str).collect();
            bail!("--model: no group serves {model:?} (allowed: {})", known.join(", "));
        }
    }
    Ok(())
}

/// A load starts on a running world: when the groups that it asks have as many ready replicas as they began with.
pub(crate) struct Wait {
    models: Vec<String>,
    since: Instant,
    /// What is waited for; empty before the first look.
    missing: Vec<String>,
    said: bool,
}

/// How long is waited before it is said for what.
const SAY_AFTER: Duration = Duration::from_secs(5);

impl Wait {
    /// A wait of these loads.
    pub(crate) fn new(loads: &[Load]) -> Self {
        let models = loads.iter().map(|load| load.model.clone()).collect();
        Self { models, since: Instant::now(), missing: Vec::new(), said: false }
    }

    /// Looks; says once what is missing where that takes long.
    pub(crate) fn is_over(&mut self, world: &World) -> bool {
        let groups = self.groups(&world.setup);
        self.missing = missing(&groups, &world.supervisor.status());
        if !self.missing.is_empty() && !self.said && self.since.elapsed() >= SAY_AFTER {
            self.said = true;
            world.warn(format!("the load has not begun: {}", self.reason()));
        }
        self.missing.is_empty()
    }

    /// What is waited for, for people.
    pub(crate) fn reason(&self) -> String {
        if self.missing.is_empty() { "the run ended first".to_owned() } else { self.missing.join(", ") }
    }

    fn groups<'s>(&self, setup: &'s Setup) -> Vec<&'s GroupSetup> {
        let asked = |group: &&GroupSetup| group.route.models.iter().any(|model| self.models.contains(model));
        setup.groups.iter().filter(asked).collect()
    }
}

/// What of these groups is missing.
fn missing(groups: &[&GroupSetup], statuses: &[ReplicaStatus]) -> Vec<String> {
    let missing = |group: &&GroupSetup| {
        let name = &group.spec.name;
        let ready = statuses.iter().filter(|status| status.group == *name && routing::serves(status)).count();
        ((ready as u64) < u64::from(group.replicas))
            .then(|| format!("{ready} of {} replicas of {name} are ready", group.replicas))
    };
    groups.iter().filter_map(missing).collect()
}

/// Sends all loads at once, and ends when the last of them has ended.
pub(crate) async fn send_all(
    loads: Vec<Load>,
    gateway: SocketAddr,
    speed: f64,
    slo: Slo,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut tasks = tokio::task::JoinSet::new();
    for load in loads {
        let mut config = Config::new(format!("http://{gateway}"), load.model);
        (config.speed, config.slo) = (speed, slo);
        let arrivals = load.arrivals.into_iter().map(Ok::<_, std::convert::Infallible>);
        let stop = stop.clone();
        tasks.spawn(async move { client::run(config, arrivals, stop, |_| {}).await });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_GROUPS: &str = "
apiVersion: local.autoscaling.aibrix.ai/v1alpha1
kind: LocalDeployment
metadata: { name: a }
spec: { command: [engine, --port, '{port}'], models: [a, a-lora], replicas: 2 }
---
apiVersion: local.autoscaling.aibrix.ai/v1alpha1
kind: LocalDeployment
metadata: { name: b }
spec: { command: [engine, --port, '{port}'] }
";

    fn load(model: &str) -> Vec<Load> {
        vec![Load { model: model.to_owned(), arrivals: Vec::new() }]
    }

    #[test]
    fn a_model_that_nobody_serves_is_refused_with_those_that_are_served() {
        let setup = crate::manifest::setup("f", TWO_GROUPS, 1.0).unwrap();
        assert!(check(&load("a-lora"), &setup).is_ok());
        let error = check(&load("nosuch"), &setup).unwrap_err().to_string();
        assert_eq!(error, "--model: no group serves \"nosuch\" (allowed: a, a-lora, b)");
    }

    #[test]
    fn a_load_waits_for_the_groups_that_it_asks_and_for_no_other() {
        let setup = crate::manifest::setup("f", TWO_GROUPS, 1.0).unwrap();
        let groups = Wait::new(&load("a-lora")).groups(&setup);
        assert_eq!(groups.iter().map(|group| group.spec.name.as_str()).collect::<Vec<_>>(), ["a"]);
        assert_eq!(missing(&groups, &[]), ["0 of 2 replicas of a are ready"]);
    }
}
