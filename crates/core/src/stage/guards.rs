//! The guards around a recommendation: replicas on their way, leaving and reaching zero, switches, and bounds.

use crate::observe::{Phase, Pod, TargetObservation, count};
use crate::schedule::Effective;
use crate::spec::{Pause, Spec};
use crate::time::{Span, Timestamp};
use crate::trail::{Rule, Stage, Trail};

/// How far a target's replicas have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Starting {
    /// Those that serve.
    pub(crate) ready: u32,
    /// Those that are on their way.
    pub(crate) coming: u32,
    /// Those that have been starting, or not even been created, beyond the deadline.
    pub(crate) stuck: u32,
    /// Those of the stuck that have not served within the deadline either: one that did is only starting again.
    pub(crate) missing: u32,
    /// Those of the missing that run nowhere, and so hold nothing: pending, or never created.
    pub(crate) unplaced: u32,
}

impl Starting {
    /// `short_since` is since when there are fewer pods than are wanted. Where nobody looks at pods, all serve.
    pub(crate) fn of(deadline: Span, now: Timestamp, short_since: Option<Timestamp>, seen: &TargetObservation) -> Self {
        let late = |since: Timestamp| since + deadline < now;
        let starting: Vec<&Pod> = seen.pods.iter().flatten().filter(|pod| pod.starting()).collect();
        let stuck = |pod: &&&Pod| pod.started_at.is_some_and(late);
        let held = count(starting.iter().filter(stuck));
        let missing = starting.iter().filter(stuck).filter(|pod| pod.ready_at.is_none_or(late));
        let pending = count(missing.clone().filter(|pod| pod.phase == Phase::Pending));
        // Wanted replicas that no pod stands for yet are about to be created; where there is no room, they never are.
        let (created, never) = if short_since.is_some_and(late) { (0, uncreated(seen)) } else { (uncreated(seen), 0) };
        Self {
            ready: seen.ready(),
            coming: (count(starting.iter()) - held).saturating_add(created),
            stuck: held.saturating_add(never),
            missing: count(missing).saturating_add(never),
            unplaced: pending.saturating_add(never),
        }
    }
}

/// While replicas are starting they count as capacity on its way: a recommendation above the ready count neither adds
/// to them nor takes them away.
/// What has been starting, or not even been created, for longer than `deadline` no longer counts: it may never come, and
/// would hold the count for ever.
pub(crate) fn pending(
    deadline: Span,
    starting: &Starting,
    seen: &TargetObservation,
    wanted: u32,
    trail: &mut Trail,
) -> u32 {
    let Starting { ready, coming, stuck, .. } = *starting;
    if stuck > 0 {
        let detail = format!("{stuck} replicas have been starting for more than {} s", deadline.as_secs());
        trail.push(Stage::PendingGuard, Rule::StuckReplica, wanted, wanted, detail);
    }
    if coming == 0 || wanted <= ready {
        return wanted;
    }
    trail.change(Stage::PendingGuard, Rule::ReplicasStarting, wanted, wanted.max(seen.replicas), || {
        format!("{coming} replicas are on their way")
    })
}

/// Replicas that are wanted and that no pod stands for.
pub(crate) fn uncreated(seen: &TargetObservation) -> u32 {
    let listed = |pods: &Vec<Pod>| count(pods.iter().filter(|pod| pod.serves() || pod.starting()));
    seen.pods.as_ref().map_or(0, |pods| seen.replicas.saturating_sub(listed(pods)))
}

/// Leaves zero only for a load above the threshold, where there is one; or for a plan, which knows of a load that is
/// still to come. Without a threshold the strategy's answer stands. Requests that wait for a replica are a load that no
/// metric has seen yet, and wake at least one.
pub(crate) fn activation(
    spec: &Spec,
    seen: &TargetObservation,
    load: Option<f64>,
    planned: Option<u32>,
    wanted: u32,
    trail: &mut Trail,
) -> u32 {
    if seen.replicas != 0 {
        return wanted;
    }
    let held = seen.held.filter(|&held| held > 0.0);
    let Some(threshold) = spec.activation else {
        let Some(held) = held else { return wanted };
        return trail.change(Stage::Activation, Rule::Activated, wanted, wanted.max(1), || {
            if held > 1.0 {
                format!("{held} requests are held at the gateway")
            } else {
                "a request is held at the gateway".to_owned()
            }
        });
    };
    let Some(load) = load.into_iter().chain(held).reduce(f64::max) else {
        return trail.change(Stage::Activation, Rule::NotActivated, wanted, wanted.min(planned.unwrap_or(0)), || {
            format!("no load is known, and the activation threshold is {threshold}")
        });
    };
    if load > threshold {
        return trail.change(Stage::Activation, Rule::Activated, wanted, wanted.max(1), || {
            format!("a load of {load} exceeds the activation threshold {threshold}")
        });
    }
    trail.change(Stage::Activation, Rule::NotActivated, wanted, wanted.min(planned.unwrap_or(0)), || {
        format!("a load of {load} does not exceed the activation threshold {threshold}")
    })
}

/// Reaches zero only once zero has been wanted for the grace period, and nobody holds requests.
pub(crate) fn zero_grace(
    grace: Span,
    since: Option<Timestamp>,
    now: Timestamp,
    seen: &TargetObservation,
    wanted: u32,
    trail: &mut Trail,
) -> u32 {
    if wanted != 0 || seen.replicas == 0 {
        return wanted;
    }
    let waited = since.map_or(Span::ZERO, |since| now.since(since));
    if seen.held.is_some_and(|held| held > 0.0) {
        trail.push(Stage::ZeroGrace, Rule::ZeroGrace, 0, 1, "requests are held at the gateway");
        return 1;
    }
    if waited < grace {
        let detail = format!("zero wanted for {} s of {} s", waited.as_secs(), grace.as_secs());
        trail.push(Stage::ZeroGrace, Rule::ZeroGrace, 0, 1, detail);
        return 1;
    }
    0
}

/// Holds what a human has switched off.
pub(crate) fn pause(pause: Pause, current: u32, wanted: u32, trail: &mut Trail) -> u32 {
    let held = pause.all || (pause.up && wanted > current) || (pause.down && wanted < current);
    if held {
        return trail.change(Stage::Pause, Rule::Paused, wanted, current, || "paused by annotation".to_owned());
    }
    wanted
}

/// Schedules, minimum and maximum.
pub(crate) fn bounds(effective: &Effective<'_>, wanted: u32, trail: &mut Trail) -> u32 {
    let bounded = effective.bounds.clamp(wanted);
    if bounded == wanted {
        return wanted;
    }
    let by_schedule = |has: fn(&crate::schedule::Schedule) -> bool| effective.active.filter(|active| has(active));
    let raised = bounded > wanted;
    let schedule = if raised { by_schedule(|s| s.min.is_some()) } else { by_schedule(|s| s.max.is_some()) };
    let rule = match (raised, schedule.is_some()) {
        (true, false) => Rule::TooFewReplicas,
        (false, false) => Rule::TooManyReplicas,
        (true, true) => Rule::ScheduledMinimum,
        (false, true) => Rule::ScheduledMaximum,
    };
    let whose = schedule.map_or_else(String::new, |active| format!(" of schedule {}", active.name));
    let detail = format!("{} {bounded}{whose}", if raised { "minimum" } else { "maximum" });
    trail.push(Stage::Bounds, rule, wanted, bounded, detail);
    bounded
}
