//! One model: the objects that serve it are planned together. Pure; what computes long is [`Model::step`].

use super::feed::Look;
use super::store::Saved;
use autoscaler_api::resolved::ResolvedAutoscaler;
use autoscaler_core::Timestamp;
use autoscaler_core::fleet::Plan;
use autoscaler_planning::{Objective, Planning, Seen, SettingsError, Sized, State, TargetSeen};
use autoscaler_runtime::planning::{Known, settings};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What an object reports at a tick.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    /// What its manifest asks for, with the bounds that hold now.
    pub(crate) object: Arc<ResolvedAutoscaler>,
    pub(crate) known: Known,
    pub(crate) look: Look,
    /// Seconds between two reports.
    pub(crate) every: f64,
}

/// A model's planning, and the objects that it is for.
#[derive(Debug, Default)]
pub(crate) struct Model {
    members: BTreeMap<String, Member>,
    planning: Option<Planning>,
    /// The planning's targets, in its order.
    names: Vec<String>,
    /// What was learnt by a planning that is no more.
    kept: Option<(Vec<String>, State)>,
    /// When the planning took over, and when it looked last.
    began: f64,
    looked: Option<f64>,
    plan: Option<Arc<Plan>>,
}

#[derive(Debug)]
struct Member {
    report: Report,
    /// Whether it reported since the last step.
    news: bool,
}

/// An object that reported nothing for so many seconds, and reports, is planned without.
const SILENT: (f64, f64) = (60.0, 3.0);
/// Sizes, outcomes and start-ups that wait for a step; what came first goes first.
const WAITING: usize = 4096;
/// A planning that begins takes nothing away for one start-up, and at most for so many seconds.
const LONGEST_BEGIN: f64 = 600.0;

impl Model {
    /// Begins where an earlier one left off.
    pub(crate) fn resume(saved: Saved) -> Self {
        Self { kept: Some((saved.targets, saved.state)), plan: saved.plan.map(Arc::new), ..Self::default() }
    }

    /// The latest plan, fresh or not.
    pub(crate) fn plan(&self) -> Option<Arc<Plan>> {
        self.plan.clone()
    }

    /// What a request must keep.
    pub(crate) fn objective(&self) -> Option<Objective> {
        self.planning.as_ref().map(|planning| planning.settings().objective)
    }

    /// Whether nobody is planned for.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// An object is gone.
    pub(crate) fn forget(&mut self, name: &str) {
        self.members.remove(name);
    }

    /// Takes a report; answers whether all have reported since the last step.
    pub(crate) fn take(&mut self, mut report: Report) -> bool {
        let (name, at) = (report.object.name.clone(), report.look.at);
        if let Some(member) = self.members.remove(&name).filter(|member| member.news) {
            // What was not looked at yet.
            let Look { sizes, outcomes, started, .. } = member.report.look;
            join(&mut report.look.sizes, sizes);
            join(&mut report.look.outcomes, outcomes);
            join(&mut report.look.started, started);
        }
        self.members.insert(name, Member { report, news: true });
        let silent = |report: &Report| at - report.look.at >= SILENT.0.max(SILENT.1 * report.every);
        self.members.retain(|_, member| !silent(&member.report));
        self.members.values().all(|member| member.news)
    }

    /// Shows the planning what was reported, and asks for a plan. It may take some tenths of a second.
    pub(crate) fn step(&mut self) -> Result<(), SettingsError> {
        self.configure()?;
        let Some(planning) = &mut self.planning else { return Ok(()) };
        let looks: Vec<&Look> = self.members.values().map(|member| &member.report.look).collect();
        let now = looks.iter().map(|look| look.at).fold(f64::NEG_INFINITY, f64::max);
        if !now.is_finite() || self.looked.is_some_and(|looked| now <= looked) {
            return Ok(());
        }
        let arrivals = rate(&looks).zip(self.looked).map(|(rate, looked)| rate * (now - looked));
        let sizes: Vec<Sized> = looks.iter().flat_map(|look| &look.sizes).copied().collect();
        let outcomes: Vec<_> = looks.iter().flat_map(|look| &look.outcomes).copied().collect();
        let targets: Vec<TargetSeen<'_>> = looks
            .iter()
            .map(|look| TargetSeen { wanted: look.wanted, ready: look.ready, started: &look.started })
            .collect();
        planning.observe(&Seen {
            now,
            arrivals,
            input_tokens: None,
            backlog_tokens: looks.iter().map(|look| look.backlog_tokens).sum(),
            sizes: &sizes,
            outcomes: &outcomes,
            targets: &targets,
        });
        if self.looked.replace(now).is_none() {
            self.began = now;
        }
        let begins = now - self.began < planning.horizon().min(LONGEST_BEGIN);
        if let Some(plan) = planning.plan(now) {
            let mut plan = Plan { made_at: Timestamp::from_secs(plan.made_at), replicas: plan.replicas, why: plan.why };
            if begins {
                // It has seen little; what runs, somebody wanted.
                for (name, member) in &self.members {
                    if let Some(count) = plan.replicas.get_mut(name)
                        && *count < member.report.look.wanted
                    {
                        *count = member.report.look.wanted;
                        plan.why
                            .entry(name.clone())
                            .or_default()
                            .push_str("; the planning begins, and takes nothing away yet");
                    }
                }
            }
            if let Some(before) = self.plan.as_ref().filter(|before| before.made_at == plan.made_at) {
                // Nothing has arrived that could be counted, and a plan must not go down on nothing.
                for (name, count) in &mut plan.replicas {
                    *count = before.replicas.get(name).copied().unwrap_or(0).max(*count);
                }
            }
            self.plan = Some(Arc::new(plan));
        }
        for member in self.members.values_mut() {
            // One that is late must not be heard twice.
            let Look { sizes, outcomes, started, .. } = &mut member.report.look;
            sizes.clear();
            outcomes.clear();
            started.clear();
            member.news = false;
        }
        Ok(())
    }

    /// What to save; none before anything was learnt.
    pub(crate) fn saved(&self, key: &str) -> Option<Saved> {
        let (targets, state) = match (&self.planning, &self.kept) {
            (Some(planning), _) => (self.names.clone(), planning.state()),
            (None, Some(kept)) => kept.clone(),
            (None, None) => return None,
        };
        Some(Saved::new(key, targets, state, self.plan.as_deref().cloned()))
    }

    /// Makes the planning anew where manifests, profiles or objects have changed; what was learnt stays.
    fn configure(&mut self) -> Result<(), SettingsError> {
        let objects: Vec<(&ResolvedAutoscaler, Known)> =
            self.members.values().map(|member| (&*member.report.object, member.report.known.clone())).collect();
        if objects.is_empty() {
            return Ok(());
        }
        let wanted = settings(&objects, 0.0);
        if self.planning.as_ref().is_some_and(|planning| *planning.settings() == wanted) {
            return Ok(());
        }
        let names: Vec<String> = self.members.keys().cloned().collect();
        if let Some(planning) = self.planning.take() {
            self.kept = Some((std::mem::take(&mut self.names), planning.state()));
        }
        let mut planning = Planning::new(wanted)?;
        if let Some((before, state)) = &self.kept {
            let now = self.members.values().map(|member| member.report.look.at).fold(0.0, f64::max);
            if let Err(error) = planning.restore(state.clone().arranged(before, &names), now) {
                tracing::warn!("what an earlier planning has learnt is left out: {error}");
            }
        }
        (self.planning, self.names, self.looked) = (Some(planning), names, None);
        Ok(())
    }
}

/// Requests a second over all objects; none where one that serves tells nothing, or none serves: a plan must not rest on a part.
fn rate(looks: &[&Look]) -> Option<f64> {
    let mut sum = None;
    for look in looks {
        match look.rate {
            Some(rate) => sum = Some(sum.unwrap_or(0.0) + rate),
            None if look.ready > 0 => return None,
            None => {}
        }
    }
    sum
}

fn join<T>(later: &mut Vec<T>, mut earlier: Vec<T>) {
    earlier.append(later);
    let extra = earlier.len().saturating_sub(WAITING);
    earlier.drain(..extra);
    *later = earlier;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planning::testing::{ENGINE, object};
    use std::collections::BTreeSet;

    fn report(name: &str, at: f64, rate: Option<f64>, wanted: u32) -> Report {
        let known = Known::from_json(ENGINE).unwrap();
        let sizes = vec![Sized { arrived: at - 60.0, input: 1000.0, output: 200.0, count: rate.unwrap_or(0.0) * 5.0 }];
        let look = Look { at, rate, sizes, wanted, ready: wanted, ..Look::default() };
        Report { object: Arc::new(object(name)), known, look, every: 5.0 }
    }

    fn run(model: &mut Model, from: f64, ticks: u32, rate: Option<f64>, wanted: u32) {
        for tick in 0..ticks {
            assert!(model.take(report("chat", from + 5.0 * f64::from(tick), rate, wanted)));
            model.step().unwrap();
        }
    }

    fn count(model: &Model, name: &str) -> Option<u32> {
        model.plan()?.replicas.get(name).copied()
    }

    #[test]
    fn load_asks_for_more_and_its_end_for_fewer_once_the_planning_knows_enough() {
        let mut model = Model::default();
        run(&mut model, 1000.0, 2, Some(0.2), 4);
        assert_eq!(count(&model, "chat"), Some(4), "one that begins takes nothing away");
        run(&mut model, 1010.0, 60, Some(0.2), 4);
        assert_eq!(count(&model, "chat"), Some(1));
        run(&mut model, 1310.0, 60, Some(60.0), 1);
        assert!(count(&model, "chat").unwrap() > 4, "{:?}", model.plan());
    }

    #[test]
    fn a_gap_ages_the_plan_and_is_not_taken_for_silence() {
        let mut model = Model::default();
        run(&mut model, 1000.0, 60, Some(60.0), 3);
        let (before, made_at) = (count(&model, "chat").unwrap(), model.plan().unwrap().made_at);
        assert!(before > 1);
        run(&mut model, 1300.0, 12, None, 3);
        assert_eq!((count(&model, "chat"), model.plan().unwrap().made_at), (Some(before), made_at));
    }

    #[test]
    fn what_is_saved_is_taken_up_with_its_plan_and_takes_nothing_away_at_once() {
        let mut model = Model::default();
        run(&mut model, 1000.0, 60, Some(60.0), 3);
        let (saved, before) = (model.saved("ml/chat").unwrap(), count(&model, "chat").unwrap());
        let mut next = Model::resume(Saved::unpack(&saved.pack().unwrap()).unwrap());
        assert_eq!(count(&next, "chat"), Some(before));
        run(&mut next, 1320.0, 3, Some(0.1), before);
        assert!(count(&next, "chat").unwrap() >= before);
    }

    #[test]
    fn objects_of_one_model_share_a_plan_and_one_that_falls_silent_is_planned_without() {
        let mut model = Model::default();
        for tick in 0..40 {
            let at = 1000.0 + 5.0 * f64::from(tick);
            model.take(report("a", at, Some(20.0), 1));
            if tick < 20 {
                assert!(model.take(report("b", at + 1.0, Some(20.0), 1)));
            }
            model.step().unwrap();
        }
        let plan = model.plan().unwrap();
        let planned: BTreeSet<&str> = plan.replicas.keys().map(String::as_str).collect();
        assert_eq!(planned, BTreeSet::from(["a"]));
        model.take(report("b", 1200.0, Some(20.0), 1));
        model.take(report("a", 1200.0, Some(20.0), 1));
        model.step().unwrap();
        model.take(report("a", 1205.0, Some(20.0), 1));
        assert!(model.take(report("b", 1205.0, Some(20.0), 1)), "both have news");
        model.step().unwrap();
        assert_eq!(model.plan().unwrap().replicas.len(), 2);
    }
}
