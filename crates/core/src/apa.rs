//! AIBrix's APA: the ratio of an averaged value to its target, with a tolerance by direction and rates
//! (aibrix `pkg/controller/podautoscaler/algorithm/apa.go`).
//!
//! Deliberate differences: ready replicas count, not wanted ones; a fleet-wide value is divided by the replicas; the
//! rates refer to the replicas of ten seconds ago, so that a faster loop does not mean faster growth.

use crate::hpa::ceil;
use crate::observe::TargetObservation;
use crate::signal::{self, Signal};
use crate::spec::{Apa, Source, TargetType, Tolerance};
use crate::time::Timestamp;
use crate::trail::{Rule, Stage, Trail};
use crate::window::mean::MeanWindow;
use serde::{Deserialize, Serialize};

/// The memory of one source.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApaState {
    window: MeanWindow,
    // Whether the window holds totals; it is begun anew when the source changes its nature.
    fleet_wide: bool,
    // Whether the latest tick had a value.
    sampled: bool,
}

/// What one decision needs to know.
pub(crate) struct Context<'a> {
    pub(crate) now: Timestamp,
    pub(crate) settings: &'a Apa,
    pub(crate) tolerance: Tolerance,
    pub(crate) source: &'a Source,
    pub(crate) seen: &'a TargetObservation,
    /// The replicas that the rates refer to.
    pub(crate) replicas_before: u32,
}

impl ApaState {
    /// Takes the sample of one tick, where there is one.
    pub(crate) fn record(&mut self, context: &Context<'_>, trail: &mut Trail) {
        let signal = signal::read(context.source, context.seen);
        self.sampled = signal.is_ok();
        match signal {
            Ok(signal) => {
                let (value, fleet_wide) = sample(&signal, context.source.target, trail);
                if self.fleet_wide != fleet_wide {
                    *self = Self { fleet_wide, sampled: true, ..Self::default() };
                }
                self.window.record(context.now, context.settings.window, value);
            }
            Err(why) => {
                let detail = format!("{}: {why}", context.source.key);
                trail.push(Stage::Observe, Rule::MetricAbsent, None, None, detail);
            }
        }
    }

    /// Decides. The error says why there is no answer.
    pub(crate) fn decide(&mut self, context: &Context<'_>, trail: &mut Trail) -> Result<u32, String> {
        let key = &context.source.key;
        if !self.sampled {
            return Err("no value at this tick".to_owned());
        }
        let value = self.window.mean(context.now, context.settings.window).ok_or("no samples")?;
        let target = context.source.target;
        let replicas = context.seen.replicas;
        let per_replica = self.fleet_wide && context.source.target_type != TargetType::Value;
        if replicas == 0 {
            let wanted = ceil(value / target).ok_or("the ratio is not a number")?;
            let rule = if wanted > 0 { Rule::AboveTarget } else { Rule::WithinTolerance };
            trail.push(Stage::Metric, rule, replicas, wanted, format!("{key} at {value} from zero, target {target}"));
            return Ok(wanted);
        }
        let (ratio, wanted) = if per_replica {
            (value / (target * f64::from(replicas)), value / target)
        } else {
            (value / target, f64::from(context.seen.ready()) * (value / target))
        };
        let detail = format!("{key} averages {value}, {ratio:.3} of target {target}");
        if !per_replica && context.seen.ready() == 0 {
            return Err(format!("{detail}, and no ready replica to multiply"));
        }
        if context.tolerance.holds(ratio) {
            trail.push(Stage::Metric, Rule::WithinTolerance, replicas, replicas, detail);
            return Ok(replicas);
        }
        let wanted = ceil(wanted).ok_or("the ratio is not a number")?;
        let rule = if ratio > 1.0 { Rule::AboveTarget } else { Rule::BelowTarget };
        trail.push(Stage::Metric, rule, replicas, wanted, detail);
        Ok(self.bounded(context, ratio > 1.0, wanted, trail))
    }

    #[allow(clippy::unused_self, reason = "reads as a step of the decision")]
    fn bounded(&self, context: &Context<'_>, grows: bool, wanted: u32, trail: &mut Trail) -> u32 {
        let Apa { max_scale_up_rate: up, max_scale_down_rate: down, .. } = context.settings;
        let before = f64::from(context.replicas_before);
        let replicas = context.seen.replicas;
        // Above target, too, the answer may be below what exists: ready replicas are multiplied, and others may be stuck.
        let floor = ceil((before / down).floor()).unwrap_or(replicas).min(replicas);
        let wanted = trail.change(Stage::Recommendation, Rule::ScaleDownLimit, wanted, wanted.max(floor), || {
            format!("at least 1/{down} of the {before} replicas of 10 s ago")
        });
        if !grows {
            return wanted;
        }
        let limit = ceil(up * before).unwrap_or(replicas).max(replicas);
        trail.change(Stage::Recommendation, Rule::ScaleUpLimit, wanted, wanted.min(limit), || {
            format!("at most {up} × the {before} replicas of 10 s ago")
        })
    }
}

/// The value to remember, and whether it is fleet-wide. Ready replicas without a value are filled in as HPA does: at
/// target where the others are below it, idle where they are above; a mean that this turns round counts as the target.
fn sample(signal: &Signal, target: f64, trail: &mut Trail) -> (f64, bool) {
    match signal {
        Signal::Total(total) => (*total, true),
        Signal::PerPod { present, missing } => {
            let sum: f64 = present.iter().sum();
            let mean = sum / present.len() as f64;
            if *missing == 0 {
                return (mean, false);
            }
            let all = present.len() as f64 + f64::from(*missing);
            let filled =
                if mean > target { (sum / all).max(target) } else { (sum + target * f64::from(*missing)) / all };
            let detail = format!("{missing} ready replicas without a value; mean {mean} taken as {filled}");
            trail.push(Stage::Observe, Rule::FilledIn, None, None, detail);
            (filled, false)
        }
    }
}
