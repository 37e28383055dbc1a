//! One turn of one object: see its target and pods, look at its metrics, let the core decide, write what changed, and say so.

use crate::clock;
use crate::conflict::Verdict;
use crate::context::Context;
use crate::hpa;
use crate::look::Eyes;
use crate::memory::Memory;
use crate::observe::{self, Seen};
use crate::plan::Plan;
use crate::planning::{Planner, Replicated};
use crate::pods::{self, Cost, PodView, StartUps};
use crate::scaling::{Known, Scaling};
use crate::status::{Facts, Wrote};
use crate::voice::Voice;
use crate::worker::Assignment;
use autoscaler_api::resolve;
use autoscaler_api::resolved::{Bounds, ResolvedAutoscaler};
use autoscaler_api::v1alpha1::{ScalingStrategy, ScheduledBounds};
use autoscaler_core::fleet::Observation;
use autoscaler_core::spec::{Mode, Strategy};
use autoscaler_core::{Fleet, Timestamp};
use autoscaler_runtime::decide::input::{PlanInput, Tick};
use autoscaler_runtime::decide::observe::{Clock, wire};
use kube::ResourceExt;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

/// One object's turns, and what it remembers between them.
pub(crate) struct Turns {
    context: Arc<Context>,
    assignment: Arc<Assignment>,
    /// What the manifest asks for; else every reason why it cannot be acted upon.
    read: Result<(ResolvedAutoscaler, Plan), String>,
    fleet: Fleet,
    eyes: Eyes,
    scaling: Scaling,
    /// The last turn's, for the samples between.
    seen: Option<Seen>,
    voice: Voice,
    startup: StartUps,
    planner: Planner,
    /// When a schedule next begins or ends.
    edge: Option<Timestamp>,
    /// A hash of the manifest that the recording has.
    told: AtomicU64,
}

impl Turns {
    /// Begins where the memory of the object left off.
    pub(crate) fn new(context: Arc<Context>, assignment: Arc<Assignment>) -> Self {
        let read = read(&context, &assignment);
        let mut fleet = Fleet::new(specs(&read), Vec::new());
        let uid = assignment.object.uid().unwrap_or_default();
        let saved = context.memories.lock().unwrap_or_else(PoisonError::into_inner).get(&uid).cloned();
        let mut startup = StartUps::default();
        if let Some(memory) = saved {
            fleet.resume(memory.state);
            startup = StartUps::resume(memory.startup, memory.at);
        }
        let eyes = Eyes::new(context.options.interval);
        let voice = Voice::new(&context, &assignment.object);
        Self {
            context,
            assignment,
            read,
            fleet,
            eyes,
            scaling: Scaling::default(),
            seen: None,
            voice,
            startup,
            planner: Planner::default(),
            edge: None,
            told: AtomicU64::new(0),
        }
    }

    /// Takes a changed object; what it remembers stays.
    pub(crate) fn assign(&mut self, assignment: Arc<Assignment>) {
        if assignment.object.spec.scale_target_ref != self.assignment.object.spec.scale_target_ref {
            self.scaling.forget();
        }
        self.assignment = assignment;
        self.read = read(&self.context, &self.assignment);
        self.fleet.configure(specs(&self.read));
    }

    /// The object is gone: its replicas stay as they are.
    pub(crate) fn gone(&mut self) {
        let object = &self.assignment.object;
        self.planner.let_go(&object.name_any());
        self.context.partners.say(&object.namespace().unwrap_or_default(), &object.name_any(), None, None);
        self.context.metrics.gone(&object.namespace().unwrap_or_default(), &object.name_any());
        let mut memories = self.context.memories.lock().unwrap_or_else(PoisonError::into_inner);
        memories.remove(&object.uid().unwrap_or_default());
    }

    /// When a schedule next begins or ends, as the last turn saw it.
    pub(crate) fn next_edge(&self) -> Option<Timestamp> {
        self.edge
    }

    /// A sample between ticks, of what was read last: Knative's windows want one a second.
    pub(crate) fn sample(&mut self, now: Timestamp) {
        let Ok((_, plan)) = &self.read else { return };
        let Some(seen) = self.seen.as_mut().filter(|_| matches!(plan.spec.strategy, Strategy::Kpa(_))) else { return };
        seen.refresh(plan, &self.eyes, now);
        let observed = observation(&plan.spec.name, seen);
        self.fleet.record(now, &observed);
        self.record(now, &observed, None);
    }

    /// A tick.
    pub(crate) async fn turn(&mut self, now: Timestamp) {
        let object = Arc::clone(&self.assignment.object);
        self.edge = self.read.as_ref().ok().and_then(|(_, plan)| plan.spec.schedules.next_edge(now));
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
        let known = match self.scaling.read(&self.context, &namespace, &resolved.target).await {
            Ok(known) => known,
            Err(error) => {
                facts.unable = Some(("FailedGetScale", error.to_string()));
                return;
            }
        };
        let view = &known.view;
        let views = known.selector.as_ref().map(|selector| self.context.pods.select(&namespace, selector));
        let replicas = views.as_ref().map(|views| {
            self.startup.observe(views);
            pods::replicas(views, known.target.grouping(), view.replicas, now).list
        });
        let views = views.unwrap_or_default();
        let mut seen = Seen::new(view, replicas);
        let selector = known.selector.is_some().then_some(view.selector.as_str());
        let plans = resolved.strategy.plans();
        if plans {
            self.planner.prepare(&self.context, &self.assignment.object, &resolved).await;
        } else {
            self.planner.let_go(&self.assignment.object.name_any());
        }
        let feed = plans.then(|| self.planner.feed());
        self.eyes.look(&self.context, &namespace, selector, &plan, &seen.leaders(), feed).await;
        // Looking takes time, and what is decided is decided of now.
        let now = clock::now().max(now);
        seen.refresh(&plan, &self.eyes, now);
        let name = plan.spec.name.clone();
        let mut observed = observation(&name, &seen);
        if plans {
            self.report(now, &resolved, &plan, &seen).await;
            observed.plan = self.planner.plan();
            facts.standing = self.planner.standing(&plan.spec, observed.plan.as_ref(), now);
        }
        let coordination = plan.spec.coordination.as_ref();
        self.fleet.set_partners(self.context.partners.of(&namespace, &name, coordination));
        let decision = self.fleet.step(now, &observed).targets.remove(&name);
        self.context.partners.say(&namespace, &name, coordination, self.fleet.side(&name));
        self.record(now, &observed, decision.as_ref().map(|decision| decision.desired));
        facts.replicas = Some(view.replicas);
        facts.metrics = observe::shown(&seen.target, &plan, &self.eyes);
        facts.startup = self.startup.summary();
        facts.bounds = Some(bounds(&plan, now));
        self.seen = Some(seen);
        let Some(decision) = decision else { return };
        self.context.metrics.decided(&namespace, &name, resolved.strategy.as_str(), &decision);
        if plan.spec.mode == Mode::Apply && decision.desired != view.replicas {
            let first = self.first_to_go(&known, &views, decision.desired);
            facts.wrote = self.scaling.write(&self.context, &known, decision.desired, &first).await;
            if let Wrote::Scaled(from, to) = facts.wrote {
                tracing::info!(autoscaler = name, namespace, from, to, decision.reason, "scaled");
            }
        }
        facts.decision = Some(decision);
        let uid = self.assignment.object.uid().unwrap_or_default();
        let memory = Memory { at: now, state: self.fleet.state(), startup: self.startup.measured().clone() };
        self.context.memories.lock().unwrap_or_else(PoisonError::into_inner).insert(uid, memory);
        let stuck = pods::stuck(&views, plan.spec.pending_deadline, now);
        self.voice.stuck(&self.context, &stuck);
    }

    /// Shows the planning what was seen, with the bounds that hold now.
    async fn report(&mut self, now: Timestamp, resolved: &ResolvedAutoscaler, plan: &Plan, seen: &Seen) {
        let bounds = plan.spec.schedules.effective(now, plan.spec.bounds).bounds;
        let bounds = Bounds { min: bounds.min, max: bounds.max };
        let resolved = ResolvedAutoscaler { bounds, ..resolved.clone() };
        let replicas =
            Replicated { wanted: seen.target.replicas, ready: seen.target.ready(), startup: self.startup.measured() };
        let pods: BTreeSet<Box<str>> = seen.leaders().iter().map(|pod| pod.name.clone()).collect();
        let every = self.context.options.interval.as_secs_f64();
        let object = &self.assignment.object;
        self.planner.report(now, object, resolved, replicas, every, |pod| pods.contains(pod)).await;
    }

    /// Writes down what was observed and decided, where that is asked for.
    fn record(&self, now: Timestamp, seen: &Observation, decided: Option<u32>) {
        let Some((recorder, epoch)) = &self.context.recorder else { return };
        let object = &self.assignment.object;
        // Names of several namespaces, in a form that a name may have.
        let namespace = object.namespace().unwrap_or_default();
        let name = format!("{namespace}.{}", object.name_any());
        // Annotations are settings, too, and do not raise the generation.
        let mut hasher = DefaultHasher::new();
        (object.metadata.generation, object.annotations()).hash(&mut hasher);
        let told = hasher.finish();
        if self.told.swap(told, Ordering::Relaxed) != told {
            recorder.autoscaler(&name, serde_json::json!(**object));
        }
        let mut tick = Tick::recorded(now.since(*epoch).as_secs(), decided.is_some());
        let targets = seen.targets.values();
        tick.targets = targets.map(|target| (name.clone(), wire(Clock { epoch: *epoch }, target))).collect();
        tick.plan = seen.plan.as_ref().map(|plan| PlanInput {
            made_at: Some(plan.made_at.since(*epoch).as_secs()),
            replicas: plan.replicas.iter().map(|(name, count)| (format!("{namespace}.{name}"), *count)).collect(),
            why: plan.why.iter().map(|(name, why)| (format!("{namespace}.{name}"), why.clone())).collect(),
        });
        tick.decided = decided.into_iter().map(|desired| (name.clone(), desired)).collect();
        recorder.tick(&tick);
    }

    /// What pods have to be marked with, so that the least busy go first.
    fn first_to_go(&self, known: &Known, views: &[Arc<PodView>], to: u32) -> Vec<Cost> {
        let fewer = known.view.replicas.saturating_sub(to);
        if fewer == 0 || !self.context.options.deletion_cost || !known.target.honours_deletion_cost() {
            return Vec::new();
        }
        let pods = self.seen.iter().flat_map(|seen| &seen.target.pods).flatten();
        let loads: BTreeMap<&str, f64> = pods.filter_map(|pod| Some((pod.name.as_str(), load(pod)?))).collect();
        pods::costs(
            views,
            |pod| loads.get(&*pod.name).copied(),
            usize::try_from(fewer).unwrap_or(usize::MAX),
            MOST_MARKS,
        )
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

/// Pods that are marked before one scale-down; larger ones take the rest as they come.
const MOST_MARKS: usize = 100;

/// How busy a pod is: the sum of its metrics; none where one of them is not known.
fn load(pod: &autoscaler_core::Pod) -> Option<f64> {
    let known: Option<Vec<f64>> = pod.metrics.values().map(autoscaler_core::Reading::fresh).collect();
    Some(known?.iter().sum()).filter(|_| !pod.metrics.is_empty())
}

fn observation(name: &str, seen: &Seen) -> Observation {
    Observation { targets: BTreeMap::from([(name.to_owned(), seen.target.clone())]), plan: None }
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
