//! One autoscaler's turn: sample, ask the strategy, pass the stages. It drafts; the fleet arbitrates and commits.

use crate::fleet::Plan;
use crate::observe::TargetObservation;
use crate::schedule::Effective;
use crate::spec::{APA_PERIOD, Bounds, Hpa, Mode, Spec, Strategy};
use crate::stage::counts::CountLog;
use crate::stage::guards::Starting;
use crate::stage::{behavior, guards};
use crate::state::TargetState;
use crate::strategy::{self, Answer, Start};
use crate::time::{Span, Timestamp};
use crate::trail::{KpaFigures, Rule, Stage, TargetDecision, Trail};

/// A decision before the fleet has arbitrated it.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) desired: u32,
    pub(crate) bounds: Bounds,
    pub(crate) trail: Trail,
    /// What its own signals ask for, before its bounds; none where they say nothing.
    pub(crate) asked: Option<u32>,
    /// What a pool left of it.
    pub(crate) cut: Option<u32>,
    /// How far its replicas have come.
    pub(crate) starting: Starting,
    recommendation: Option<u32>,
    panic: bool,
    kpa: Option<KpaFigures>,
    because: String,
}

/// One target with its memory.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Target {
    pub(crate) spec: Spec,
    pub(crate) state: TargetState,
    /// The state was taken over after a break, and no tick has used it yet.
    pub(crate) resumed: bool,
}

/// A hybrid whose plan is gone is only reactive, and scales down as carefully as AIBrix's reactive strategies do.
const REACTIVE_HOLD: Span = Span::secs(300);

/// An absence after a restart that is at least this long may have outlived what the state remembers.
const ABSENCE: Span = Span::secs(60);

impl Target {
    /// Takes the samples of a tick and answers the tick's time, which never goes back.
    pub(crate) fn record(&mut self, now: Timestamp, seen: &TargetObservation, trail: &mut Trail) -> Timestamp {
        let state = &mut self.state;
        let start = match (state.last_tick, state.started) {
            (Some(_), _) => Start::Running,
            (None, true) => Start::WithHistory,
            (None, false) => Start::Fresh,
        };
        let now = state.last_tick.map_or(now, |last| last.max(now));
        let absence = state.last_tick.map_or(Span::ZERO, |last| now.since(last));
        let start = if std::mem::take(&mut self.resumed) && absence >= longest_memory(&self.spec).max(ABSENCE) {
            // Nothing that would hold the replicas is left of the memory, so this is as good as a fresh start.
            state.kpa.clear();
            Start::Fresh
        } else {
            start
        };
        state.last_tick = Some(now);
        match start {
            Start::Running => {}
            Start::WithHistory => {
                state.counts = CountLog::with_history(now, seen.replicas, &state.changes.ages(now));
            }
            Start::Fresh => (state.started, state.unseeded) = (true, true),
        }
        state.counts.observe(now, seen.replicas);
        state.counts.prune(now, APA_PERIOD);
        state.expected = Some(seen.replicas);
        strategy::record(&self.spec, state, now, seen, start, trail);
        now
    }

    /// Drafts a decision from what was recorded.
    pub(crate) fn draft(
        &mut self,
        now: Timestamp,
        seen: &TargetObservation,
        plan: Option<&Plan>,
        mut trail: Trail,
    ) -> Draft {
        let Self { spec, state, .. } = self;
        if !matches!(spec.strategy, Strategy::Hpa(_)) {
            // Whatever else is known: a shortage that ended while metrics were gone is over.
            state.short_since = (guards::uncreated(seen) > 0).then(|| *state.short_since.get_or_insert(now));
        }
        if std::mem::take(&mut state.unseeded) {
            // As HPA does: a fresh controller remembers what runs, so that it does not shrink what it does not know.
            state.recommendations.push(now, seen.replicas);
        }
        let effective = spec.schedules.effective(now, spec.bounds);
        if is_outside(&effective, seen.replicas) {
            // Metrics are not asked, as in HPA and AIBrix; only KPA's panic goes on, so that it knows the load later.
            let answer = match &spec.strategy {
                Strategy::Kpa(_) => strategy::answer(spec, state, now, seen, plan, &mut trail),
                _ => Answer::default(),
            };
            (state.failing_since, state.zero_since) = (None, None);
            let (desired, because) = outside(&effective, seen.replicas, answer.wanted, &mut trail);
            let starting = Starting::of(spec.pending_deadline, now, state.short_since, seen);
            return Draft::new((desired, None), effective.bounds, starting, &answer, because, trail);
        }
        let answer = strategy::answer(spec, state, now, seen, plan, &mut trail);
        let (desired, asked) = staged(spec, state, now, seen, &answer, &effective, &mut trail);
        let starting = Starting::of(spec.pending_deadline, now, state.short_since, seen);
        if let Some(wanted) = answer.formed(seen.replicas) {
            state.recommendations.push(now, wanted);
        }
        let because = explain(&answer, seen.replicas, desired, &trail);
        Draft::new((desired, asked), effective.bounds, starting, &answer, because, trail)
    }

    /// Remembers what was decided in the end.
    pub(crate) fn commit(&mut self, now: Timestamp, replicas: u32, draft: Draft) -> TargetDecision {
        let desired = draft.desired;
        if self.spec.mode == Mode::Apply && desired != replicas {
            self.remember_change(now, i64::from(desired) - i64::from(replicas));
            self.state.counts.decide(now, desired);
            self.state.expected = Some(desired);
        }
        TargetDecision {
            at: now,
            replicas,
            desired,
            recommendation: draft.recommendation,
            panic: draft.panic,
            reason: draft.because,
            trail: draft.trail.finish(),
            kpa: draft.kpa,
            next_edge: self.spec.schedules.next_edge(now),
        }
    }
}

impl Target {
    /// Kubernetes re-uses the entries of its list of changes, which shows in the limits where the two directions have
    /// different periods; HPA's answers follow it to the number.
    fn remember_change(&mut self, now: Timestamp, delta: i64) {
        let Strategy::Hpa(_) = self.spec.strategy else { return self.state.changes.push(now, delta) };
        let rules = if delta > 0 { &self.spec.behavior.up } else { &self.spec.behavior.down };
        let longest = rules.policies.iter().map(|policy| policy.period).max().unwrap_or(Span::ZERO);
        self.state.changes.replace_outdated(now, delta, longest);
    }
}

impl Draft {
    fn new(
        (desired, asked): (u32, Option<u32>),
        bounds: Bounds,
        starting: Starting,
        answer: &Answer,
        because: String,
        trail: Trail,
    ) -> Self {
        Self {
            desired,
            bounds,
            trail,
            asked,
            cut: None,
            starting,
            recommendation: answer.wanted,
            panic: answer.panic,
            kpa: answer.kpa,
            because,
        }
    }

    /// Another role of the group allows no more than this; `detail` goes to people.
    pub(crate) fn hold(&mut self, most: u32, detail: String) {
        if self.desired <= most {
            return;
        }
        self.because = format!("{}; {} bound to {most}: {detail}", self.because, self.desired);
        self.trail.push(Stage::Coordination, Rule::PartnerLimited, self.desired, most, detail);
        self.desired = most;
    }
}

/// How long a state remembers what speaks against a scale-down.
fn longest_memory(spec: &Spec) -> Span {
    match &spec.strategy {
        Strategy::Hpa(Hpa { older_rule: Some(rule), .. }) => rule.window,
        Strategy::Kpa(kpa) => kpa.stable_window.max(spec.behavior.down.stabilization),
        _ => spec.behavior.down.stabilization,
    }
}

/// Whether the count is outside the bounds, or a human's zero.
fn is_outside(effective: &Effective<'_>, current: u32) -> bool {
    effective.bounds.clamp(current) != current
}

/// A count outside the bounds goes to them at once, and a human's zero stays: no metric has a say
/// (kubernetes `horizontal.go`, `reconcileAutoscaler`; aibrix `computeScaleDecision`).
fn outside(effective: &Effective<'_>, current: u32, wanted: Option<u32>, trail: &mut Trail) -> (u32, String) {
    let scheduled_minimum = effective.active.is_some_and(|active| active.min.is_some());
    if current == 0 && !scheduled_minimum {
        let detail = "scaled to zero by hand; scale up by hand to resume";
        trail.push(Stage::Bounds, Rule::ScalingDisabled, wanted.or(Some(0)), 0, detail);
        return (0, "scaling disabled: current replicas is 0".to_owned());
    }
    let desired = guards::bounds(effective, current, trail);
    let side = if desired < current { "exceed the maximum" } else { "are below the minimum" };
    (desired, format!("current replicas {side}"))
}

/// The stages after the strategy, in their order. Answers the count, and what was asked for before the bounds, where that rests on
/// the target's own signals and nobody has switched these off.
fn staged(
    spec: &Spec,
    state: &mut TargetState,
    now: Timestamp,
    seen: &TargetObservation,
    answer: &Answer,
    effective: &Effective<'_>,
    trail: &mut Trail,
) -> (u32, Option<u32>) {
    let current = seen.replicas;
    let formed = answer.formed(current);
    let gone = answer.wanted.is_none() || answer.stale;
    let failing_since = gone.then(|| *state.failing_since.get_or_insert(now));
    state.failing_since = failing_since;
    let fallback =
        spec.fallback.filter(|fallback| failing_since.is_some_and(|since| now.since(since) >= fallback.after));
    let wanted = match (fallback, formed) {
        (Some(fallback), _) => {
            let detail = format!("metrics have been gone for {} s or more", fallback.after.as_secs());
            trail.push(Stage::Fallback, Rule::Fallback, answer.wanted, fallback.replicas, detail);
            fallback.replicas
        }
        (None, Some(wanted)) => settled(spec, state, now, seen, wanted, answer.planned, trail),
        (None, None) => {
            // Zero has not been wanted for as long as nothing is known.
            state.zero_since = None;
            let rule = if answer.stale { Rule::StaleWindow } else { Rule::Hold };
            trail.push(Stage::Fallback, rule, answer.wanted, current, "capacity is held while metrics are gone");
            guards::activation(spec, seen, None, None, current, trail)
        }
    };
    let paused = guards::pause(spec.pause, current, wanted, trail);
    let acts = fallback.is_none() && formed.is_some() && !spec.pause.all && paused == wanted;
    (guards::bounds(effective, paused, trail), acts.then_some(paused))
}

/// The stages of an answer that could be formed.
fn settled(
    spec: &Spec,
    state: &mut TargetState,
    now: Timestamp,
    seen: &TargetObservation,
    wanted: u32,
    planned: Option<u32>,
    trail: &mut Trail,
) -> u32 {
    let current = seen.replicas;
    state.zero_since = (wanted == 0).then(|| *state.zero_since.get_or_insert(now));
    let mut count = guards::activation(spec, seen, strategy::load(spec, seen), planned, wanted, trail);
    let log = &state.recommendations;
    match &spec.strategy {
        Strategy::Hpa(hpa) if hpa.older_rule.is_some() => {
            if let Some(rule) = &hpa.older_rule {
                count = behavior::older_rule(rule, log, now, current, count, trail);
            }
        }
        strategy => {
            if !matches!(strategy, Strategy::Hpa(_)) {
                let starting = Starting::of(spec.pending_deadline, now, state.short_since, seen);
                count = guards::pending(spec.pending_deadline, &starting, seen, count, trail);
            }
            let alone = matches!(strategy, Strategy::Hybrid(..)) && planned.is_none();
            let behavior = if alone { &spec.behavior.held_down(REACTIVE_HOLD) } else { &spec.behavior };
            count = behavior::stabilize(behavior, log, now, current, count, trail);
            count = behavior::limit_rate(&spec.behavior, &state.changes, now, current, count, trail);
        }
    }
    guards::zero_grace(spec.zero_grace, state.zero_since, now, seen, count, trail)
}

/// One line for people: what decided, and what bound it.
fn explain(answer: &Answer, current: u32, desired: u32, trail: &Trail) -> String {
    let bound = trail.steps().iter().rev().find(|step| step.stage > Stage::Recommendation && step.before != step.after);
    let Some(wanted) = answer.wanted else {
        return match bound.filter(|_| desired != current) {
            Some(step) => format!("{}; {}", step.detail, answer.because),
            None => format!("held at {desired}: {}", answer.because),
        };
    };
    let direction = match desired.cmp(&current) {
        std::cmp::Ordering::Greater if wanted <= current => format!("{} not above target", answer.because),
        std::cmp::Ordering::Greater => format!("{} above target", answer.because),
        std::cmp::Ordering::Less if trail.steps().iter().any(|step| step.rule == Rule::AboveTarget) => {
            format!("{} above target, and fewer replicas than exist are enough", answer.because)
        }
        std::cmp::Ordering::Less => "all metrics below target".to_owned(),
        std::cmp::Ordering::Equal => "stable".to_owned(),
    };
    match bound {
        Some(step) if desired != wanted => format!("{direction}; {wanted} bound to {desired}: {}", step.detail),
        _ => direction,
    }
}
