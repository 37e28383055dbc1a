//! Makes a manifest so: groups are added, changed, resized and removed. All of it is checked before anything is changed.

use crate::roll::Rolls;
use crate::scale;
use crate::setup::{GroupSetup, Setup};
use crate::world::World;

impl World {
    /// Takes a manifest. What is refused changes nothing; what is taken is said where it does less than it seems to.
    pub(crate) fn apply(&mut self, setup: Setup) -> anyhow::Result<()> {
        setup.check(self.supervisor.gpu_count())?;
        // Refused as a whole where two groups have one model, and nothing was changed before it.
        self.gateway.set_groups(setup.groups.iter().map(|group| group.route.clone()).collect())?;
        let old = std::mem::replace(&mut self.setup, setup);
        let (notes, groups) = (self.setup.notes.clone(), self.setup.groups.clone());
        self.view.write(|view| view.problems.clone_from(&notes));
        for note in notes {
            self.say(note);
        }
        let running = self.supervisor.groups();
        let kept: Vec<&String> =
            running.iter().filter(|name| groups.iter().any(|group| group.spec.name == **name)).collect();
        for gone in running.iter().filter(|name| !kept.contains(name)) {
            self.remove(gone)?;
        }
        for group in &groups {
            let name = &group.spec.name;
            let before = old.group(name).filter(|_| kept.contains(&name));
            self.supervisor.set_group(group.spec.clone())?;
            if let Some(size) = self.new_size(group, before, &old) {
                let scaled = scale::scale(&self.supervisor, &self.gateway, &self.drains, name, size);
                if let Err(error) = scaled {
                    self.warn(format!("{name} cannot be made {size} replicas: {error}"));
                }
            }
            if before.is_some_and(|before| !before.runs_as(group)) {
                self.replace_outdated(name);
            }
        }
        self.fleet.configure(self.setup.specs());
        self.fleet.set_pools(self.setup.pools(self.supervisor.gpu_count()));
        if !kept.is_empty() {
            self.say_what_needs_a_restart(&old);
        }
        Ok(())
    }

    /// Ends a group. What is left of it drains; its name is free once that is done.
    fn remove(&mut self, name: &str) -> Result<(), local_world::Error> {
        self.rolls.forget(name, &self.supervisor, &self.gateway, &self.drains);
        scale::scale(&self.supervisor, &self.gateway, &self.drains, name, 0)?;
        self.supervisor.remove_group(name)
    }

    /// The size that the manifest asks for now, where it asks for another than before.
    fn new_size(&self, group: &GroupSetup, before: Option<&GroupSetup>, old: &Setup) -> Option<u32> {
        let Some(before) = before else { return Some(group.replicas) };
        let name = &group.spec.name;
        let said = group.declared.filter(|_| group.declared != before.declared);
        match (old.scales(name), self.setup.scales(name)) {
            (false, false) => (group.replicas != before.replicas).then_some(group.replicas),
            (true, false) if said.is_none() => {
                // As where an HPA is deleted: taking away who decides is no decision.
                self.warn(format!("{name} has no autoscaler any more, and stays as large as it is"));
                None
            }
            // As where a person scales what an autoscaler scales: it goes on from there.
            _ => said,
        }
    }

    fn replace_outdated(&mut self, group: &str) {
        let statuses = self.supervisor.status();
        let outdated: Vec<&str> = Rolls::outdated(&statuses, group).map(|status| status.id.as_str()).collect();
        if outdated.is_empty() {
            return;
        }
        let (list, count) = (outdated.join(", "), outdated.len());
        self.warn(format!("{group}: {count} outdated replicas ({list}) are replaced one after the other"));
        self.rolls.begin(group);
    }

    /// What is set up once for a whole run.
    fn say_what_needs_a_restart(&self, old: &Setup) {
        let (old, new) = (&old.world, &self.setup.world);
        let changed = [
            ("gatewayAddress", old.gateway != new.gateway),
            ("dashboardAddress", old.dashboard != new.dashboard),
            ("gpus", old.gpus != new.gpus),
        ];
        for (field, _) in changed.iter().filter(|(_, changed)| *changed) {
            self.warn(format!("LocalWorld: spec.{field} was changed; that takes a restart of this program"));
        }
    }
}
