//! A manifest's autoscaler with the plan that its strategy takes, from what is known of the simulated engine. Must not decide.

use super::product::{Product, ProductError};
use autoscaler_api::resolved::ResolvedAutoscaler;
use autoscaler_api::{PodAutoscaler, resolve};
use autoscaler_planning::{Knowledge, Objective, Planning, Settings};
use autoscaler_runtime::planning::{Known, settings};
use engine_model::EngineSpec;
use workload::score::Slo;

/// The autoscaler, and its plan where the strategy takes one. The SLO is the manifest's, else `slo`; a replica costs as much as it
/// has GPUs. `adjust` has the last word on the plan's settings.
pub(crate) fn with_plan(
    object: &PodAutoscaler,
    engine: &EngineSpec,
    slo: Slo,
    interval: f64,
    adjust: impl FnOnce(&mut Settings),
) -> Result<Product, ProductError> {
    let resolved = resolve(object).map_err(|found| {
        ProductError::Manifest(found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })?;
    let product = Product::new(object, interval)?;
    if !resolved.strategy.plans() {
        return Ok(product);
    }
    let knowledge = Knowledge::Engine(Box::new(engine.clone()));
    let cost = Some(f64::from(engine.gpus));
    let mut settings = plan_settings(&[(&resolved, Known { knowledge, cost })], slo);
    adjust(&mut settings);
    let planning = Planning::new(settings).map_err(|error| ProductError::Manifest(error.to_string()))?;
    Ok(product.with_planning(planning))
}

/// What one model's plan is set to in the simulated world, whose time begins at zero. The SLO is the manifests', else `slo`.
#[must_use]
pub fn plan_settings(objects: &[(&ResolvedAutoscaler, Known)], slo: Slo) -> Settings {
    let mut settings = settings(objects, 0.0);
    if objects.iter().all(|(object, _)| object.slo.is_none()) {
        settings.objective = Objective { ttft: Some(slo.ttft), tpot: Some(slo.tpot), e2e: None };
    }
    settings
}
