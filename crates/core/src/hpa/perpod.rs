//! Metrics per pod: utilization of a request, and average values.

use super::groups::Groups;
use super::{Context, ceil, milli};
use crate::observe::Pod;
use crate::reading::Reading;
use crate::trail::{Rule, Stage, Trail};
use std::collections::BTreeMap;

/// `Resource` with a target of percent: the ratio of sums, truncated to a whole percent.
pub(super) fn utilization(context: &Context<'_>, resource: &str, trail: &mut Trail) -> Result<u32, String> {
    let mut groups = Groups::of(context, resource == "cpu", |pod| usage(pod, resource))?;
    let requests = requests(context, resource)?;
    let target = percent(context.source.target);
    let ratio = |groups: &Groups<'_>| -> Result<(f64, String), String> {
        let used: i128 = groups.samples.values().map(|&value| i128::from(value)).sum();
        let requested: i128 = groups.samples.keys().map(|name| i128::from(requests[name])).sum();
        if requested <= 0 {
            return Err(format!("the requests of {resource} sum to nothing"));
        }
        let current = used * 100 / requested;
        Ok((current as f64 / target as f64, format!("{resource} at {current} % of request, target {target} %")))
    };
    // Below target a missing pod is taken as using all of its request, or the target where that is higher.
    let low =
        |name: &str| i64::try_from(i128::from(requests[name]) * i128::from(target.max(100)) / 100).unwrap_or(i64::MAX);
    settle(context, &mut groups, ratio, low, trail)
}

/// `Pods`, and `Resource` with a target per pod: the average, truncated to a thousandth.
pub(super) fn average(context: &Context<'_>, resource: Option<&String>, trail: &mut Trail) -> Result<u32, String> {
    let key = &context.source.key;
    let mut groups = Groups::of(context, resource.is_some_and(|name| name == "cpu"), |pod| match resource {
        Some(resource) => usage(pod, resource),
        None => pod.metrics.get(key).and_then(Reading::fresh).map(milli),
    })?;
    // A cpu target is in millicores already; every other target becomes whole thousandths.
    let target = match resource {
        Some(resource) if resource == "cpu" => milli(context.source.target / 1000.0),
        _ => milli(context.source.target),
    }
    .max(1);
    let ratio = |groups: &Groups<'_>| -> Result<(f64, String), String> {
        let sum: i128 = groups.samples.values().map(|&value| i128::from(value)).sum();
        let average = sum / i128::try_from(groups.samples.len()).unwrap_or(1).max(1);
        let detail =
            format!("{key} averages {} per pod, target {}", thousandths(average), thousandths(i128::from(target)));
        Ok((average as f64 / target as f64, detail))
    };
    settle(context, &mut groups, ratio, |_| target, trail)
}

/// The shared end of both: tolerance, fill-in, and the two guards against acting on a guess.
fn settle<'a>(
    context: &Context<'a>,
    groups: &mut Groups<'a>,
    ratio_of: impl Fn(&Groups<'a>) -> Result<(f64, String), String>,
    low: impl Fn(&str) -> i64,
    trail: &mut Trail,
) -> Result<u32, String> {
    let current = context.seen.replicas;
    let (ratio, detail) = ratio_of(groups)?;
    if groups.complete(ratio) {
        if context.tolerance.holds(ratio) {
            trail.push(Stage::Metric, Rule::WithinTolerance, current, current, detail);
            return Ok(current);
        }
        let wanted = ceil(ratio * f64::from(groups.ready)).ok_or("the ratio is not a number")?;
        trail.push(Stage::Metric, direction(ratio), current, wanted, format!("{detail}, {} ready", groups.ready));
        return Ok(wanted);
    }
    let (missing, unready) = (groups.missing.len(), groups.unready.len());
    groups.fill_in(ratio, low);
    let (filled, _) = ratio_of(groups)?;
    let detail =
        format!("{detail}; {missing} missing and {unready} unready filled in: ratio {ratio:.3} becomes {filled:.3}");
    if context.tolerance.holds(filled) {
        trail.push(Stage::Metric, Rule::WithinTolerance, current, current, detail);
        return Ok(current);
    }
    let wanted = ceil(filled * groups.samples.len() as f64).ok_or("the ratio is not a number")?;
    let turned = (ratio < 1.0 && filled > 1.0) || (ratio > 1.0 && filled < 1.0);
    let against = (filled < 1.0 && wanted > current) || (filled > 1.0 && wanted < current);
    if turned || against {
        trail.push(Stage::Metric, Rule::DirectionFlip, current, current, detail);
        return Ok(current);
    }
    trail.push(Stage::Metric, Rule::FilledIn, current, wanted, detail);
    Ok(wanted)
}

fn usage(pod: &Pod, resource: &str) -> Option<i64> {
    pod.usage.get(resource).copied().filter(|&usage| usage >= 0)
}

/// Every pod's request; one without makes the whole metric fail, as in Kubernetes.
fn requests<'a>(context: &Context<'a>, resource: &str) -> Result<BTreeMap<&'a str, i64>, String> {
    let mut pods: Vec<&Pod> = context.seen.pods.iter().flatten().collect();
    // The error names the same pod in whatever order they are listed.
    pods.sort_by(|a, b| a.name.cmp(&b.name));
    let request = |pod: &'a Pod| match pod.requests.get(resource) {
        Some(&request) if request >= 0 => Ok((pod.name.as_str(), request)),
        _ => Err(format!("pod {} has no request of {resource}", pod.name)),
    };
    pods.into_iter().map(request).collect()
}

/// Kubernetes' targets of utilization are whole percents; AIBrix rounds a fraction up.
#[allow(clippy::cast_possible_truncation, reason = "a float to integer cast saturates")]
fn percent(target: f64) -> i64 {
    (target.ceil() as i64).max(1)
}

fn direction(ratio: f64) -> Rule {
    if ratio > 1.0 { Rule::AboveTarget } else { Rule::BelowTarget }
}

fn thousandths(value: i128) -> f64 {
    value as f64 / 1000.0
}
