//! `simulate`: one policy on one trace, in virtual time.

use super::scenario::{self, Scenario};
use crate::output::{self, Usage};
use crate::values::duration;
use anyhow::{Context, bail};
use autoscaler_api::PodAutoscaler;
use serde_json::{Map, Value, json};
use simulator::compare::Cell;
use simulator::demand::Demand;
use simulator::oracle;
use simulator::policy::{NAMES, Named, Product, Terms};
use simulator::report::{Run, thinned};
use simulator::world::{Outcome, Policy, Setup, Timeline, run as run_world};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The policy is a PodAutoscaler, run by the product's own code, or one of compare's by name. Without a trace, half an hour
with a burst every five minutes is generated. The same seed gives the same result, to the bit.

Examples:
  aibrix-autoscaler simulate autoscaler.yaml --trace azure.csv.gz --engine l4-8b --cold-start 120s
  aibrix-autoscaler simulate --policy kpa --shape poisson:rate=8,input=700,output=110 --for 1h --oracle
  aibrix-autoscaler simulate autoscaler.yaml --trace azure.csv.gz --json --timeline timeline.json"
)]
pub(crate) struct SimulateArgs {
    /// A manifest with one PodAutoscaler; - reads standard input
    #[arg(required_unless_present = "policy", conflicts_with = "policy")]
    file: Option<PathBuf>,
    /// A policy of `compare` in place of a manifest
    #[arg(long, value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(NAMES))]
    policy: Option<String>,
    /// The policy's knob: above 1 fuller and cheaper, below 1 safer
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, requires = "policy")]
    knob: f64,
    /// A trace: CSV or CSV.gz with t,input_tokens,output_tokens, or Mooncake's JSONL
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Built-in engine model, or a file that describes one
    #[arg(long, value_name = "NAME|FILE", default_value = "l4-8b")]
    engine: String,
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
    let engine = scenario::engine(&args.engine)?;
    let load = match &args.trace {
        Some(path) => args.scenario.trace(path)?,
        None => args.scenario.synthetic(args.seed)?,
    };
    let mut setup = args.scenario.setup(engine, args.cold_start, args.seed, load.length);
    let hits = setup.router == simulator::world::Router::PrefixAware;
    let demand = Demand::of(&setup.engine, setup.slo, &load.arrivals, load.length, 10.0, hits)
        .with_context(|| format!("{} can serve nothing of {}", setup.engine.name, load.name))?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
    let count = |work: f64| ((work / 0.8).ceil() as u32).max(1);
    setup.max = args.scenario.max_replicas.unwrap_or(3 * count(demand.peak()) + 2);
    let (name, mut policy): (String, Box<dyn Policy>) = if let Some(name) = &args.policy {
        let named = Named::find(name).with_context(|| format!("no policy {name}"))?;
        let bounds = autoscaler_core::spec::Bounds { min: setup.min, max: setup.max };
        let terms = Terms { engine: setup.engine.clone(), slo: setup.slo, bounds, capacity: demand.capacity };
        (name.clone(), named.build(&terms, args.knob)?)
    } else {
        let path = args.file.as_deref().unwrap_or_else(|| Path::new("-"));
        manifest(path, args.interval, &mut setup)?
    };
    setup.initial = count(demand.begins_with(60.0)).clamp(setup.min, setup.max);
    let mut timeline = (args.timeline.is_some() || args.report.is_some()).then(Timeline::default);
    let outcome = run_world(&setup, &load.arrivals, policy.as_mut(), timeline.as_mut())?;
    if let Some((path, timeline)) = args.timeline.as_ref().zip(timeline.as_ref()) {
        std::fs::write(path, serde_json::to_vec(timeline)?)
            .with_context(|| format!("{}: cannot be written", path.display()))?;
    }
    let mut line = line(&load.name, &setup, &name, &outcome);
    if args.oracle {
        compare(&mut line, &setup, &load.arrivals, demand, &outcome, hits)?;
    }
    if let Some((path, timeline)) = args.report.as_ref().zip(timeline) {
        let run = Run {
            trace: load.name.clone(),
            engine: setup.engine.name.clone(),
            cold_start: args.cold_start,
            seed: args.seed,
            policy: name.clone(),
            knob: args.knob,
            timeline: thinned(timeline),
        };
        scenario::write_report(path, &[], &[cell(&line, &run)], &[run])?;
    }
    let text = if args.json { format!("{}\n", Value::Object(line)) } else { table(&line) };
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The manifest's policy; its bounds are those of the run.
fn manifest(path: &Path, interval: f64, setup: &mut Setup) -> anyhow::Result<(String, Box<dyn Policy>)> {
    let object = one_autoscaler(path)?;
    let file = super::name_of(path);
    let resolved = autoscaler_api::resolve(&object).map_err(|_| anyhow::anyhow!("{file}: not valid"))?;
    (setup.min, setup.max) = (resolved.bounds.min, resolved.bounds.max);
    let policy = Product::new(&object, interval.max(0.1)).with_context(|| file.clone())?;
    Ok((resolved.name.clone(), Box::new(policy)))
}

/// The one PodAutoscaler of a manifest.
pub(super) fn one_autoscaler(path: &Path) -> anyhow::Result<PodAutoscaler> {
    let file = super::name_of(path);
    let text = super::read_text(path)?;
    let mut manifest = autoscaler_api::read(&file, &text);
    if !manifest.is_valid() {
        let lines: Vec<String> =
            manifest.findings.iter().filter(|one| one.diagnostic.is_error()).map(ToString::to_string).collect();
        bail!("{}", lines.join("\nerror: "));
    }
    for finding in &manifest.findings {
        output::note(&finding.to_string());
    }
    match manifest.autoscalers.pop() {
        Some(object) if manifest.autoscalers.is_empty() => Ok(object),
        Some(_) => Err(Usage(format!("{file}: several PodAutoscalers; one is simulated")).into()),
        None => bail!("{file}: no PodAutoscaler"),
    }
}

fn line(trace: &str, setup: &Setup, policy: &str, outcome: &Outcome) -> Map<String, Value> {
    let fates = outcome.fates;
    let line = json!({
        "trace": trace, "engine": setup.engine.name, "coldStart": setup.cold_start.median, "seed": setup.seed, "policy": policy,
        "requests": fates.requests, "attainment": fates.attainment(), "gpuHours": outcome.gpu_hours,
        "ttftP50": outcome.ttft.p50, "ttftP99": outcome.ttft.p99, "tpotP50": outcome.tpot.p50, "tpotP99": outcome.tpot.p99,
        "reversalsPerHour": outcome.reversals_per_hour, "aborted": fates.aborted, "peakReplicas": outcome.peak_replicas,
        "wallSeconds": outcome.wall, "late": fates.late, "rejected": fates.rejected, "crashed": fates.crashed,
        "unfinished": fates.unfinished, "replicasCreated": outcome.created,
    });
    match line {
        Value::Object(line) => line,
        _ => Map::new(),
    }
}

/// The run as a report shows it.
fn cell(line: &Map<String, Value>, run: &Run) -> Cell {
    let number = |key: &str| line.get(key).and_then(Value::as_f64);
    let count = |key: &str| line.get(key).and_then(Value::as_u64).unwrap_or(0);
    let known = |key: &str| number(key).unwrap_or(0.0);
    Cell {
        trace: run.trace.clone(),
        engine: run.engine.clone(),
        cold_start: run.cold_start,
        seed: run.seed,
        policy: run.policy.clone(),
        knob: run.knob,
        reference: false,
        requests: count("requests"),
        attainment: known("attainment"),
        target: known("target"),
        attainable_max: known("attainableMax"),
        gpu_hours: known("gpuHours"),
        oracle_gpu_hours: known("oracleGpuHours"),
        oracle_attainment: known("oracleAttainment"),
        score: number("score"),
        late_oracle_gpu_hours: known("lateOracleGpuHours"),
        late_oracle_score: number("lateOracleScore"),
        ttft_p50: known("ttftP50"),
        ttft_p99: known("ttftP99"),
        tpot_p50: known("tpotP50"),
        tpot_p99: known("tpotP99"),
        reversals_per_hour: known("reversalsPerHour"),
        aborted: count("aborted"),
        peak_replicas: u32::try_from(count("peakReplicas")).unwrap_or(u32::MAX),
        wall_seconds: known("wallSeconds"),
    }
}

/// Adds what the references came to.
fn compare(
    line: &mut Map<String, Value>,
    setup: &Setup,
    arrivals: &[workload::Arrival],
    demand: Demand,
    outcome: &Outcome,
    hits: bool,
) -> anyhow::Result<()> {
    let ample = oracle::constant(setup, arrivals, setup.max)?.outcome.fates.attainment();
    let target = ample.min(0.99);
    let constant = oracle::best_constant(setup, arrivals, setup.max, target)?;
    let found = oracle::oracle(setup, arrivals, &demand, target, &constant)?;
    let fine = Demand::of(&setup.engine, setup.slo, arrivals, setup.length, 5.0, hits).unwrap_or(demand);
    let (_, late) = oracle::late_oracle(setup, arrivals, &Arc::new(fine), (&found, target), constant.count(), None)?;
    let (best, scored) = (&found.outcome, ample >= 0.90);
    for (key, value) in [
        ("target", json!(target)),
        ("attainableMax", json!(ample)),
        ("oracleGpuHours", json!(best.gpu_hours)),
        ("oracleAttainment", json!(best.fates.attainment())),
        ("score", json!(scored.then(|| oracle::score(outcome, best.gpu_hours, target)))),
        ("lateOracleGpuHours", json!(late.outcome.gpu_hours)),
        ("lateOracleScore", json!(scored.then(|| oracle::score(&late.outcome, best.gpu_hours, target)))),
    ] {
        line.insert(key.to_owned(), value);
    }
    Ok(())
}

fn table(line: &Map<String, Value>) -> String {
    let mut text = String::new();
    let number = |key: &str| line.get(key).and_then(Value::as_f64).unwrap_or(0.0);
    let word = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default();
    let _ = writeln!(
        text,
        "{} on {}, {}, start-up {} s",
        word("policy"),
        word("trace"),
        word("engine"),
        number("coldStart")
    );
    let _ = writeln!(text, "  attainment     {:.2} % of {} requests", 100.0 * number("attainment"), number("requests"));
    let _ = writeln!(text, "  GPU-hours      {:.3}, at most {} replicas", number("gpuHours"), number("peakReplicas"));
    let _ = writeln!(text, "  TTFT           p50 {:.3} s, p99 {:.3} s", number("ttftP50"), number("ttftP99"));
    let _ =
        writeln!(text, "  TPOT           p50 {:.1} ms, p99 {:.1} ms", 1e3 * number("tpotP50"), 1e3 * number("tpotP99"));
    let _ = writeln!(text, "  reversals      {:.2} an hour", number("reversalsPerHour"));
    if line.contains_key("oracleGpuHours") {
        let score =
            line.get("score").and_then(Value::as_f64).map_or("not scored".to_owned(), |score| format!("{score:.3}"));
        let late = line.get("lateOracleScore").and_then(Value::as_f64).unwrap_or(0.0);
        let _ = writeln!(
            text,
            "  score          {score} (1 is the oracle with {:.3} GPU-hours at {:.2} %; the late oracle has {late:.3})",
            number("oracleGpuHours"),
            100.0 * number("oracleAttainment")
        );
    }
    text
}
