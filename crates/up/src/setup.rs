//! What a run is made of, with every default filled in: groups to run, autoscalers over them, and how the world is timed.

use autoscaler_core::{Spec, fleet};
use autoscaler_metrics::{Engine, MetricQuery};
use autoscaler_scrape::Access;
use gateway::GroupConfig;
use local_world::{Gpus, GroupSpec};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// A whole run.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Timing and addresses.
    pub world: WorldSettings,
    /// What is run.
    pub groups: Vec<GroupSetup>,
    /// What scales it.
    pub autoscalers: Vec<AutoscalerSetup>,
    /// What a person should know of the manifest.
    pub notes: Vec<String>,
}

/// Timing and addresses. Spans are trace time.
#[derive(Debug, Clone)]
pub struct WorldSettings {
    /// Between two scrapes.
    pub scrape_interval: Duration,
    /// Between two decisions.
    pub tick_interval: Duration,
    /// The GPUs that replicas share.
    pub gpus: Gpus,
    /// Where clients connect; none where nothing is said.
    pub gateway: Option<SocketAddr>,
    /// Where the page is; none where nothing is said.
    pub dashboard: Option<SocketAddr>,
}

impl Default for WorldSettings {
    fn default() -> Self {
        Self {
            scrape_interval: Duration::from_secs(1),
            tick_interval: Duration::from_secs(5),
            gpus: Gpus::Detect,
            gateway: None,
            dashboard: None,
        }
    }
}

/// One group of replicas.
#[derive(Debug, Clone)]
pub struct GroupSetup {
    /// How its processes are run.
    pub spec: GroupSpec,
    /// How its requests are routed and held.
    pub route: GroupConfig,
    /// A request's deadline.
    pub request_timeout: Option<Duration>,
    /// Replicas at the start.
    pub replicas: u32,
    /// Which dialect its metrics speak; none: what the page shows.
    pub engine: Option<Engine>,
}

/// One autoscaler.
#[derive(Debug, Clone)]
pub struct AutoscalerSetup {
    /// What the core is told.
    pub spec: Spec,
    /// The strategy's name.
    pub strategy: &'static str,
    /// The group that it scales.
    pub group: String,
    /// Where its values come from, in the order of the spec's sources.
    pub origins: Vec<Origin>,
}

/// Where a source's values come from.
#[derive(Debug, Clone)]
pub enum Origin {
    /// A page of each replica.
    Replica {
        /// Where.
        page: PageAt,
        /// What.
        query: MetricQuery,
    },
    /// One page outside of the replicas.
    Endpoint {
        /// The page's address.
        url: String,
        /// Credentials and trust.
        access: Access,
        /// What.
        query: MetricQuery,
    },
}

/// Where a replica's page is.
#[derive(Debug, Clone)]
pub struct PageAt {
    /// The name of the port, or its number.
    pub port: String,
    /// The path.
    pub path: String,
    /// Whether over TLS.
    pub https: bool,
    /// Credentials and trust.
    pub access: Access,
}

impl Setup {
    /// What the core is told.
    #[must_use]
    pub fn specs(&self) -> Vec<Spec> {
        self.autoscalers.iter().map(|autoscaler| autoscaler.spec.clone()).collect()
    }

    /// The pool of GPUs that the autoscalers share.
    #[must_use]
    pub fn pools(&self, gpus: u32) -> Vec<fleet::Pool> {
        let per_replica: BTreeMap<&str, u32> =
            self.groups.iter().map(|group| (group.spec.name.as_str(), group.spec.gpus_per_replica)).collect();
        let member = |autoscaler: &AutoscalerSetup| {
            let units_per_replica = *per_replica.get(autoscaler.group.as_str())?;
            (units_per_replica > 0)
                .then(|| (autoscaler.spec.name.clone(), fleet::Member { units_per_replica, priority: 0 }))
        };
        let members: BTreeMap<String, fleet::Member> = self.autoscalers.iter().filter_map(member).collect();
        if members.is_empty() { Vec::new() } else { vec![fleet::Pool { units: gpus, members }] }
    }

    /// The longest time that any group's replicas have between SIGTERM and SIGKILL.
    #[must_use]
    pub fn longest_drain(&self) -> Duration {
        self.groups.iter().map(|group| group.spec.drain_timeout).max().unwrap_or_default()
    }

    /// The longest deadline of any group's requests.
    #[must_use]
    pub fn request_timeout(&self) -> Option<Duration> {
        self.groups.iter().filter_map(|group| group.request_timeout).max()
    }
}
