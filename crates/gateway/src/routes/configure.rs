//! How groups come, change and go. A group that is removed while it has replicas serves no new request and is kept, unseen,
//! until its last one has left.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::group::Group;
use super::{RouteError, Routes, Table};
use crate::config::GroupConfig;

impl Routes {
    /// Adds a group or changes its models and limits; its replicas and waiting requests stay.
    pub(crate) fn set_group(&self, config: GroupConfig) -> Result<(), RouteError> {
        let mut table = self.lock();
        let taken = config.models.iter().find_map(|model| {
            let group = table.models.get(model).filter(|group| ***group != *config.name)?;
            Some(RouteError::ModelTaken { model: model.clone(), group: group.to_string() })
        });
        if let Some(error) = taken {
            return Err(error);
        }
        self.put(&mut table, config);
        Ok(())
    }

    /// Makes these the groups, and no others, in one step: so a model may move from one group to another.
    pub(crate) fn set_groups(&self, configs: Vec<GroupConfig>) -> Result<(), RouteError> {
        let mut owners: HashMap<&str, &str> = HashMap::new();
        for config in &configs {
            for model in &config.models {
                let owner = owners.insert(model, &config.name).filter(|owner| *owner != config.name);
                if let Some(group) = owner {
                    return Err(RouteError::ModelTaken { model: model.clone(), group: group.to_owned() });
                }
            }
        }
        let mut table = self.lock();
        let names: Vec<Arc<str>> = table.groups.keys().cloned().collect();
        let gone = names.iter().filter(|name| !configs.iter().any(|config| config.name == ***name));
        let queues: Vec<_> = gone.filter_map(|name| table.retire(name)).collect();
        table.models.clear();
        for config in configs {
            self.put(&mut table, config);
        }
        drop(table);
        drop(queues); // wakes the waiters, outside the lock
        Ok(())
    }

    /// Removes a group; requests waiting on it get 404.
    pub(crate) fn remove_group(&self, name: &str) -> Result<(), RouteError> {
        let queue = self.lock().retire(name).ok_or_else(|| RouteError::UnknownGroup(name.to_owned()))?;
        drop(queue); // wakes the waiters, outside the lock
        Ok(())
    }

    fn put(&self, table: &mut Table, config: GroupConfig) {
        let name: Arc<str> = Arc::from(config.name.as_str());
        table.models.retain(|_, group| *group != name);
        for model in &config.models {
            table.models.insert(model.clone(), Arc::clone(&name));
        }
        self.stats.add_group(&name);
        let group = table.groups.entry(Arc::clone(&name)).or_insert_with(|| Group::new(name));
        group.configure(config);
        // A raised limit per replica may let waiting requests go.
        group.dispatch(Instant::now());
    }

    /// The longest time of a request of this group, where it says one.
    pub(crate) fn request_timeout(&self, group: &str) -> Option<Duration> {
        self.lock().groups.get(group)?.request_timeout()
    }
}

impl Table {
    /// Ends a group's service. Answers its queue, to be dropped outside the lock; `None` where there is no such group.
    fn retire(&mut self, name: &str) -> Option<super::hold::Queue> {
        let group = self.groups.get_mut(name).filter(|group| !group.is_retired())?;
        let queue = group.retire();
        self.models.retain(|_, group| &**group != name);
        self.sweep(name);
        Some(queue)
    }

    /// Forgets a group that was removed once its last replica has left.
    pub(super) fn sweep(&mut self, name: &str) {
        if self.groups.get(name).is_some_and(|group| group.is_retired() && group.is_empty()) {
            self.groups.remove(name);
        }
    }
}
