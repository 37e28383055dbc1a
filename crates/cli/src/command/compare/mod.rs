//! `compare`: policies × traces × engines × start-up times × seeds, against the oracle.

mod table;
mod tune;

use super::scenario::{self, Scenario};
use crate::output;
use crate::values::duration;
use clap::builder::PossibleValuesParser;
use indicatif::{ProgressBar, ProgressStyle};
use simulator::compare::{Cell, Compared, Grid, Ran, Summary, run as run_grid, summaries};
use simulator::policy::{Named, POLICIES, names};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use table::table;
use tune::tune;

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
    /// Policies [default: all but hybrid without a part]
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = PossibleValuesParser::new(names()))]
    policies: Vec<String>,
    /// Settings of each policy's knob: above 1 fuller and cheaper, below 1 safer
    #[arg(long, value_name = "FACTOR", value_delimiter = ',', default_value = "1")]
    knob: Vec<f64>,
    /// Search the settings of a policy of ours (hybrid, optimizer, hpa-kv, hpa-waiting, kpa, apa) or of a manifest, on the first 70 %
    /// of each trace, and print the manifest that wins, with its score on the rest
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
