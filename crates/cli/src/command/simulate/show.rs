//! A run as a line of JSON, as a cell of a report, and as text.

use serde_json::{Map, Value, json};
use simulator::compare::{Cell, SCORED, TARGET};
use simulator::demand::Demand;
use simulator::oracle;
use simulator::report::Run;
use simulator::world::{Outcome, Setup};
use std::fmt::Write as _;
use std::sync::Arc;
use workload::Arrival;

pub(super) fn line(trace: &str, setup: &Setup, policy: &str, outcome: &Outcome) -> Map<String, Value> {
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
pub(super) fn cell(line: &Map<String, Value>, run: &Run) -> Cell {
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
pub(super) fn compare(
    line: &mut Map<String, Value>,
    setup: &Setup,
    arrivals: &[Arrival],
    demand: Demand,
    outcome: &Outcome,
    hits: bool,
) -> anyhow::Result<()> {
    let ample = oracle::constant(setup, arrivals, setup.group.max)?.outcome.fates.attainment();
    let target = ample.min(TARGET);
    let constant = oracle::best_constant(setup, arrivals, setup.group.max, target)?;
    let found = oracle::oracle(setup, arrivals, &demand, target, &constant)?;
    let fine = Demand::of(&setup.group.engine, setup.slo, arrivals, setup.length, 5.0, hits).unwrap_or(demand);
    let (_, late) = oracle::late_oracle(setup, arrivals, &Arc::new(fine), (&found, target), constant.count(), None)?;
    let (best, scored) = (&found.outcome, ample >= SCORED);
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

pub(super) fn table(line: &Map<String, Value>) -> String {
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
