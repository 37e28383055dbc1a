//! `simulate`: one policy on one trace, in virtual time.

use super::scenario::{self, Scenario};
use crate::output::{self, Usage};
use crate::values::duration;
use anyhow::{Context, bail};
use autoscaler_api::PodAutoscaler;
use engine_model::EngineSpec;
use serde_json::{Map, Value, json};
use simulator::compare::Cell;
use simulator::demand::Demand;
use simulator::oracle;
use simulator::policy::{NAMES, Named, Products, Terms};
use simulator::report::{Run, thinned};
use simulator::world::{Group, Outcome, Router, Setup, Timeline, run as run_world, run_fleet};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use workload::Arrival;

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
    #[arg(long, value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(NAMES))]
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
    /// What an hour of a GPU costs [default: 1]
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
    let given = Given::read(args, &names)?;
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
        let mut products = Products::new(&objects, args.interval.max(0.1), args.gpus, &gpus)?;
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

/// What the arguments say of loads, engines and prices.
struct Given {
    /// The traces' names.
    name: String,
    arrivals: Vec<Arrival>,
    /// Whose each arrival is; empty where there is one model.
    models: Vec<u16>,
    /// Which model each autoscaler serves.
    serves: Vec<usize>,
    length: f64,
    engines: Vec<EngineSpec>,
    prices: Vec<f64>,
}

/// What is said of everybody, and of each by name.
fn named<'a>(
    flag: &str,
    given: &'a [String],
    names: &[String],
) -> anyhow::Result<(Option<&'a str>, BTreeMap<String, &'a str>)> {
    let (mut all, mut each) = (None, BTreeMap::new());
    for text in given {
        // A path may have the sign, too.
        match text.split_once('=').filter(|(name, _)| names.iter().any(|known| known == name)) {
            Some((name, value)) => drop(each.insert(name.to_owned(), value)),
            None if text.split_once('=').is_some_and(|(name, _)| !name.contains(['/', '.'])) => {
                let name = text.split_once('=').map_or("", |(name, _)| name);
                return Err(
                    Usage(format!("--{flag} {text}: no PodAutoscaler {name} (allowed: {})", names.join(", "))).into()
                );
            }
            None => all = Some(text.as_str()),
        }
    }
    Ok((all, each))
}

impl Given {
    fn read(args: &SimulateArgs, names: &[String]) -> anyhow::Result<Self> {
        let (engine, engines) = named("engine", &args.engine, names)?;
        let (price, prices) = named("price", &args.price, names)?;
        let (trace, traces) = named("trace", &args.trace, names)?;
        let engine = engine.unwrap_or("l4-8b");
        let engines = names.iter().map(|name| scenario::engine(engines.get(name).copied().unwrap_or(engine)));
        let number = |text: &str| {
            let price = text.parse::<f64>().ok().filter(|price| price.is_finite() && *price >= 0.0);
            price.ok_or_else(|| Usage(format!("--price {text}: allowed: a number from 0")))
        };
        let prices = names.iter().map(|name| number(prices.get(name).copied().or(price).unwrap_or("1")));
        let (mut loads, mut serves) = (Vec::new(), Vec::new());
        // One trace for all that have none of their own.
        let mut shared = None;
        for name in names {
            if let Some(path) = traces.get(name) {
                serves.push(loads.len());
                loads.push(args.scenario.trace(Path::new(path))?);
                continue;
            }
            if shared.is_none() {
                shared = Some(loads.len());
                loads.push(match trace {
                    Some(path) => args.scenario.trace(Path::new(path))?,
                    None => args.scenario.synthetic(args.seed)?,
                });
            }
            serves.extend(shared);
        }
        let mut all: Vec<(Arrival, u16)> = Vec::new();
        for (model, load) in (0..).zip(&loads) {
            all.extend(load.arrivals.iter().map(|arrival| (*arrival, model)));
        }
        all.sort_by(|a, b| a.0.at.total_cmp(&b.0.at));
        let (arrivals, models): (Vec<Arrival>, Vec<u16>) = all.into_iter().unzip();
        Ok(Self {
            name: loads.iter().map(|load| load.name.as_str()).collect::<Vec<_>>().join("+"),
            arrivals,
            models: if loads.len() > 1 { models } else { Vec::new() },
            serves,
            length: loads.iter().map(|load| load.length).fold(0.0, f64::max),
            engines: engines.collect::<anyhow::Result<_>>()?,
            prices: prices.collect::<Result<_, _>>()?,
        })
    }

    /// The requests of a model.
    fn of(&self, model: usize) -> Vec<Arrival> {
        let own = |at: usize| self.models.get(at).is_none_or(|of| usize::from(*of) == model);
        self.arrivals.iter().enumerate().filter(|(at, _)| own(*at)).map(|(_, arrival)| *arrival).collect()
    }

    /// The world, and the demand on its first group.
    fn setup(
        &self,
        args: &SimulateArgs,
        objects: &[PodAutoscaler],
        names: &[String],
    ) -> anyhow::Result<(Setup, Demand)> {
        let Some(first) = self.engines.first().cloned() else { bail!("no PodAutoscaler") };
        let mut setup = args.scenario.setup(first, args.cold_start, args.seed, self.length);
        setup.pool = args.gpus;
        let hits = setup.router == Router::PrefixAware;
        let (mut groups, mut demands) = (Vec::new(), Vec::new());
        for (at, name) in names.iter().enumerate() {
            let model = self.serves[at];
            let engine = self.engines[at].clone();
            let demand = Demand::of(&engine, setup.slo, &self.of(model), self.length, 10.0, hits)
                .with_context(|| format!("{} can serve nothing of {}", engine.name, self.name))?;
            let mut group = Group { name: name.clone(), engine, model, price: self.prices[at], ..setup.group.clone() };
            group.weight = demand.capacity.at.batch.max(1.0);
            group.max = args.scenario.max_replicas.unwrap_or(3 * replicas(demand.peak()) + 2);
            if let Some(object) = objects.get(at) {
                let resolved = autoscaler_api::resolve(object).map_err(|_| anyhow::anyhow!("{name}: not valid"))?;
                (group.min, group.max) = (resolved.bounds.min, resolved.bounds.max);
            }
            // Groups of one model begin with a share each.
            let beside = self.serves.iter().filter(|other| **other == model).count() as f64;
            let needed = args.initial_replicas.unwrap_or_else(|| replicas(demand.begins_with(60.0) / beside));
            group.initial = needed.clamp(group.min, group.max);
            groups.push(group);
            demands.push(demand);
        }
        let mut groups = groups.into_iter();
        let (Some(group), Some(demand)) = (groups.next(), demands.into_iter().next()) else {
            bail!("no PodAutoscaler")
        };
        (setup.group, setup.others) = (group, groups.collect());
        Ok((setup, demand))
    }
}

/// Replicas for some work, at the utilization that a static fleet is planned for.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
fn replicas(work: f64) -> u32 {
    ((work / 0.8).ceil() as u32).max(1)
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
    for ((name, group), timeline) in names.iter().zip(setup.groups()).zip(timelines) {
        let run = Run {
            trace: given.name.clone(),
            engine: group.engine.name.clone(),
            cold_start: args.cold_start,
            seed: args.seed,
            policy: name.clone(),
            knob: args.knob,
            timeline: thinned(timeline),
        };
        cells.push(cell(line, &run));
        runs.push(run);
    }
    scenario::write_report(path, &[], &cells, &runs)
}

/// The one PodAutoscaler of a manifest.
pub(super) fn one_autoscaler(path: &Path) -> anyhow::Result<PodAutoscaler> {
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

fn line(trace: &str, setup: &Setup, policy: &str, outcome: &Outcome) -> Map<String, Value> {
    let fates = outcome.fates;
    let line = json!({
        "trace": trace, "engine": setup.group.engine.name, "coldStart": setup.group.cold_start.median, "seed": setup.seed, "policy": policy,
        "requests": fates.requests, "attainment": fates.attainment(), "gpuHours": outcome.gpu_hours,
        "ttftP50": outcome.ttft.p50, "ttftP99": outcome.ttft.p99, "tpotP50": outcome.tpot.p50, "tpotP99": outcome.tpot.p99,
        "reversalsPerHour": outcome.reversals_per_hour, "aborted": fates.aborted, "peakReplicas": outcome.peak_replicas,
        "wallSeconds": outcome.wall, "late": fates.late, "rejected": fates.rejected, "crashed": fates.crashed,
        "unfinished": fates.unfinished, "replicasCreated": outcome.created, "cost": outcome.cost,
    });
    let Value::Object(mut line) = line else { return Map::new() };
    if !setup.others.is_empty() {
        line.insert("groups".to_owned(), json!(outcome.groups));
        let attained: Vec<f64> = outcome.models.iter().map(simulator::world::Fates::attainment).collect();
        line.insert("attainmentByModel".to_owned(), json!(attained));
    }
    line
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
    arrivals: &[Arrival],
    demand: Demand,
    outcome: &Outcome,
    hits: bool,
) -> anyhow::Result<()> {
    let ample = oracle::constant(setup, arrivals, setup.group.max)?.outcome.fates.attainment();
    let target = ample.min(0.99);
    let constant = oracle::best_constant(setup, arrivals, setup.group.max, target)?;
    let found = oracle::oracle(setup, arrivals, &demand, target, &constant)?;
    let fine = Demand::of(&setup.group.engine, setup.slo, arrivals, setup.length, 5.0, hits).unwrap_or(demand);
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
    for group in line.get("groups").and_then(Value::as_array).into_iter().flatten() {
        let (name, hours) = (group["name"].as_str().unwrap_or_default(), group["gpuHours"].as_f64().unwrap_or(0.0));
        let _ =
            writeln!(text, "    {name:<12} {hours:.3} GPU-hours, cost {:.3}", group["cost"].as_f64().unwrap_or(0.0));
    }
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
