//! Fleet-wide metrics: `Object` and `External`, by value or by value per replica.

use super::{Context, ceil, milli};
use crate::observe::{Phase, count};
use crate::signal::{self, Signal};
use crate::spec::TargetType;
use crate::trail::{Rule, Stage, Trail};

/// The replicas that a fleet-wide metric asks for.
pub(super) fn answer(context: &Context<'_>, trail: &mut Trail) -> Result<u32, String> {
    let Signal::Total(total) = signal::total(context.source, context.seen)? else {
        return Err("no fleet-wide value".to_owned());
    };
    let (total, target) = (milli(total) as f64, milli(context.source.target).max(1) as f64);
    if context.source.target_type == TargetType::Value {
        by_value(context, total / target, trail)
    } else {
        per_replica(context, total, target, trail)
    }
}

/// The ratio of the value to the target multiplies the running and ready pods; from zero it is the count itself.
fn by_value(context: &Context<'_>, ratio: f64, trail: &mut Trail) -> Result<u32, String> {
    let current = context.seen.replicas;
    let detail = format!("{} is {ratio:.3} of its target", context.source.key);
    if current == 0 {
        let wanted = ceil(ratio).ok_or("the ratio is not a number")?;
        trail.push(Stage::Metric, Rule::AboveTarget, current, wanted, detail);
        return Ok(wanted);
    }
    if context.tolerance.holds(ratio) {
        trail.push(Stage::Metric, Rule::WithinTolerance, current, current, detail);
        return Ok(current);
    }
    let ready = match &context.seen.pods {
        None => current,
        Some(pods) if pods.is_empty() => return Err("no pods to compute a replica count from".to_owned()),
        Some(pods) => count(pods.iter().filter(|pod| pod.phase == Phase::Running && pod.ready == Some(true))),
    };
    let wanted = ceil(ratio * f64::from(ready)).ok_or("the ratio is not a number")?;
    let rule = if ratio > 1.0 { Rule::AboveTarget } else { Rule::BelowTarget };
    trail.push(Stage::Metric, rule, current, wanted, format!("{detail}, {ready} ready"));
    Ok(wanted)
}

/// The value divided by the target per replica, unless the replicas that exist are within tolerance of it.
fn per_replica(context: &Context<'_>, total: f64, target: f64, trail: &mut Trail) -> Result<u32, String> {
    let existing = context.seen.existing();
    let ratio = total / (target * f64::from(existing));
    let detail = format!("{} totals {}, target {} per replica", context.source.key, total / 1000.0, target / 1000.0);
    if context.tolerance.holds(ratio) {
        trail.push(Stage::Metric, Rule::WithinTolerance, context.seen.replicas, existing, detail);
        return Ok(existing);
    }
    let wanted = ceil(total / target).ok_or("the ratio is not a number")?;
    let rule = if wanted >= existing { Rule::AboveTarget } else { Rule::BelowTarget };
    trail.push(Stage::Metric, rule, context.seen.replicas, wanted, detail);
    Ok(wanted)
}
