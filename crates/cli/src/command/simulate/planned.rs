//! Plans for the autoscalers of a manifest that take some: those of one model are planned together.

use super::given::Given;
use anyhow::Context;
use autoscaler_api::resolved::ResolvedAutoscaler;
use autoscaler_api::{PodAutoscaler, resolve};
use autoscaler_planning::{Knowledge, Planning};
use autoscaler_runtime::planning::Known;
use autoscaler_runtime::profiles;
use simulator::policy::{Products, plan_settings};
use simulator::world::Setup;
use std::path::Path;

/// Gives each model's autoscalers that plan a planning. What is known of an engine is what a profile's file says, below
/// `folder`, else the simulated engine itself; a replica costs its GPUs' price, and the SLO is the manifest's, else the score's.
pub(super) fn with_plans(
    mut products: Products,
    objects: &[PodAutoscaler],
    given: &Given,
    setup: &Setup,
    folder: &Path,
) -> anyhow::Result<Products> {
    let mut planned: Vec<(usize, ResolvedAutoscaler)> = Vec::new();
    for (at, object) in objects.iter().enumerate() {
        let resolved = resolve(object).map_err(|_| anyhow::anyhow!("spec: not valid"))?;
        if resolved.strategy.plans() {
            planned.push((at, resolved));
        }
    }
    let mut models: Vec<usize> = planned.iter().map(|(at, _)| given.serves[*at]).collect();
    models.sort_unstable();
    models.dedup();
    for model in models {
        let targets: Vec<&(usize, ResolvedAutoscaler)> =
            planned.iter().filter(|(at, _)| given.serves[*at] == model).collect();
        let known = targets.iter().map(|(at, one)| Ok((one, known(one, *at, given, folder)?)));
        let known = known.collect::<anyhow::Result<Vec<_>>>()?;
        let planning = Planning::new(plan_settings(&known, setup.slo)).context("plan")?;
        products = products.with_planning(targets.iter().map(|(at, _)| *at).collect(), planning);
    }
    Ok(products)
}

fn known(one: &ResolvedAutoscaler, at: usize, given: &Given, folder: &Path) -> anyhow::Result<Known> {
    let engine = &given.engines[at];
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).map_err(|error| error.to_string());
    let told = profiles::from_files(&one.profiles, read);
    let told = told.map_err(|problem| anyhow::anyhow!("{}: {problem}", one.name))?;
    let mut known =
        told.unwrap_or_else(|| Known { knowledge: Knowledge::Engine(Box::new(engine.clone())), cost: None });
    let price = given.prices[at] * f64::from(engine.gpus);
    // What the simulation pays is what the plan has to count, too.
    known.cost = Some(price).filter(|price| *price > 0.0).or(known.cost);
    Ok(known)
}
