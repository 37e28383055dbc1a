//! What a run is made of, with every default filled in: groups to run, autoscalers over them, and how the world is timed.

use crate::knowledge::Basis;
use autoscaler_api::resolved::ResolvedAutoscaler;
use autoscaler_core::spec::Mode;
use autoscaler_core::{Spec, fleet};
use autoscaler_metrics::{Engine, MetricQuery};
use autoscaler_runtime::pages::PageAt;
use autoscaler_scrape::Access;
use gateway::GroupConfig;
use local_world::{Gpus, GroupSpec, MAX_REPLICAS_PER_GROUP};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// A whole run.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Where it was read from, for messages.
    pub file: String,
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
    /// Replicas at the start; all there will be without an autoscaler.
    pub replicas: u32,
    /// The same where the manifest says it.
    pub declared: Option<u32>,
    /// Which dialect its metrics speak; none: what the page shows.
    pub engine: Option<Engine>,
}

/// One autoscaler.
#[derive(Debug, Clone)]
pub struct AutoscalerSetup {
    /// The manifest's object.
    pub object: serde_json::Value,
    /// What the core is told.
    pub spec: Spec,
    /// The strategy's name.
    pub strategy: &'static str,
    /// The group that it scales.
    pub group: String,
    /// Where its values come from, in the order of the spec's sources.
    pub origins: Vec<Origin>,
    /// Its settings, for its planning.
    pub resolved: ResolvedAutoscaler,
    /// What a plan for it rests on; none where it takes none.
    pub basis: Option<Basis>,
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

impl Setup {
    /// What the core is told.
    #[must_use]
    pub fn specs(&self) -> Vec<Spec> {
        self.autoscalers.iter().map(|autoscaler| autoscaler.spec.clone()).collect()
    }

    /// Everything that cannot be run, found before anything is changed.
    pub fn check(&self, gpus: u32) -> anyhow::Result<()> {
        let errors: Vec<String> = self.groups.iter().flat_map(|group| group.errors(&self.file, gpus)).collect();
        if errors.is_empty() { Ok(()) } else { anyhow::bail!("{}", errors.join("\nerror: ")) }
    }

    /// The group of this name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&GroupSetup> {
        self.groups.iter().find(|group| group.spec.name == name)
    }

    /// Whether an autoscaler decides how large a group is.
    #[must_use]
    pub fn scales(&self, group: &str) -> bool {
        let scales = |one: &AutoscalerSetup| one.group == group && one.spec.mode == Mode::Apply;
        self.autoscalers.iter().any(scales)
    }

    /// The pool of GPUs that the autoscalers share. `held`: GPUs by group; those of groups that no autoscaler has an
    /// opinion on, or that were removed and still drain, are not to be shared out.
    #[must_use]
    pub fn pools(&self, gpus: u32, held: &BTreeMap<String, u32>) -> Vec<fleet::Pool> {
        let others = held.iter().filter(|(group, _)| self.autoscalers.iter().all(|one| one.group != **group));
        let gpus = gpus.saturating_sub(others.fold(0, |sum: u32, (_, held)| sum.saturating_add(*held)));
        let per_replica: BTreeMap<&str, u32> =
            self.groups.iter().map(|group| (group.spec.name.as_str(), group.spec.gpus_per_replica)).collect();
        let member = |autoscaler: &AutoscalerSetup| {
            let units_per_replica = *per_replica.get(autoscaler.group.as_str())?;
            (units_per_replica > 0)
                .then(|| (autoscaler.spec.name.clone(), fleet::Member { units_per_replica, priority: 0 }))
        };
        // A group's replicas count once, however many autoscalers have an opinion on it.
        let counts = |one: &&AutoscalerSetup| one.spec.mode == Mode::Apply || !self.scales(&one.group);
        let members: BTreeMap<String, fleet::Member> =
            self.autoscalers.iter().filter(counts).filter_map(member).collect();
        if members.is_empty() { Vec::new() } else { vec![fleet::Pool { units: gpus, members }] }
    }

    /// The longest time that any group's replicas have between SIGTERM and SIGKILL.
    #[must_use]
    pub fn longest_drain(&self) -> Duration {
        self.groups.iter().map(|group| group.spec.drain_timeout).max().unwrap_or_default()
    }

    /// The longest that an orderly end takes: the last request's deadline, and no less than any replica's drain time.
    #[must_use]
    pub fn longest_end(&self) -> Duration {
        self.request_timeout().unwrap_or_default().max(self.longest_drain())
    }

    /// The longest deadline of any group's requests.
    #[must_use]
    pub fn request_timeout(&self) -> Option<Duration> {
        self.groups.iter().filter_map(|group| group.request_timeout).max()
    }
}

impl GroupSetup {
    fn errors(&self, file: &str, gpus: u32) -> Vec<String> {
        let name = &self.spec.name;
        let place = |text: String| format!("{file}: LocalDeployment {name}: spec.{text}");
        let mut errors: Vec<String> = self.spec.validate().iter().map(|error| place(error.to_string())).collect();
        let wanted = self.spec.gpus_per_replica;
        if wanted > gpus {
            errors.push(place(format!("gpusPerReplica: {wanted} is more than there are (allowed: 0 to {gpus})")));
        }
        if usize::try_from(self.replicas).is_ok_and(|count| count > MAX_REPLICAS_PER_GROUP) {
            let count = self.replicas;
            errors.push(place(format!("replicas: {count} is too many (allowed: 0 to {MAX_REPLICAS_PER_GROUP})")));
        }
        errors
    }

    /// Whether running replicas would have to be started again to be what `other` says.
    #[must_use]
    pub fn runs_as(&self, other: &Self) -> bool {
        let (mine, theirs) = (&self.spec, &other.spec);
        (&mine.command, &mine.env, &mine.working_dir, mine.gpus_per_replica)
            == (&theirs.command, &theirs.env, &theirs.working_dir, theirs.gpus_per_replica)
    }
}
