//! `compare`: policies × traces × engines × start-up times × seeds, against the oracle.

use super::scenario::{self, Scenario};
use crate::output;
use crate::values::duration;
use anyhow::{Context, bail};
use autoscaler_core::spec::Bounds;
use clap::builder::PossibleValuesParser;
use engine_model::EngineSpec;
use indicatif::{ProgressBar, ProgressStyle};
use simulator::compare::{Cell, Compared, Grid, Load, Ran, Summary, run as run_grid, summaries};
use simulator::demand;
use simulator::policy::{NAMES, Named, POLICIES};
use simulator::tune::Ground;
use simulator::world::Router;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each cell is scored as GPU-hours over those of a clairvoyant oracle, a quarter more for each point of attainment that is
missing; 1 is the oracle. Beside it stands the late oracle, which knows the demand of now and nothing of the next moment. Cells
whose SLO no capacity can keep are reported and not scored. The same seeds give the same cells, on any number of threads.

Examples:
  aibrix-autoscaler compare
  aibrix-autoscaler compare --trace azure.csv.gz --engine l4-8b,a100-70b-tp4 --cold-start 30s,120s,300s --seed 1,2,3
  aibrix-autoscaler compare --policies kpa,apa --knob 0.6,0.8,1,1.25 --json
  aibrix-autoscaler compare --tune kpa --trace azure.csv.gz       the manifest whose settings score best"
)]
pub(crate) struct CompareArgs {
    /// Traces: CSV or CSV.gz with t,input_tokens,output_tokens, or Mooncake's JSONL
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    trace: Vec<PathBuf>,
    /// Built-in engine models, or files that describe one
    #[arg(long, value_name = "NAME|FILE", value_delimiter = ',', default_value = "l4-8b")]
    engine: Vec<String>,
    /// Median times from a replica's creation to its service
    #[arg(long, value_name = "TIME", value_delimiter = ',', value_parser = duration, default_value = "120s")]
    cold_start: Vec<f64>,
    /// What the randomness begins with
    #[arg(long, value_delimiter = ',', default_value = "1")]
    seed: Vec<u64>,
    /// Policies [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = PossibleValuesParser::new(NAMES))]
    policies: Vec<String>,
    /// Settings of each policy's knob: above 1 fuller and cheaper, below 1 safer
    #[arg(long, value_name = "FACTOR", value_delimiter = ',', default_value = "1")]
    knob: Vec<f64>,
    /// Search the settings of a policy of ours (hpa-kv, hpa-waiting, kpa, apa) or of a manifest, on the first 70 % of each
    /// trace, and print the manifest that wins, with its score on the rest
    #[arg(long, value_name = "NAME|FILE", conflicts_with_all = ["policies", "knob", "report"])]
    tune: Option<String>,
    /// Threads [default: as many as processors]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Write a page with the scores and a plot of each policy's run of the first seed
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Print a JSON line for each cell, and the summary last
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    scenario: Scenario,
}

pub(crate) fn run(args: &CompareArgs) -> anyhow::Result<ExitCode> {
    let engines = args.engine.iter().map(|text| scenario::engine(text)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut loads = scenario::files(&args.trace, &args.scenario)?;
    if loads.is_empty() {
        loads.push(args.scenario.synthetic(1)?);
    }
    if let Some(what) = &args.tune {
        return tune(args, what, loads, engines);
    }
    let policies: Vec<Named> = if args.policies.is_empty() {
        POLICIES.to_vec()
    } else {
        args.policies.iter().filter_map(|name| Named::find(name)).collect()
    };
    let Some(first) = engines.first().cloned() else { anyhow::bail!("no engine") };
    let setup = args.scenario.setup(first, 0.0, 0, f64::INFINITY);
    let grid = Grid {
        loads,
        engines,
        cold_starts: args.cold_start.clone(),
        seeds: args.seed.clone(),
        policies,
        knobs: args.knob.clone(),
        setup,
        max: args.scenario.max_replicas,
        plots: args.report.is_some(),
    };
    let threads = threads(args);
    let bar = bar();
    let Compared { cells, runs } = run_grid(&grid, threads, &|Ran { done, of }| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    let summary = summaries(&cells);
    if let Some(path) = &args.report {
        scenario::write_report(path, &summary, &cells, &runs)?;
    }
    let text = if args.json { lines(&cells, &summary)? } else { table(&cells, &summary) };
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn threads(args: &CompareArgs) -> usize {
    args.threads.or_else(|| std::thread::available_parallelism().ok().map(Into::into)).unwrap_or(1)
}

/// Searches settings.
fn tune(args: &CompareArgs, what: &str, loads: Vec<Load>, engines: Vec<EngineSpec>) -> anyhow::Result<ExitCode> {
    let (Some(first), Some(load)) = (engines.first().cloned(), loads.first()) else { bail!("no engine or no load") };
    let setup = args.scenario.setup(first.clone(), 0.0, 0, f64::INFINITY);
    let (manifest, interval) = if let Some(named) = Named::find(what) {
        let mix = demand::mix(&load.arrivals, setup.router == Router::PrefixAware);
        let capacity = demand::capacity(&first, setup.slo, mix)
            .with_context(|| format!("{} can serve nothing of {}", first.name, load.name))?;
        let bounds =
            Bounds { min: setup.group.min, max: args.scenario.max_replicas.unwrap_or(10).max(setup.group.min) };
        let ours = named.manifest(&capacity, bounds, 1.0);
        ours.ok_or_else(|| {
            output::Usage(format!("--tune {what}: has no manifest; allowed: hpa-kv, hpa-waiting, kpa, apa"))
        })?
    } else {
        (serde_json::to_value(super::simulate::one_autoscaler(Path::new(what))?)?, 5.0)
    };
    let ground = Ground {
        loads,
        engines,
        cold_starts: args.cold_start.clone(),
        seeds: args.seed.clone(),
        setup,
        max: args.scenario.max_replicas,
        interval,
    };
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

/// Shown on a terminal only.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} runs, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

fn lines(cells: &[Cell], summary: &[Summary]) -> anyhow::Result<String> {
    let mut text = String::new();
    for cell in cells {
        let _ = writeln!(text, "{}", serde_json::to_string(cell)?);
    }
    let _ = writeln!(text, "{}", serde_json::json!({ "summary": summary }));
    Ok(text)
}

fn table(cells: &[Cell], summary: &[Summary]) -> String {
    let mut text = String::new();
    let mut places: Vec<(&str, &str, f64)> = Vec::new();
    for cell in cells {
        let place = (cell.trace.as_str(), cell.engine.as_str(), cell.cold_start);
        if !places.contains(&place) {
            places.push(place);
        }
    }
    let score = |score: Option<f64>| score.map_or_else(|| "-".to_owned(), |score| format!("{score:.3}"));
    for (trace, engine, cold) in places {
        let own: Vec<&Cell> = cells
            .iter()
            .filter(|cell| (cell.trace.as_str(), cell.engine.as_str(), cell.cold_start) == (trace, engine, cold))
            .collect();
        let Some(first) = own.first() else { continue };
        let _ = writeln!(
            text,
            "{trace} on {engine}, start-up {cold} s: {} requests, target {:.2} %{}",
            first.requests,
            100.0 * first.target,
            if first.score.is_none() { ", beyond reach of any capacity: not scored" } else { "" }
        );
        let _ = writeln!(
            text,
            "  {:<14} {:>5} {:>8} {:>10} {:>10} {:>9} {:>9} {:>9} {:>5}",
            "POLICY", "SEED", "SCORE", "ATTAINED", "GPU-HOURS", "TTFT P99", "TPOT P99", "REVERSALS", "PEAK"
        );
        for cell in own {
            let name = if (cell.knob - 1.0).abs() < 1e-9 || cell.reference {
                cell.policy.clone()
            } else {
                format!("{} ×{}", cell.policy, cell.knob)
            };
            let _ = writeln!(
                text,
                "  {:<14} {:>5} {:>8} {:>9.2}% {:>10.3} {:>8.2}s {:>7.0}ms {:>7.2}/h {:>5}",
                name,
                cell.seed,
                score(cell.score),
                100.0 * cell.attainment,
                cell.gpu_hours,
                cell.ttft_p99,
                1e3 * cell.tpot_p99,
                cell.reversals_per_hour,
                cell.peak_replicas
            );
        }
        text.push('\n');
    }
    let _ = writeln!(text, "{:<20} {:>8} {:>8} {:>10} {:>11}", "SUMMARY", "SCORE", "WORST", "AT TARGET", "REVERSALS");
    for line in summary {
        let name = match (line.reference, line.knob) {
            (true, _) => format!("{} *", line.policy),
            (false, Some(knob)) if (knob - 1.0).abs() > 1e-9 => format!("{} ×{knob}", line.policy),
            _ => line.policy.clone(),
        };
        let _ = writeln!(
            text,
            "{:<20} {:>8} {:>8} {:>6}/{:<3} {:>9.2}/h",
            name,
            score(line.score),
            score(line.worst),
            line.cells_at_target,
            line.cells,
            line.reversals_per_hour
        );
    }
    text.push_str("* made in hindsight: not policies\n");
    text
}
