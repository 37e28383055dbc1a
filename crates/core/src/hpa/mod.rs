//! Kubernetes' `HorizontalPodAutoscaler` v2: the answer of one metric
//! (kubernetes `pkg/controller/podautoscaler/replica_calculator.go`).
//!
//! Values are whole thousandths, averages and utilizations are truncated, and ratios multiply the *ready* pods, all as
//! in the original. Stabilization and policies are in [`crate::stage`].

mod fleetwide;
mod groups;
mod perpod;

use crate::observe::TargetObservation;
use crate::spec::{Hpa, Source, SourceKind, TargetType, Tolerance};
use crate::time::Timestamp;
use crate::trail::Trail;

/// What one metric's rule needs to know.
pub(crate) struct Context<'a> {
    pub(crate) now: Timestamp,
    pub(crate) settings: &'a Hpa,
    pub(crate) tolerance: Tolerance,
    pub(crate) source: &'a Source,
    pub(crate) seen: &'a TargetObservation,
}

/// The replicas that one metric asks for; the error says why it has no answer.
pub(crate) fn answer(context: &Context<'_>, trail: &mut Trail) -> Result<u32, String> {
    let fleet_wide = context.seen.external.contains_key(&context.source.key);
    match &context.source.kind {
        SourceKind::External | SourceKind::Object => fleetwide::answer(context, trail),
        SourceKind::Custom if fleet_wide => fleetwide::answer(context, trail),
        SourceKind::Pods | SourceKind::Custom => perpod::average(context, None, trail),
        SourceKind::Resource(resource) if context.source.target_type == TargetType::Utilization => {
            perpod::utilization(context, resource, trail)
        }
        SourceKind::Resource(resource) => perpod::average(context, Some(resource), trail),
    }
}

/// The largest count that Kubernetes' `int32` holds.
pub(crate) const MAX_REPLICAS: u32 = i32::MAX as u32;

/// Rounds up to a count, saturating at [`MAX_REPLICAS`]; not-a-number is no count at all.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked against both ends")]
pub(crate) fn ceil(value: f64) -> Option<u32> {
    if value.is_nan() {
        return None;
    }
    Some(if value >= f64::from(MAX_REPLICAS) { MAX_REPLICAS } else { value.ceil().max(0.0) as u32 })
}

/// Whole thousandths of a value, rounded up as Kubernetes' quantities are. A decimal that binary floating point holds
/// only nearly is taken for the decimal.
#[allow(clippy::cast_possible_truncation, reason = "a float to integer cast saturates")]
pub(crate) fn milli(value: f64) -> i64 {
    let scaled = value * 1000.0;
    let nearest = scaled.round();
    let exact = (scaled - nearest).abs() <= nearest.abs() * 1e-12;
    (if exact { nearest } else { scaled.ceil() }) as i64
}
