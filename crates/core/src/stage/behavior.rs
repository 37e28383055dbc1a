//! Two-sided stabilization and rate policies (kubernetes `pkg/controller/podautoscaler/horizontal.go`,
//! `stabilizeRecommendationWithBehaviors` and `convertDesiredReplicasWithBehaviorRate`), and the older rule for objects
//! without behaviour.

use crate::hpa::ceil;
use crate::spec::{Behavior, OlderRule, PolicyKind, ScalingRules, Select};
use crate::stage::log::{ChangeLog, RecommendationLog};
use crate::time::Timestamp;
use crate::trail::{Rule, Stage, Trail};

/// Brings `desired` between the lowest recommendation of the up window and the highest of the down window: the current
/// count moves only as far as both allow.
pub(crate) fn stabilize(
    behavior: &Behavior,
    log: &RecommendationLog,
    now: Timestamp,
    current: u32,
    desired: u32,
    trail: &mut Trail,
) -> u32 {
    let up = log.lowest(now, behavior.up.stabilization).map_or(desired, |low| low.min(desired));
    let down = log.highest(now, behavior.down.stabilization).map_or(desired, |high| high.max(desired));
    let stabilized = current.max(up).min(down);
    if stabilized == desired {
        return desired;
    }
    let (rule, window) = if stabilized > desired {
        (Rule::ScaleDownStabilized, behavior.down.stabilization)
    } else {
        (Rule::ScaleUpStabilized, behavior.up.stabilization)
    };
    let detail = format!("recommendations of the last {} s allow {up} to {down}", window.as_secs());
    trail.push(Stage::Stabilization, rule, desired, stabilized, detail);
    stabilized
}

/// Bounds the change by the policies of its direction. A limit never moves the count against the change.
pub(crate) fn limit_rate(
    behavior: &Behavior,
    changes: &ChangeLog,
    now: Timestamp,
    current: u32,
    desired: u32,
    trail: &mut Trail,
) -> u32 {
    let (rules, grows) = match desired.cmp(&current) {
        std::cmp::Ordering::Equal => return desired,
        std::cmp::Ordering::Greater => (&behavior.up, true),
        std::cmp::Ordering::Less => (&behavior.down, false),
    };
    if rules.select == Select::Disabled {
        trail.push(Stage::RateLimit, Rule::DirectionDisabled, desired, current, "selectPolicy is Disabled");
        return current;
    }
    let Some(limit) = policy_limit(rules, grows, changes, now, current) else { return desired };
    if grows {
        let limit = limit.max(current);
        return trail.change(Stage::RateLimit, Rule::ScaleUpLimit, desired, desired.min(limit), || {
            format!("policies allow growth to {limit}")
        });
    }
    let limit = limit.min(current);
    trail.change(Stage::RateLimit, Rule::ScaleDownLimit, desired, desired.max(limit), || {
        format!("policies allow shrinkage to {limit}")
    })
}

/// The count that the selected policy allows; none where there is no policy.
fn policy_limit(rules: &ScalingRules, grows: bool, changes: &ChangeLog, now: Timestamp, current: u32) -> Option<u32> {
    let limits = rules.policies.iter().map(|policy| {
        // What the autoscaler itself added and removed within the period is taken back.
        let start = i64::from(current) - changes.sum(now, policy.period);
        let value = i64::from(policy.value);
        let limit = match (policy.kind, grows) {
            (PolicyKind::Pods, true) => start.saturating_add(value),
            (PolicyKind::Pods, false) => start.saturating_sub(value),
            (PolicyKind::Percent, true) => {
                return ceil(start as f64 * (1.0 + f64::from(policy.value) / 100.0)).unwrap_or(current);
            }
            (PolicyKind::Percent, false) => {
                return ceil((start as f64 * (1.0 - f64::from(policy.value) / 100.0)).trunc()).unwrap_or(current);
            }
        };
        u32::try_from(limit.max(0)).unwrap_or(u32::MAX)
    });
    // The largest change is the highest limit upwards and the lowest limit downwards.
    if (rules.select == Select::Max) == grows { limits.max() } else { limits.min() }
}

/// Kubernetes' rule for objects without behaviour: the highest recommendation of the window, then a cap on growth.
pub(crate) fn older_rule(
    rule: &OlderRule,
    log: &RecommendationLog,
    now: Timestamp,
    current: u32,
    desired: u32,
    trail: &mut Trail,
) -> u32 {
    let highest = log.highest_inclusive(now, rule.window).map_or(desired, |high| high.max(desired));
    let stabilized = trail.change(Stage::Stabilization, Rule::ScaleDownStabilized, desired, highest, || {
        format!("highest recommendation of the last {} s", rule.window.as_secs())
    });
    let limit = (rule.factor * f64::from(current)).max(rule.minimum).trunc();
    let limit = ceil(limit).unwrap_or(current);
    trail.change(Stage::RateLimit, Rule::ScaleUpLimit, stabilized, stabilized.min(limit), || {
        format!("at most {} × the replicas, or {}", rule.factor, rule.minimum)
    })
}
