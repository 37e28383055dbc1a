//! Asks the strategy: every source's answer, the highest of them, and what a failed source forbids.

use crate::fleet::Plan;
use crate::observe::TargetObservation;
use crate::signal::{self, Signal};
use crate::spec::{Apa, Kpa, Planned, Spec, Strategy};
use crate::state::TargetState;
use crate::time::Timestamp;
use crate::trail::{KpaFigures, Rule, Stage, Trail};
use crate::{apa, hpa, kpa, spec};

/// The strategy's own answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Answer {
    /// The count; none where it could not be formed.
    pub(crate) wanted: Option<u32>,
    /// Whether the answer rests on older samples alone.
    pub(crate) stale: bool,
    /// The metric that decided, or why there is no answer.
    pub(crate) because: String,
    /// Whether panic mode is on.
    pub(crate) panic: bool,
    /// KPA's figures of the source that decided.
    pub(crate) kpa: Option<KpaFigures>,
    /// What a fresh plan asks for.
    pub(crate) planned: Option<u32>,
}

impl Answer {
    /// The count to act upon: older samples alone may not scale down.
    pub(crate) fn formed(&self, current: u32) -> Option<u32> {
        self.wanted.filter(|&wanted| !(self.stale && wanted < current))
    }
}

/// Whether and how an autoscaler begins at this tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// It ran before.
    Running,
    /// First tick, with a history that somebody told.
    WithHistory,
    /// First tick, with nothing known.
    Fresh,
}

/// Takes a tick's samples into the windows of the strategies that have some.
pub(crate) fn record(
    spec: &Spec,
    state: &mut TargetState,
    now: Timestamp,
    seen: &TargetObservation,
    start: Start,
    trail: &mut Trail,
) {
    match &spec.strategy {
        Strategy::Kpa(settings) => {
            forget_others(&mut state.kpa, spec);
            for source in &spec.sources {
                let decider = decider(settings, state, &source.key, now, seen, start);
                decider.record(&kpa_context(spec, settings, source, now, seen), trail);
            }
        }
        Strategy::Apa(settings) | Strategy::Hybrid(_, settings) => {
            forget_others(&mut state.apa, spec);
            for source in &spec.sources {
                let context = apa_context(spec, settings, source, now, seen, seen.replicas);
                state.apa.entry(source.key.clone()).or_default().record(&context, trail);
            }
        }
        Strategy::Hpa(_) | Strategy::Optimizer(_) => {}
    }
}

/// The strategy's answer at a tick that was recorded.
pub(crate) fn answer(
    spec: &Spec,
    state: &mut TargetState,
    now: Timestamp,
    seen: &TargetObservation,
    plan: Option<&Plan>,
    trail: &mut Trail,
) -> Answer {
    match &spec.strategy {
        Strategy::Hpa(settings) => {
            let answers = spec.sources.iter().map(|source| {
                let context = hpa::Context { now, settings, tolerance: spec.tolerance, source, seen };
                (source.key.as_str(), hpa::answer(&context, trail))
            });
            let answers: Vec<_> = answers.collect();
            highest(&answers, seen.replicas, trail)
        }
        Strategy::Kpa(settings) => kpa_answer(spec, settings, state, now, seen, trail),
        Strategy::Apa(settings) => apa_answer(spec, settings, state, now, seen, trail),
        Strategy::Optimizer(settings) => planned(spec, settings, now, plan, trail),
        Strategy::Hybrid(settings, apa) => {
            let reactive = apa_answer(spec, apa, state, now, seen, trail);
            hybrid(spec, settings, now, seen.replicas, plan, reactive, trail)
        }
    }
}

/// The load that a target at zero is woken by: the highest of its fleet-wide totals.
pub(crate) fn load(spec: &Spec, seen: &TargetObservation) -> Option<f64> {
    let totals = spec.sources.iter().filter_map(|source| match signal::read(source, seen) {
        Ok(Signal::Total(total)) => Some(total),
        Ok(Signal::PerPod { present, .. }) => Some(present.iter().sum()),
        Err(_) => None,
    });
    totals.fold(None, |highest: Option<f64>, total| Some(highest.map_or(total, |value| value.max(total))))
}

fn kpa_answer(
    spec: &Spec,
    settings: &Kpa,
    state: &mut TargetState,
    now: Timestamp,
    seen: &TargetObservation,
    trail: &mut Trail,
) -> Answer {
    let mut decided = Vec::new();
    let mut answers = Vec::new();
    for source in &spec.sources {
        let decider = decider(settings, state, &source.key, now, seen, Start::Running);
        let answer = decider.decide(&kpa_context(spec, settings, source, now, seen), trail);
        if let Ok(found) = &answer {
            let rule = match found.wanted.cmp(&seen.replicas) {
                std::cmp::Ordering::Greater => Rule::AboveTarget,
                std::cmp::Ordering::Less => Rule::BelowTarget,
                std::cmp::Ordering::Equal => Rule::WithinTolerance,
            };
            let (stable, panic) = (found.figures.stable, found.figures.panic_average);
            let target = settings.target.unwrap_or(source.target);
            let detail = format!("{}: stable {stable}, panic {panic}, target {target} per replica", source.key);
            trail.push(Stage::Metric, rule, seen.replicas, found.wanted, detail);
            decided.push((found.wanted, *found));
        }
        answers.push((source.key.as_str(), answer.map(|found| found.wanted)));
    }
    let mut answer = highest(&answers, seen.replicas, trail);
    answer.panic = decided.iter().any(|(_, found)| found.panic);
    answer.stale = decided.iter().any(|(_, found)| found.stale);
    // The first of equals decides, as in the combination of the counts.
    let decisive = decided.iter().rev().max_by_key(|(wanted, _)| *wanted);
    answer.kpa = decisive.map(|(_, found)| found.figures);
    answer
}

fn apa_answer(
    spec: &Spec,
    settings: &Apa,
    state: &mut TargetState,
    now: Timestamp,
    seen: &TargetObservation,
    trail: &mut Trail,
) -> Answer {
    let before = state.counts.before(now, spec::APA_PERIOD).unwrap_or(seen.replicas);
    let mut answers = Vec::new();
    for source in &spec.sources {
        let context = apa_context(spec, settings, source, now, seen, before);
        let window = state.apa.entry(source.key.clone()).or_default();
        answers.push((source.key.as_str(), window.decide(&context, trail)));
    }
    highest(&answers, seen.replicas, trail)
}

/// The highest answer wins; a failed source forbids moving down.
fn highest(answers: &[(&str, Result<u32, String>)], current: u32, trail: &mut Trail) -> Answer {
    let mut best: Option<(u32, &str)> = None;
    let mut failures = Vec::new();
    for (key, answer) in answers {
        match answer {
            Ok(wanted) if best.is_none_or(|(highest, _)| *wanted > highest) => best = Some((*wanted, key)),
            Ok(_) => {}
            Err(why) => {
                trail.push(Stage::Metric, Rule::MetricAbsent, None, None, format!("{key}: {why}"));
                failures.push(format!("{key}: {why}"));
            }
        }
    }
    let Some((wanted, key)) = best else {
        let because = if failures.is_empty() { "no metric source".to_owned() } else { failures.join("; ") };
        return Answer { because, ..Answer::default() };
    };
    if !failures.is_empty() && wanted < current {
        let detail = "some metrics failed and the others ask for fewer replicas";
        trail.push(Stage::Recommendation, Rule::PartialMetrics, wanted, None, detail);
        return Answer { because: failures.join("; "), ..Answer::default() };
    }
    if answers.len() > 1 {
        trail.push(Stage::Recommendation, Rule::HighestMetric, None, wanted, key.to_owned());
    }
    Answer { wanted: Some(wanted), because: key.to_owned(), ..Answer::default() }
}

fn planned(spec: &Spec, settings: &Planned, now: Timestamp, plan: Option<&Plan>, trail: &mut Trail) -> Answer {
    match plan.and_then(|plan| plan.replicas.get(&spec.name).map(|&count| (plan, count))) {
        None => {
            trail.push(Stage::Metric, Rule::PlanAbsent, None, None, "no plan for this target");
            Answer { because: "no plan".to_owned(), ..Answer::default() }
        }
        Some((plan, _)) if now.since(plan.made_at) > settings.max_age => {
            let detail = format!("the plan is {:.0} s old", now.since(plan.made_at).as_secs());
            trail.push(Stage::Metric, Rule::PlanStale, None, None, detail.clone());
            Answer { because: detail, ..Answer::default() }
        }
        Some((plan, count)) => {
            trail.push(Stage::Metric, Rule::FromPlan, None, count, plan.reason(&spec.name).to_owned());
            Answer { wanted: Some(count), because: "plan".to_owned(), planned: Some(count), ..Answer::default() }
        }
    }
}

/// The plan is a floor under the reactive answer; a stale plan stays one above zero, but wakes nobody, and without any the
/// reactive answer stands.
fn hybrid(
    spec: &Spec,
    settings: &Planned,
    now: Timestamp,
    current: u32,
    plan: Option<&Plan>,
    reactive: Answer,
    trail: &mut Trail,
) -> Answer {
    let Some((plan, floor)) = plan.and_then(|plan| plan.replicas.get(&spec.name).map(|&count| (plan, count))) else {
        trail.push(Stage::Recommendation, Rule::PlanAbsent, reactive.wanted, reactive.wanted, "reactive only");
        return reactive;
    };
    let fresh = now.since(plan.made_at) <= settings.max_age;
    let rule = if fresh { Rule::FromPlan } else { Rule::PlanStale };
    let planned = fresh.then_some(floor);
    let floor = if fresh || current > 0 { floor } else { 0 };
    match reactive.wanted {
        Some(wanted) => {
            let raised = wanted.max(floor);
            trail.push(
                Stage::Recommendation,
                rule,
                wanted,
                raised,
                format!("the plan's floor is {floor}: {}", plan.reason(&spec.name)),
            );
            let because = if floor > wanted { "plan".to_owned() } else { reactive.because.clone() };
            Answer { wanted: Some(raised), planned, because, ..reactive }
        }
        None if fresh && spec.sources.is_empty() => {
            trail.push(Stage::Recommendation, rule, None, floor, "no metric stands beside the plan");
            Answer { wanted: Some(floor), because: "plan".to_owned(), planned, ..reactive }
        }
        None => {
            // Without the reactive half the plan may add capacity, but it may not take any away.
            trail.push(Stage::Recommendation, rule, None, floor, "reactive metrics are absent");
            Answer { wanted: planned, stale: true, planned, ..reactive }
        }
    }
}

fn decider<'a>(
    settings: &Kpa,
    state: &'a mut TargetState,
    key: &str,
    now: Timestamp,
    seen: &TargetObservation,
    start: Start,
) -> &'a mut kpa::KpaState {
    let decider = state.kpa.entry(key.to_owned()).or_insert_with(|| {
        let told = settings.initial_ready;
        let ready = told.unwrap_or(if start == Start::WithHistory { 0 } else { seen.ready() });
        kpa::KpaState::new(settings, now, ready)
    });
    if !decider.fits(settings) {
        *decider = decider.resized(settings, now, seen.ready());
    }
    decider.set_delay(settings.scale_down_delay);
    decider
}

/// Sources that the manifest no longer names are forgotten.
fn forget_others<T>(states: &mut std::collections::BTreeMap<String, T>, spec: &Spec) {
    states.retain(|key, _| spec.sources.iter().any(|source| source.key == *key));
}

fn kpa_context<'a>(
    spec: &Spec,
    settings: &'a Kpa,
    source: &'a spec::Source,
    now: Timestamp,
    seen: &'a TargetObservation,
) -> kpa::Context<'a> {
    kpa::Context { now, settings, tolerance: spec.tolerance, source, seen }
}

fn apa_context<'a>(
    spec: &Spec,
    settings: &'a Apa,
    source: &'a spec::Source,
    now: Timestamp,
    seen: &'a TargetObservation,
    replicas_before: u32,
) -> apa::Context<'a> {
    apa::Context { now, settings, tolerance: spec.tolerance, source, seen, replicas_before }
}
