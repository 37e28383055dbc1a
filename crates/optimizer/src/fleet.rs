//! Deployments of a model, and what people have said about them. Must not know where they were found.

use crate::config::DeploymentConfig;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Replicas of a model on one GPU type.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Deployment {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) gpu: Option<String>,
    pub(crate) cost: Option<f64>,
    pub(crate) min: u32,
    pub(crate) max: Option<u32>,
    /// Replicas that it has, where a cluster says so.
    pub(crate) replicas: Option<u32>,
    /// Replicas at the start, where the configuration says so.
    pub(crate) initial: Option<u32>,
}

impl Deployment {
    /// What it is called everywhere: namespace and name.
    pub(crate) fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// What people know it by: its GPU type, else its name.
    pub(crate) fn shown(&self) -> &str {
        self.gpu.as_deref().unwrap_or(&self.name)
    }
}

impl From<&DeploymentConfig> for Deployment {
    fn from(config: &DeploymentConfig) -> Self {
        Self {
            namespace: config.namespace.clone(),
            name: config.name.clone(),
            gpu: config.gpu.clone(),
            cost: config.cost,
            min: config.min,
            max: config.max,
            replicas: None,
            initial: config.current,
        }
    }
}

/// The deployments of a model: those that are configured, those that a cluster has, and what people said.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Fleet {
    configured: BTreeMap<String, Deployment>,
    found: BTreeMap<String, Deployment>,
    pub(crate) said: Said,
}

/// What people said; it survives a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Said {
    /// Replicas that a deployment shall have, whatever the load.
    pub(crate) overrides: BTreeMap<String, u32>,
    /// Deployments that are not to be looked after.
    pub(crate) stopped: BTreeSet<String>,
}

impl Fleet {
    pub(crate) fn new(configured: impl IntoIterator<Item = Deployment>) -> Self {
        let configured = configured.into_iter().map(|one| (one.key(), one)).collect();
        Self { configured, ..Self::default() }
    }

    /// Takes what a cluster has of the model, all of it. Says whether anything is new.
    pub(crate) fn found(&mut self, found: BTreeMap<String, Deployment>) -> bool {
        let changed = self.found != found;
        self.found = found;
        changed
    }

    /// Whether the deployment is known, stopped or not.
    pub(crate) fn knows(&self, key: &str) -> bool {
        self.configured.contains_key(key) || self.found.contains_key(key)
    }

    /// All deployments that are looked after, by key. What the configuration says of one goes before what the cluster says.
    pub(crate) fn all(&self) -> BTreeMap<String, Deployment> {
        let mut all = self.found.clone();
        for (key, own) in &self.configured {
            let found = all.remove(key);
            let merged = found.map_or_else(
                || own.clone(),
                |found| Deployment {
                    gpu: own.gpu.clone().or(found.gpu),
                    cost: own.cost.or(found.cost),
                    min: own.min.max(found.min),
                    max: own.max.or(found.max),
                    replicas: found.replicas,
                    ..own.clone()
                },
            );
            all.insert(key.clone(), merged);
        }
        all.retain(|key, _| !self.said.stopped.contains(key));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_goes_before_what_is_found_and_stopped_ones_are_left_out() {
        let one = |name: &str, cost: Option<f64>, replicas: Option<u32>| Deployment {
            namespace: "ml".to_owned(),
            name: name.to_owned(),
            cost,
            replicas,
            ..Deployment::default()
        };
        let mut fleet = Fleet::new([one("a", Some(2.0), None)]);
        let found = [one("a", Some(1.0), Some(3)), one("b", None, Some(1))].map(|one| (one.key(), one));
        assert!(fleet.found(found.clone().into()));
        assert!(!fleet.found(found.into()), "nothing is new");
        let all = fleet.all();
        assert_eq!((all["ml/a"].cost, all["ml/a"].replicas, all.len()), (Some(2.0), Some(3), 2));
        fleet.said.stopped.insert("ml/b".to_owned());
        assert_eq!(fleet.all().len(), 1);
        assert!(fleet.knows("ml/b"));
    }
}
