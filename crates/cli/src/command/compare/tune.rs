//! `compare --tune`: the settings of a manifest that score best.

use super::{CompareArgs, threads};
use crate::output;
use anyhow::{Context, bail};
use autoscaler_core::spec::Bounds;
use engine_model::EngineSpec;
use indicatif::ProgressBar;
use simulator::compare::Load;
use simulator::demand;
use simulator::policy::{Named, Terms, with_manifest};
use simulator::tune::Ground;
use simulator::world::Router;
use std::path::Path;
use std::process::ExitCode;

/// Searches settings.
pub(super) fn tune(
    args: &CompareArgs,
    what: &str,
    loads: Vec<Load>,
    engines: Vec<EngineSpec>,
) -> anyhow::Result<ExitCode> {
    let (Some(first), Some(load)) = (engines.first().cloned(), loads.first()) else { bail!("no engine or no load") };
    let mut max = args.scenario.max_replicas;
    let mut setup = args.scenario.setup(first.clone(), 0.0, 0, f64::INFINITY);
    let (manifest, interval) = if let Some(named) = Named::find(what) {
        let mix = demand::mix(&load.arrivals, setup.router == Router::PrefixAware);
        let capacity = demand::capacity(&first, setup.slo, mix)
            .with_context(|| format!("{} can serve nothing of {}", first.name, load.name))?;
        let bounds =
            Bounds { min: setup.group.min, max: args.scenario.max_replicas.unwrap_or(10).max(setup.group.min) };
        let ours = named.manifest(&Terms { engine: first, slo: setup.slo, bounds, capacity }, 1.0);
        ours.ok_or_else(|| {
            output::Usage(format!("--tune {what}: has no manifest; allowed: {}", with_manifest().join(", ")))
        })?
    } else {
        let object = crate::command::simulate::one_autoscaler(Path::new(what))?;
        let resolved = autoscaler_api::resolve(&object).map_err(|_| anyhow::anyhow!("{what}: not valid"))?;
        // A manifest's own bounds are not searched.
        setup.group.min = resolved.bounds.min;
        max = max.or(Some(resolved.bounds.max));
        (serde_json::to_value(object)?, 5.0)
    };
    let ground =
        Ground { loads, engines, cold_starts: args.cold_start.clone(), seeds: args.seed.clone(), setup, max, interval };
    let bar = ProgressBar::new_spinner();
    let tuned = simulator::tune::tune(&manifest, &ground, threads(args), &|tried| {
        bar.set_message(format!("{tried} manifests tried"));
        bar.tick();
    })?;
    bar.finish_and_clear();
    if args.json {
        output::print(&format!("{}\n", serde_json::to_string(&tuned)?))?;
        return Ok(ExitCode::SUCCESS);
    }
    let score = |score: Option<f64>| score.map_or_else(|| "not scored".to_owned(), |score| format!("{score:.3}"));
    let text = format!(
        "# score {:.3} after {:.3}, on the first 70 % of each trace; on the rest {} after {}; {} manifests tried\n{}",
        tuned.score,
        tuned.began_with,
        score(tuned.held_back),
        score(tuned.held_back_began_with),
        tuned.tried,
        output::yaml(&tuned.manifest)?
    );
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
