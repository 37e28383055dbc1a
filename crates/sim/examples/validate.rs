//! The engine model against published measurements, as a Markdown table: `cargo run --release -p simulator --example validate
//! [FOLDER]`, where FOLDER has Vidur's and Splitwise's tables (`vidur_linear_ops_ms.csv`, `splitwise_perf_median.csv`). No row is
//! left out because it is bad.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::panic, reason = "a tool for people who build the project")]

use engine_model::{Engine, EngineSpec, Event, EventKind, Mix, Request, Time};
use simulator::demand::Demand;
use simulator::policy::{Named, Terms};
use simulator::world::{Setup, run};
use std::collections::BTreeMap;
use std::path::Path;
use workload::Arrival;
use workload::score::Slo;
use workload::synth;

fn main() {
    println!("| source | engine | what | published | model | error |\n|---|---|---|---|---|---|");
    points();
    formulas();
    if let Some(folder) = std::env::args().nth(1) {
        vidur(Path::new(&folder));
        splitwise(Path::new(&folder));
    }
    llmd();
}

fn row(source: &str, engine: &str, what: &str, published: f64, model: f64, unit: &str) {
    let error = 100.0 * (model / published - 1.0);
    println!("| {source} | {engine} | {what} | {published:.4} {unit} | {model:.4} {unit} | {error:+.1} % |");
}

fn engine(name: &str) -> EngineSpec {
    EngineSpec::builtin(name).unwrap()
}

/// A closed loop: `batch` requests are always in, as benchmarks at a fixed batch have it. Answers the mean time per token, the
/// mean time to first token, and requests a second, after the first tenth.
fn closed_loop(spec: &EngineSpec, batch: u32, input: u32, output: u32, total: u64) -> (f64, f64, f64) {
    let mut engine = Engine::new(spec).unwrap();
    let request = |id| Request { id, input_tokens: input, output_tokens: output, prefix_hit_tokens: 0 };
    let mut next = u64::from(batch);
    for id in 0..next {
        // Spread over the time that an answer takes, so that the batch is mixed from the beginning.
        let at = Time::from_secs_f64(f64::from(output) * spec.weights_ms / 1e3 * id as f64 / f64::from(batch));
        engine.submit(at, request(id)).unwrap();
    }
    let (mut tpot, mut ttft, mut ended, mut from, mut to) = (0.0, 0.0, 0.0, None, 0.0);
    while let Some(at) = engine.next_event() {
        let mut over = Vec::new();
        engine.advance(at, &mut |event: Event| {
            if let EventKind::Finished(done) = event.kind {
                over.push((event.at, done));
            }
        });
        for (at, done) in over {
            if next < total {
                engine.submit(at, request(next)).unwrap();
                next += 1;
            }
            if done.arrival.as_secs_f64() > 0.0 && next > total / 10 && next < total {
                from.get_or_insert(at.as_secs_f64());
                to = at.as_secs_f64();
                ended += 1.0;
                tpot += done.tpot().as_secs_f64();
                ttft += done.ttft().as_secs_f64();
            }
        }
    }
    (tpot / ended, ttft / ended, ended / (to - from.unwrap_or(0.0)))
}

fn points() {
    let source = "llm-d WVA, Llama-3.1-8B 128/128";
    let h100 = engine("h100-8b");
    let (tpot, ttft, rate) = closed_loop(&h100, 64, 128, 128, 20_000);
    row(source, "h100-8b", "time per token at batch 64", 8.7, 1e3 * tpot, "ms");
    row(source, "h100-8b", "time to first token at batch 64", 26.0, 1e3 * ttft, "ms");
    row(source, "h100-8b", "requests at batch 64", 56.7, rate, "/s");
    let (tpot, ttft, _) = closed_loop(&h100, 1, 128, 128, 200);
    row(source, "h100-8b", "time per token alone", 7.0, 1e3 * tpot, "ms");
    row(source, "h100-8b", "time to first token alone", 15.0, 1e3 * ttft, "ms");
    let l40s = engine("l40s-8b");
    let (tpot, _, _) = closed_loop(&l40s, 1, 128, 128, 200);
    row("llm-d WVA, shipped α + β", "l40s-8b", "time per token alone", 22.619 + 0.181, 1e3 * tpot, "ms");
    let (tpot, _, _) = closed_loop(&l40s, 64, 128, 128, 20_000);
    row(
        "llm-d WVA, shipped α + 64 β",
        "l40s-8b",
        "time per token at batch 64",
        22.619 + 64.0 * 0.181,
        1e3 * tpot,
        "ms",
    );
}

/// Iterations of BLIS' coefficients (inference-sim defaults.yaml): constant, per prompt token, per decoding sequence.
fn formulas() {
    for (name, constant, prompt, decode) in
        [("a100-8b", 16.44, 0.0478, 0.0182), ("h100-8b", 5.75, 0.01725, 0.0060), ("h100-70b-tp4", 12.6, 0.0764, 0.0668)]
    {
        let spec = engine(name);
        for (tokens, sequences) in [(0.0, 1.0), (0.0, 64.0), (512.0, 32.0), (2048.0, 0.0)] {
            let model = spec.overhead_ms
                + spec.weights_ms.hypot(spec.compute_ms_per_token * (tokens + sequences))
                + spec.kv_ns_per_token * sequences * 512.0 / 1e6
                + spec.attention_ns_per_token2 * tokens * tokens / 2.0 / 1e6;
            let published = constant + prompt * tokens + decode * sequences;
            let what = format!("iteration of {tokens} prompt tokens and {sequences} sequences at context 512");
            row("BLIS defaults", name, &what, published, model, "ms");
        }
    }
}

fn rows(path: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// Linear operators of an iteration: the mean and the worst error over all measured token counts up to the budget.
fn vidur(folder: &Path) {
    let table = rows(&folder.join("vidur_linear_ops_ms.csv"));
    for (name, gpu, model, tp) in [
        ("a100-8b", "a100", "Meta-Llama-3-8B", "1"),
        ("a100-70b-tp4", "a100", "Meta-Llama-3-70B", "4"),
        ("a100-70b-tp8", "a100", "Meta-Llama-3-70B", "8"),
        ("h100-70b-tp4", "h100", "Llama-2-70b-hf", "4"),
        ("h100-70b-tp8", "h100", "Llama-2-70b-hf", "8"),
        ("h100-8b", "h100", "Llama-2-7b-hf", "1"),
    ] {
        let spec = engine(name);
        let (mut sum, mut count, mut worst, mut at) = (0.0, 0.0, 0.0_f64, 0.0);
        for line in
            table.iter().filter(|line| (line[0].as_str(), line[1].as_str(), line[3].as_str()) == (gpu, model, tp))
        {
            let (tokens, published): (f64, f64) = (line[4].parse().unwrap(), line[5].parse().unwrap());
            if tokens > f64::from(spec.max_num_batched_tokens) {
                continue;
            }
            let error = spec.weights_ms.hypot(spec.compute_ms_per_token * tokens) / published - 1.0;
            sum += error.abs();
            count += 1.0;
            if error.abs() > worst.abs() {
                (worst, at) = (error, tokens);
            }
        }
        println!(
            "| Vidur linear operators, {model} TP{tp} | {name} | {count} token counts up to the budget | | mean {:.1} % | worst {:+.1} % at {at} tokens |",
            100.0 * sum / count,
            100.0 * worst
        );
    }
}

/// Errors by engine and what was measured, each with its prompt tokens and batch.
type Errors = BTreeMap<(&'static str, &'static str), Vec<(f64, f64, f64)>>;

/// Prompts alone, and tokens of a batch.
fn splitwise(folder: &Path) {
    let table = rows(&folder.join("splitwise_perf_median.csv"));
    let mut groups: Errors = BTreeMap::new();
    for line in table.iter().filter(|line| line[0] == "llama2-70b" && line[2] != "2") {
        let name = match (line[1].starts_with("a100"), line[2].as_str()) {
            (true, "4") => "a100-70b-tp4",
            (true, _) => "a100-70b-tp8",
            (false, "4") => "h100-70b-tp4",
            (false, _) => "h100-70b-tp8",
        };
        let spec = engine(name);
        let number = |at: usize| line[at].parse::<f64>().unwrap();
        let (prompt, batch) = (number(3), number(4));
        // That stack computes all prompts of a batch in one iteration, without a budget.
        let tokens = prompt * batch;
        let first = spec.overhead_ms
            + spec.weights_ms.hypot(spec.compute_ms_per_token * tokens)
            + spec.attention_ns_per_token2 * batch * prompt * prompt / 2.0 / 1e6;
        let token = spec.overhead_ms
            + spec.weights_ms.hypot(spec.compute_ms_per_token * batch)
            + spec.kv_ns_per_token * tokens / 1e6;
        groups.entry((name, "time of prompts")).or_default().push((first / number(6) - 1.0, prompt, batch));
        groups.entry((name, "time per token")).or_default().push((token / number(7) - 1.0, prompt, batch));
    }
    for ((name, what), errors) in groups {
        let mean = errors.iter().map(|(error, ..)| error.abs()).sum::<f64>() / errors.len() as f64;
        let bias = errors.iter().map(|(error, ..)| error).sum::<f64>() / errors.len() as f64;
        let worst = errors.iter().max_by(|a, b| a.0.abs().total_cmp(&b.0.abs())).unwrap();
        println!(
            "| Splitwise (an older stack), Llama-2-70b | {name} | {what}, {} points | | mean {:.1} %, bias {:+.1} % | worst {:+.1} % at {} tokens × {} |",
            errors.len(),
            100.0 * mean,
            100.0 * bias,
            100.0 * worst.0,
            worst.1,
            worst.2
        );
    }
}

/// llm-d's measured run of its SLO-aware recipe: H100, Qwen3-32B on two GPUs, 4000/1000 tokens, 2→4→6→8→10→4→1 requests a second,
/// 3 s and 100 ms, 3 to 8 replicas. How long each rate lasted is not stated; five and ten minutes are tried.
fn llmd() {
    let spec = EngineSpec {
        name: "h100-32b-tp2".into(),
        source: "compute: 1 / 15 928 tokens/s as measured there; the rest by roofline".into(),
        gpus: 2,
        overhead_ms: 2.5,
        weights_ms: 13.6,
        compute_ms_per_token: 0.0628,
        kv_ns_per_token: 50.0,
        attention_ns_per_token2: 1.64,
        kv_capacity_tokens: 350_000,
        max_num_seqs: 256,
        max_num_batched_tokens: 8192,
        max_model_len: 40_960,
        ..engine("h100-8b")
    };
    let slo = Slo { ttft: 3.0, tpot: 0.1 };
    let mix = Mix { computed: 4000.0, input: 4000.0, output: 1000.0 };
    let source = "llm-d SLO-aware recipe, Qwen3-32B 4000/1000";
    let rate = spec.capacity(mix, slo.tpot).map_or(0.0, |capacity| capacity.rate);
    row(source, "h100-32b-tp2", "steady state of a replica", 1.45, rate, "requests/s");
    for minutes in [5.0, 10.0] {
        let mut arrivals: Vec<Arrival> = Vec::new();
        for (stage, rate) in [2.0, 4.0, 6.0, 8.0, 10.0, 4.0, 1.0].into_iter().enumerate() {
            let begin = stage as f64 * minutes * 60.0;
            let text = format!("poisson:rate={rate},input=4000,output=1000,cv=0");
            let load = synth::parse(&text, Some(minutes * 60.0), stage as u64).unwrap();
            arrivals.extend(load.arrivals().map(|one| Arrival { at: one.at + begin, ..one }));
        }
        let mut setup = Setup::new(spec.clone(), slo, 100.0, 1, 7.0 * minutes * 60.0);
        (setup.group.min, setup.group.max, setup.group.initial, setup.warmup) = (3, 8, 3, 0.0);
        let demand = Demand::of(&spec, slo, &arrivals, setup.length, 10.0, false).unwrap();
        let bounds = autoscaler_core::spec::Bounds { min: 3, max: 8 };
        let terms = Terms { engine: spec.clone(), slo, bounds, capacity: demand.capacity };
        let mut policy = Named::find("llmd-slo").unwrap().build(&terms, 1.0).unwrap();
        let outcome = run(&setup, &arrivals, policy.as_mut(), None).unwrap();
        let replicas = outcome.gpu_hours / 2.0 / (setup.length / 3600.0);
        let what = |what: &str| format!("{what}, {minutes} min a rate");
        row(source, "h100-32b-tp2", &what("attainment"), 95.8, 100.0 * outcome.fates.attainment(), "%");
        row(source, "h100-32b-tp2", &what("average replicas"), 5.93, replicas, "");
    }
}
