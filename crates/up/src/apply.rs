//! Makes a manifest so: groups are added, changed, resized and removed. All of it is checked before anything is changed.

use crate::roll::Rolls;
use crate::scale;
use crate::setup::{GroupSetup, Setup};
use crate::world::World;
use local_world::ReplicaStatus;

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
        for problem in self.plans.configure(&self.setup, self.clock) {
            self.warn(problem);
        }
        self.fleet.configure(self.setup.specs());
        if !kept.is_empty() {
            self.keep_what_needs_a_restart(&old);
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
        self.warn(format!("{}{}, and are replaced one after the other", outdated_prefix(group), outdated.join(", ")));
        self.rolls.begin(group);
    }

    /// Goes on replacing outdated replicas, and says where that is done.
    pub(crate) fn roll(&mut self, statuses: &[ReplicaStatus]) {
        for group in self.rolls.turn(statuses, &self.supervisor, &self.gateway, &self.drains) {
            let problem = outdated_prefix(&group);
            self.view.write(|view| view.problems.retain(|one| !one.starts_with(&problem)));
            self.say(format!("{group}: no replica is outdated any more"));
        }
    }

    /// What is set up once for a whole run stays as it is, and is said each time that the manifest wants it otherwise.
    fn keep_what_needs_a_restart(&mut self, old: &Setup) {
        let (old, new) = (&old.world, self.setup.world.clone());
        let kept = &mut self.setup.world;
        (kept.gateway, kept.dashboard, kept.gpus) = (old.gateway, old.dashboard, old.gpus.clone());
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

fn outdated_prefix(group: &str) -> String {
    format!("{group}: these replicas run what the manifest said before: ")
}

#[cfg(test)]
mod tests {
    use crate::testing::{group, scaled, setup, world};

    #[tokio::test]
    async fn a_refused_manifest_changes_nothing() {
        let mut world = world(&[group("a", "replicas: 1"), group("b", "replicas: 0")]).await;
        for bad in ["gpusPerReplica: 3", "replicas: 600"] {
            let refused = setup(&[group("a", "replicas: 2"), group("c", bad)]);
            assert!(world.apply(refused).is_err(), "{bad}");
            assert_eq!(world.supervisor.groups(), ["a", "b"], "{bad}");
            assert_eq!(world.groups(), ["a", "b"], "{bad}");
            assert_eq!(world.size("a"), 1, "{bad}");
        }
    }

    #[tokio::test]
    async fn all_errors_of_a_manifest_are_said_at_once() {
        let mut world = world(&[group("a", "")]).await;
        let bad = setup(&[group("a", "gpusPerReplica: 3"), group("b", "gpusPerReplica: 4, replicas: 600")]);
        let said = world.apply(bad).unwrap_err().to_string();
        let [first, second, third] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
        assert_eq!(first, "f: LocalDeployment a: spec.gpusPerReplica: 3 is more than there are (allowed: 0 to 2)");
        assert!(second.contains("LocalDeployment b: spec.gpusPerReplica"), "{second}");
        assert_eq!(third, "error: f: LocalDeployment b: spec.replicas: 600 is too many (allowed: 0 to 512)");
    }

    #[tokio::test]
    async fn a_group_that_is_gone_leaves_the_gateway_and_its_model_is_free() {
        let mut world = world(&[group("a", "replicas: 0"), group("b", "replicas: 0")]).await;
        world.apply(setup(&[group("c", "replicas: 0, models: [a, b]")])).unwrap();
        assert_eq!((world.groups(), world.supervisor.groups()), (vec!["c".to_owned()], vec!["c".to_owned()]));
    }

    #[tokio::test]
    async fn two_groups_exchange_their_models() {
        let mut world = world(&[group("a", "replicas: 0, models: [x]"), group("b", "replicas: 0, models: [y]")]).await;
        let exchanged = [group("a", "replicas: 0, models: [y]"), group("b", "replicas: 0, models: [x]")];
        world.apply(setup(&exchanged)).unwrap();
    }

    #[tokio::test]
    async fn a_group_without_an_autoscaler_is_resized() {
        let mut world = world(&[group("a", "replicas: 1")]).await;
        world.apply(setup(&[group("a", "replicas: 3")])).unwrap();
        assert_eq!(world.size("a"), 3);
        world.apply(setup(&[group("a", "replicas: 2")])).unwrap();
        assert_eq!(world.size("a"), 2);
    }

    #[tokio::test]
    async fn taking_an_autoscaler_away_is_no_decision_on_the_size() {
        let mut world = world(&[group("a", "replicas: 3"), scaled("a", 4)]).await;
        world.apply(setup(&[group("a", "")])).unwrap();
        assert_eq!(world.size("a"), 3);
        assert_eq!(world.problems(), ["a has no autoscaler any more, and stays as large as it is"]);
        world.apply(setup(&[group("a", "replicas: 2")])).unwrap();
        assert_eq!(world.size("a"), 2, "a size that is said is one");
    }

    #[tokio::test]
    async fn changed_bounds_are_the_autoscalers_business() {
        let mut world = world(&[group("a", "replicas: 3"), scaled("a", 4)]).await;
        world.apply(setup(&[group("a", "replicas: 3"), scaled("a", 5)])).unwrap();
        assert_eq!(world.size("a"), 3);
    }

    #[tokio::test]
    async fn what_takes_a_restart_is_said() {
        let documents = [group("a", "replicas: 0")];
        let mut world = world(&documents).await;
        let place = "---\napiVersion: local.autoscaling.aibrix.ai/v1alpha1\nkind: LocalWorld\nmetadata: { name: w }\n\
                     spec: { gatewayAddress: '127.0.0.1:1' }\n";
        world.apply(setup(&[documents[0].clone(), place.to_owned()])).unwrap();
        let said = "LocalWorld: spec.gatewayAddress was changed; that takes a restart of this program";
        assert_eq!(world.problems(), [said]);
        world.apply(setup(&documents)).unwrap();
        assert_eq!(world.problems(), [""; 0], "it is as it was at the start");
    }
}
