//! What the tests of this crate share: manifests in a few words, and a world whose replicas cannot start.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use crate::advice::Advisors;
use crate::clock::Clock;
use crate::lines::Lines;
use crate::observe::Observer;
use crate::plans::Plans;
use crate::roll::Rolls;
use crate::setup::Setup;
use crate::view::Shared;
use crate::world::World;
use autoscaler_core::Fleet;
use autoscaler_scrape::{ScrapeConfig, Scraper};
use gateway::{Gateway, GatewayConfig};
use local_world::ReplicaStatus;
use local_world::{Config, Gpus, Supervisor};
use std::collections::BTreeMap;
use tokio_util::task::TaskTracker;

pub(crate) fn group(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: local.autoscaling.aibrix.ai/v1alpha1\nkind: LocalDeployment\nmetadata: {{ name: {name} }}\n\
         spec: {{ command: [engine, '{{port}}'], {spec} }}\n"
    )
}

pub(crate) fn scaled(name: &str, max: u32) -> String {
    format!(
        "---\napiVersion: autoscaling.aibrix.ai/v1alpha1\nkind: PodAutoscaler\nmetadata: {{ name: {name} }}\nspec:\n  \
         scalingStrategy: APA\n  minReplicas: 0\n  maxReplicas: {max}\n  \
         scaleTargetRef: {{ apiVersion: local.autoscaling.aibrix.ai/v1alpha1, kind: LocalDeployment, name: {name} }}\n  \
         metricsSources:\n  - {{ metricSourceType: pod, protocolType: http, port: http, path: /metrics, \
         targetMetric: num_requests_running, targetValue: '1' }}\n"
    )
}

pub(crate) fn setup(documents: &[String]) -> Setup {
    crate::manifest::setup("f", &documents.concat(), 1.0).unwrap()
}

/// A world whose replicas cannot start, since nothing here needs one that does.
pub(crate) async fn world(documents: &[String]) -> World {
    let guard_program = Some("/nowhere".into());
    let config = Config { gpus: Gpus::Count(2), guard_program, ..Config::default() };
    let setup = setup(documents);
    let mut world = World {
        clock: Clock::start(1.0),
        setup: Setup { groups: Vec::new(), autoscalers: Vec::new(), ..setup.clone() },
        supervisor: Supervisor::new(config).await.unwrap(),
        gateway: Gateway::new(GatewayConfig::default()).handle(),
        observer: Observer::new(Scraper::new(ScrapeConfig::default())),
        fleet: Fleet::new(Vec::new(), Vec::new()),
        drains: TaskTracker::new(),
        view: Shared::default(),
        lines: Lines::default(),
        changes: BTreeMap::new(),
        rolls: Rolls::default(),
        plans: Plans::new(None),
        advisors: Advisors::default(),
        recording: None,
    };
    world.apply(setup).unwrap();
    world
}

impl World {
    pub(crate) fn size(&self, group: &str) -> usize {
        let counts = |status: &&ReplicaStatus| status.group == group && !status.leaving;
        self.supervisor.status().iter().filter(counts).count()
    }

    pub(crate) fn problems(&self) -> Vec<String> {
        self.view.read(|view| view.problems.clone())
    }

    /// Models by group, as the gateway has them.
    pub(crate) fn groups(&self) -> Vec<String> {
        self.gateway.snapshot().groups.iter().map(|group| group.name.clone()).collect()
    }
}
