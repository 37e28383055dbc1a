//! One turn of one object: see its target and pods, look at its metrics, let the core decide, write what changed, and say so.

use crate::clock;
use crate::conflict::Verdict;
use crate::context::Context;
use crate::hpa;
use crate::look::Eyes;
use crate::observe;
use crate::plan::Plan;
use crate::pods::{self, Startup};
use crate::status::{Facts, Wrote};
use crate::target::{ScaleTarget, ScaleView, TargetError};
use crate::victims;
use crate::voice::Voice;
use crate::worker::Assignment;
use autoscaler_api::resolve;
use autoscaler_api::resolved::ResolvedAutoscaler;
use autoscaler_api::v1alpha1::{ScalingStrategy, ScheduledBounds};
use autoscaler_core::fleet::Observation;
use autoscaler_core::observe::TargetObservation;
use autoscaler_core::spec::{Mode, Strategy};
use autoscaler_core::{Fleet, TargetDecision, Timestamp};
use kube::ResourceExt;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

/// One object's turns, and what it remembers between them.
pub(crate) struct Turns {
    context: Arc<Context>,
    assignment: Arc<Assignment>,
    /// What the manifest asks for; else every reason why it cannot be acted upon.
    read: Result<(ResolvedAutoscaler, Plan), String>,
    fleet: Fleet,
    eyes: Eyes,
    /// The target as it was read last.
    scale: Option<ScaleView>,
    /// The pods of the last turn, for the samples between.
    seen: Option<TargetObservation>,
    voice: Voice,
    startup: Startup,
}

impl Turns {
    /// Begins where the memory of the object left off.
    pub(crate) fn new(context: Arc<Context>, assignment: Arc<Assignment>) -> Self {
        let read = read(&context, &assignment);
        let mut fleet = Fleet::new(specs(&read), Vec::new());
        let uid = assignment.object.uid().unwrap_or_default();
        let saved = context.memories.lock().unwrap_or_else(PoisonError::into_inner).get(&uid).cloned();
        if let Some((_, state)) = saved {
            fleet.resume(state);
        }
        let eyes = Eyes::new(context.options.interval);
        let voice = Voice::new(&context, &assignment.object);
        Self { context, assignment, read, fleet, eyes, scale: None, seen: None, voice, startup: Startup::default() }
    }

    /// Takes a changed object; what it remembers stays.
    pub(crate) fn assign(&mut self, assignment: Arc<Assignment>) {
        if assignment.object.spec.scale_target_ref != self.assignment.object.spec.scale_target_ref {
            self.scale = None;
        }
        self.assignment = assignment;
        self.read = read(&self.context, &self.assignment);
        self.fleet.configure(specs(&self.read));
    }

    /// The object is gone: its replicas stay as they are.
    pub(crate) fn gone(&self) {
        let object = &self.assignment.object;
        self.context.metrics.gone(&object.namespace().unwrap_or_default(), &object.name_any());
        let mut memories = self.context.memories.lock().unwrap_or_else(PoisonError::into_inner);
        memories.remove(&object.uid().unwrap_or_default());
    }

    /// A sample between ticks, of what was read last: Knative's windows want one a second.
    pub(crate) fn sample(&mut self, now: Timestamp) {
        let Ok((_, plan)) = &self.read else { return };
        let Some(seen) = self.seen.as_mut().filter(|_| matches!(plan.spec.strategy, Strategy::Kpa(_))) else { return };
        observe::refresh(seen, plan, &self.eyes, now);
        let observation = Observation { targets: BTreeMap::from([(plan.spec.name.clone(), seen.clone())]), plan: None };
        self.fleet.record(now, &observation);
    }

    /// A tick.
    pub(crate) async fn turn(&mut self, now: Timestamp) {
        let object = Arc::clone(&self.assignment.object);
        let mut facts = Facts { generation: object.metadata.generation, ..Facts::default() };
        match &self.read {
            Err(why) => facts.invalid = Some(why.clone()),
            Ok(_) => self.act(now, &mut facts).await,
        }
        self.voice.say(&self.context, &object, &facts, now).await;
    }

    async fn act(&mut self, now: Timestamp, facts: &mut Facts) {
        let Ok((resolved, plan)) = self.read.clone() else { return };
        facts.conflict = match (&self.assignment.verdict, &self.assignment.rival) {
            (Verdict::Taken(owner), _) => Some(format!("PodAutoscaler {owner} is older and scales the same target")),
            // One that is about to become ours is no rival.
            (Verdict::Free, Some(hpa)) if hpa::adopts(&self.assignment.object, hpa) => None,
            (Verdict::Free, Some(hpa)) if plan.spec.mode == Mode::Apply => {
                Some(format!("HorizontalPodAutoscaler {hpa} scales the same target"))
            }
            _ => None,
        };
        if facts.conflict.is_some() {
            return;
        }
        if resolved.strategy == ScalingStrategy::Hpa {
            self.native(now, &resolved, &plan, facts).await;
            return;
        }
        // What the strategy before it has left behind would go on scaling.
        if let Some(hpa) = self.assignment.hpa.clone().filter(|_| self.context.may_write())
            && let Err(why) = hpa::remove(&self.context.client, &self.assignment.object, &hpa).await
        {
            facts.unable = Some(("FailedRemoveHPA", why));
            return;
        }
        let namespace = self.assignment.object.namespace().unwrap_or_default();
        let (target, view) = match self.target(&namespace, &resolved).await {
            Ok(found) => found,
            Err(error) => {
                facts.unable = Some(("FailedGetScale", error.to_string()));
                return;
            }
        };
        let views = self.context.pods.select(&namespace, &view.selector);
        self.startup.see(&views);
        let replicas = pods::replicas(&views, view.replicas);
        let selector = view.selector.to_string();
        self.eyes.look(&self.context, &namespace, &selector, &plan, &replicas.serving).await;
        // Looking takes time, and what is decided is decided of now.
        let now = clock::now().max(now);
        let mut seen = observe::observation(&view, replicas.pods);
        observe::refresh(&mut seen, &plan, &self.eyes, now);
        let name = plan.spec.name.clone();
        let observation = Observation { targets: BTreeMap::from([(name.clone(), seen.clone())]), plan: None };
        let decision = self.fleet.step(now, &observation).targets.remove(&name);
        facts.replicas = Some(view.replicas);
        facts.metrics = observe::shown(&seen, &plan, &self.eyes);
        facts.startup = self.startup.distribution();
        facts.bounds = Some(bounds(&plan, now));
        self.seen = Some(seen);
        let Some(decision) = decision else { return };
        self.context.metrics.decided(&namespace, &name, resolved.strategy.as_str(), &decision);
        if plan.spec.mode == Mode::Apply && decision.desired != view.replicas {
            let pods = self.seen.iter().flat_map(|seen| &seen.pods).flatten();
            let costs = if decision.desired < view.replicas
                && self.context.options.deletion_cost
                && in_replica_sets(&resolved.target.kind)
            {
                victims::costs(&views, &pods.cloned().collect::<Vec<_>>())
            } else {
                Vec::new()
            };
            facts.wrote = self.write(&target, &view, &decision, costs).await;
        }
        facts.decision = Some(decision);
        let uid = self.assignment.object.uid().unwrap_or_default();
        self.context.memories.lock().unwrap_or_else(PoisonError::into_inner).insert(uid, (now, self.fleet.state()));
        let stuck = pods::stuck(&views, plan.spec.pending_deadline, now);
        self.voice.stuck(&self.context, &stuck);
    }

    /// Keeps the native HPA as the manifest says, and passes on what it reports.
    async fn native(&self, now: Timestamp, resolved: &ResolvedAutoscaler, plan: &Plan, facts: &mut Facts) {
        let object = &self.assignment.object;
        if !self.context.native_hpa {
            let why = "the server has no autoscaling/v2 (Kubernetes 1.23 and later), which scalingStrategy HPA needs";
            facts.unable = Some(("NotSupported", why.to_owned()));
            return;
        }
        let bounds = plan.spec.schedules.effective(now, plan.spec.bounds).bounds;
        facts.bounds = Some(self::bounds(plan, now));
        let wanted = match hpa::wanted(object, resolved, bounds) {
            Ok(wanted) => wanted,
            Err(why) => {
                facts.unable = Some(("NotSupported", why));
                return;
            }
        };
        let live = self.assignment.hpa.as_deref();
        if plan.spec.mode == Mode::Apply
            && self.context.may_write()
            && let Err(why) = hpa::apply(&self.context.client, object, &wanted, live).await
        {
            facts.unable = Some(("FailedUpdateHPA", why));
            return;
        }
        let Some(status) = live.and_then(|live| live.status.as_ref()) else { return };
        facts.replicas = status.current_replicas.and_then(|count| u32::try_from(count).ok());
        facts.hpa_desired = Some(status.desired_replicas);
        // Under names of their own: HPA's AbleToScale is not ours.
        let conditions = status.conditions.iter().flatten();
        let mirrored = conditions.map(|one| {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            (format!("HPA{}", one.type_), one.status.clone(), text(&one.reason), text(&one.message))
        });
        facts.mirrored = mirrored.collect();
    }

    /// The target; read anew only where it may have changed.
    async fn target(
        &mut self,
        namespace: &str,
        resolved: &ResolvedAutoscaler,
    ) -> Result<(ScaleTarget, ScaleView), TargetError> {
        let given = &resolved.target;
        let kind = self.context.kinds.find(&given.api_version, &given.kind).await?;
        let revision = self.context.watch.revision(&kind, namespace, &given.name);
        let target = ScaleTarget::of(&self.context.client, namespace, kind, given)?;
        if let (Some(known), Some(revision)) = (&self.scale, &revision)
            && known.revision.as_ref() == Some(revision)
        {
            return Ok((target, known.clone()));
        }
        self.scale = None;
        let view = target.get().await?;
        self.scale = Some(view.clone());
        Ok((target, view))
    }

    async fn write(
        &mut self,
        target: &ScaleTarget,
        view: &ScaleView,
        decision: &TargetDecision,
        costs: Vec<(String, i32)>,
    ) -> Wrote {
        let (from, to) = (view.replicas, decision.desired);
        if !self.context.may_write() {
            return Wrote::Failed(from, to, "this controller does not hold the lease".to_owned());
        }
        if !costs.is_empty() {
            let namespace = self.assignment.object.namespace().unwrap_or_default();
            if let Err(why) = victims::mark(&self.context.client, &namespace, costs).await {
                tracing::debug!(
                    autoscaler = self.assignment.object.name_any(),
                    "pods were not marked to go first: {why}"
                );
            }
            if !self.context.may_write() {
                return Wrote::Failed(from, to, "this controller does not hold the lease".to_owned());
            }
        }
        // Whatever becomes of it, the count has to be read again.
        self.scale = None;
        match target.set(view, to).await {
            Ok(()) => {
                self.context.metrics.wrote("ok");
                tracing::info!(autoscaler = self.assignment.object.name_any(), from, to, decision.reason, "scaled");
                Wrote::Scaled(from, to)
            }
            Err(error) => {
                self.context.metrics.wrote(error.kind());
                Wrote::Failed(from, to, error.to_string())
            }
        }
    }
}

fn read(context: &Context, assignment: &Assignment) -> Result<(ResolvedAutoscaler, Plan), String> {
    let resolved = resolve(&assignment.object).map_err(|found| {
        let errors: Vec<String> = found.iter().filter(|one| one.is_error()).map(ToString::to_string).collect();
        errors.join("; ")
    })?;
    let plan = Plan::of(&resolved, &context.settings).map_err(|error| error.0.join("; "))?;
    Ok((resolved, plan))
}

fn specs(read: &Result<(ResolvedAutoscaler, Plan), String>) -> Vec<autoscaler_core::Spec> {
    read.iter().map(|(_, plan)| plan.spec.clone()).collect()
}

/// Whether pods of this kind are deleted by a ReplicaSet, which asks for their cost.
fn in_replica_sets(kind: &str) -> bool {
    matches!(kind, "Deployment" | "ReplicaSet")
}

fn bounds(plan: &Plan, now: Timestamp) -> ScheduledBounds {
    let effective = plan.spec.schedules.effective(now, plan.spec.bounds);
    let int = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    ScheduledBounds {
        active_schedule: effective.active.map(|schedule| schedule.name.clone()),
        effective_min_replicas: int(effective.bounds.min),
        effective_max_replicas: int(effective.bounds.max),
    }
}
