//! `simulate`: one policy on one trace, in virtual time.

mod given;
mod planned;
mod show;

use super::scenario::{self, Scenario};
use crate::output::{self, Usage};
use crate::values::duration;
use anyhow::{Context, bail};
use autoscaler_api::PodAutoscaler;
use given::Given;
use serde_json::{Map, Value};
use show::{cell, compare, line, table};
use simulator::policy::{Named, Products, Terms, names};
use simulator::report::{Run, thinned};
use simulator::world::{Router, Setup, Timeline, run as run_world, run_fleet};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The policy is a PodAutoscaler, run by the product's own code, or one of compare's by name. Without a trace, half an hour
with a burst every five minutes is generated. The same seed gives the same result, to the bit.

Several PodAutoscalers in the file are groups beside each other: of one model on several engines, or of several models, each
with a trace of its own. NAME= before an engine, price or trace says whose it is. With --gpus they share a pool.

Examples:
  aibrix-autoscaler simulate autoscaler.yaml --trace azure.csv.gz --engine l4-8b --cold-start 120s
  aibrix-autoscaler simulate --policy kpa --shape poisson:rate=8,input=700,output=110 --for 1h --oracle
  aibrix-autoscaler simulate autoscaler.yaml --trace azure.csv.gz --json --timeline timeline.json
  aibrix-autoscaler simulate two.yaml --engine cheap=l4-8b,fast=a100-8b --price cheap=0.8,fast=3.7 --trace azure.csv.gz
  aibrix-autoscaler simulate two.yaml --trace chat=azure.csv.gz,code=bursts.csv --gpus 24"
)]
pub(crate) struct SimulateArgs {
    /// A manifest with PodAutoscalers; - reads standard input
    #[arg(required_unless_present = "policy", conflicts_with = "policy")]
    file: Option<PathBuf>,
    /// A policy of `compare` in place of a manifest
    #[arg(long, value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(names()))]
    policy: Option<String>,
    /// The policy's knob: above 1 fuller and cheaper, below 1 safer
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, requires = "policy")]
    knob: f64,
    /// A trace: CSV or CSV.gz with t,input_tokens,output_tokens, Mooncake's JSONL, or a recording
    #[arg(long, value_name = "[NAME=]FILE", value_delimiter = ',')]
    trace: Vec<String>,
    /// Built-in engine model, or a file that describes one
    #[arg(long, value_name = "[NAME=]ENGINE", value_delimiter = ',', default_value = "l4-8b")]
    engine: Vec<String>,
    /// What an hour of a GPU costs [default: the profiles' costPerHour, else 1]
    #[arg(long, value_name = "[NAME=]PRICE", value_delimiter = ',')]
    price: Vec<String>,
    /// GPUs that all groups share [default: as many as are asked for]
    #[arg(long, value_name = "N")]
    gpus: Option<u32>,
    /// Replicas of each group that serve at the beginning [default: what the load of the first minute needs]
    #[arg(long, value_name = "N")]
    initial_replicas: Option<u32>,
    /// Median time from a replica's creation to its service
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "120s")]
    cold_start: f64,
    /// What the randomness begins with
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds between two decisions of a manifest
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "5s")]
    interval: f64,
    /// Compare with the clairvoyant oracle, too
    #[arg(long)]
    oracle: bool,
    /// Write a point a tick and every change with its reason, as JSON
    #[arg(long, value_name = "FILE")]
    timeline: Option<PathBuf>,
    /// Write a page with plots of the run, its decisions and their reasons
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Print one JSON line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    scenario: Scenario,
}

pub(crate) fn run(args: &SimulateArgs) -> anyhow::Result<ExitCode> {
    let objects = match &args.file {
        Some(path) => autoscalers(path)?,
        None => Vec::new(),
    };
    let names: Vec<String> = match &args.policy {
        Some(policy) => vec![policy.clone()],
        None => objects.iter().map(|object| object.metadata.name.clone().unwrap_or_default()).collect(),
    };
    let mut given = Given::read(args, &names)?;
    if args.price.is_empty() {
        given.prices_of(&objects);
    }
    let (setup, demand) = given.setup(args, &objects, &names)?;
    if args.oracle && !setup.others.is_empty() {
        return Err(Usage("--oracle: there is one for one group only".to_owned()).into());
    }
    let keep = args.timeline.is_some() || args.report.is_some();
    let mut timelines = if keep { vec![Timeline::default(); names.len()] } else { Vec::new() };
    let outcome = if let Some(policy) = args.policy.as_deref().and_then(Named::find) {
        let bounds = autoscaler_core::spec::Bounds { min: setup.group.min, max: setup.group.max };
        let terms = Terms { engine: setup.group.engine.clone(), slo: setup.slo, bounds, capacity: demand.capacity };
        let mut policy = policy.build(&terms, args.knob)?;
        run_world(&setup, &given.arrivals, policy.as_mut(), timelines.first_mut())?
    } else {
        let gpus: Vec<u32> = setup.groups().map(|group| group.engine.gpus).collect();
        let products = Products::new(&objects, args.interval.max(0.1), args.gpus, &gpus)?;
        let folder = args.file.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        let mut products = planned::with_plans(products, &objects, &given, &setup, folder)?;
        run_fleet(&setup, &given.arrivals, &given.models, &mut products, &mut timelines)?
    };
    let name = names.join("+");
    let mut line = line(&given.name, &setup, &name, &outcome);
    if args.oracle {
        let hits = setup.router == Router::PrefixAware;
        compare(&mut line, &setup, &given.arrivals, demand, &outcome, hits)?;
    }
    if let Some(path) = &args.timeline {
        let text = match timelines.as_slice() {
            [one] => serde_json::to_vec(one)?,
            several => {
                let named: BTreeMap<&String, &Timeline> = names.iter().zip(several).collect();
                serde_json::to_vec(&named)?
            }
        };
        std::fs::write(path, text).with_context(|| format!("{}: cannot be written", path.display()))?;
    }
    if let Some(path) = &args.report {
        report(path, args, &given, &setup, &names, &line, timelines)?;
    }
    let text = if args.json { format!("{}\n", Value::Object(line)) } else { table(&line) };
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn report(
    path: &Path,
    args: &SimulateArgs,
    given: &Given,
    setup: &Setup,
    names: &[String],
    line: &Map<String, Value>,
    timelines: Vec<Timeline>,
) -> anyhow::Result<()> {
    let (mut cells, mut runs) = (Vec::new(), Vec::new());
    for (at, ((name, group), timeline)) in names.iter().zip(setup.groups()).zip(timelines).enumerate() {
        let run = Run {
            trace: given.name.clone(),
            engine: group.engine.name.clone(),
            cold_start: args.cold_start,
            seed: args.seed,
            policy: name.clone(),
            knob: args.knob,
            timeline: thinned(timeline),
        };
        let mut cell = cell(line, &run);
        // A group's own, where there are several.
        if let Some(own) = line.get("groups").and_then(|groups| groups.get(at)) {
            cell.gpu_hours = own["gpuHours"].as_f64().unwrap_or(cell.gpu_hours);
            cell.reversals_per_hour = own["reversalsPerHour"].as_f64().unwrap_or(cell.reversals_per_hour);
        }
        cells.push(cell);
        runs.push(run);
    }
    scenario::write_report(path, &[], &cells, &runs)
}

/// The one PodAutoscaler of a manifest.
pub(crate) fn one_autoscaler(path: &Path) -> anyhow::Result<PodAutoscaler> {
    let mut found = autoscalers(path)?;
    match found.pop() {
        Some(object) if found.is_empty() => Ok(object),
        _ => Err(Usage(format!("{}: several PodAutoscalers; one is meant", super::name_of(path))).into()),
    }
}

/// The PodAutoscalers of a manifest: one at least.
fn autoscalers(path: &Path) -> anyhow::Result<Vec<PodAutoscaler>> {
    let file = super::name_of(path);
    let manifest = autoscaler_api::read(&file, &super::read_text(path)?);
    // A LocalDeployment that it names may be in another file; nothing is started here.
    let ours = |path: &str| path != "spec.scaleTargetRef.name";
    let errors = manifest.findings.iter().filter(|one| one.diagnostic.is_error() && ours(&one.diagnostic.path));
    let errors: Vec<String> = errors.map(ToString::to_string).collect();
    if !errors.is_empty() {
        bail!("{}", errors.join("\nerror: "));
    }
    for finding in manifest.findings.iter().filter(|one| !one.diagnostic.is_error()) {
        output::note(&finding.to_string());
    }
    anyhow::ensure!(!manifest.autoscalers.is_empty(), "{file}: no PodAutoscaler");
    Ok(manifest.autoscalers)
}
