//! Profiles of engine models.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail there")]

use engine_model::{EngineSpec, Mix};
use profiler::{Percentile, Slo, derive, derive_gpu_profile};

const CHAT: Slo = Slo { ttft: Some(2.0), tpot: Some(0.1), e2e: None, percentile: Percentile::P99 };
const INPUTS: [u32; 5] = [128, 256, 512, 1024, 2048];
const OUTPUTS: [u32; 5] = [4, 16, 64, 128, 256];

fn engine(name: &str) -> EngineSpec {
    EngineSpec::builtin(name).unwrap()
}

#[test]
fn the_same_engine_gives_the_same_profile() {
    let make = || derive(&engine("l4-8b"), &CHAT, &INPUTS, &OUTPUTS).unwrap();
    assert_eq!(make(), make());
}

#[test]
fn longer_prompts_are_carried_less_often_and_better_gpus_carry_more() {
    let profile = |name: &str| derive(&engine(name), &CHAT, &INPUTS, &OUTPUTS).unwrap().tputs;
    let (l4, h100) = (profile("l4-8b"), profile("h100-8b"));
    for (slow, fast) in l4.iter().flatten().zip(h100.iter().flatten()) {
        assert!(*slow > 0.0 && *fast > 2.0 * slow, "{slow} and {fast}");
    }
    for row in l4.iter().chain(&h100) {
        assert!(row.is_sorted_by(|short, long| short >= long), "{row:?}");
    }
}

#[test]
fn the_knee_of_a_mean_time_per_token_is_where_the_fluid_model_has_it() {
    // The fluid model knows no queues and no bursts: it is met where the mean alone is limited, answers are long and prompts short.
    let slo = Slo { ttft: None, tpot: Some(0.05), e2e: None, percentile: Percentile::Mean };
    for name in ["a100-8b", "h100-8b", "l20-8b", "a100-70b-tp4"] {
        let rate = derive(&engine(name), &slo, &[64], &[256]).unwrap().tputs[0][0];
        let mix = Mix { computed: 64.0, input: 64.0, output: 256.0 };
        let fluid = engine(name).capacity(mix, 0.05).unwrap().rate;
        assert!((0.9..1.1).contains(&(rate / fluid)), "{name}: {rate} derived, {fluid} by the fluid model");
    }
}

#[test]
fn a_longer_answer_may_keep_a_time_per_token_that_a_shorter_one_does_not() {
    let tputs = derive(&engine("a100-8b"), &CHAT, &[2048], &[4, 256]).unwrap().tputs;
    assert!(tputs[1][0] > 2.0 * tputs[0][0], "{tputs:?}: an answer of 4 tokens feels every prompt that stalls it");
    let within = Slo { tpot: None, e2e: Some(20.0), ..CHAT };
    let tputs = derive(&engine("a100-8b"), &within, &[2048], &[4, 256]).unwrap().tputs;
    assert!(tputs[1][0] < tputs[0][0], "{tputs:?}");
}

#[test]
fn what_cannot_be_kept_even_alone_is_said_with_the_best_there_is() {
    let slo = Slo { ttft: None, tpot: Some(0.05), e2e: None, percentile: Percentile::P99 };
    let profile = derive_gpu_profile(&engine("l4-8b"), &slo, &[128, 512], &[4, 64]).unwrap();
    assert_eq!(profile.tputs, [[0.0, 0.0], [0.0, 0.0]], "the weights alone take longer");
    let notes: Vec<&str> = profile.notes.iter().map(|note| note.note.as_str()).collect();
    assert!(notes[0].starts_with("one request at a time misses the SLO: P50 TPOT is 0.07"), "{notes:?}");
    assert!(notes[3].contains("smaller size"), "{notes:?}");
}

#[test]
fn a_size_beyond_the_context_is_refused_and_carries_nothing() {
    let mut spec = engine("l4-8b");
    spec.max_model_len = 1024;
    let profile = derive_gpu_profile(&spec, &CHAT, &[512, 2048], &[16]).unwrap();
    assert!(profile.tputs[0][0] > 0.0 && profile.tputs[0][1] == 0.0, "{profile:?}");
    assert!(profile.notes[0].note.contains("context length of 1024"), "{profile:?}");
}

#[test]
fn the_file_is_aibrixs_with_its_origin_said() {
    let profile = derive_gpu_profile(&engine("l4-8b"), &CHAT, &[128, 512], &[16]).unwrap();
    let json: serde_json::Value = serde_json::from_str(&profile.to_json().unwrap()).unwrap();
    assert_eq!(json["indexes"], serde_json::json!([[16], [128, 512]]));
    assert_eq!(json["slos"], serde_json::json!({"percentile": 99, "ttft": 2.0, "tpot": 0.1}));
    assert_eq!(json["source"], "derived from engine model l4-8b");
    for field in ["gpu", "cost", "tputs", "created", "e2e", "ttft", "tpot"] {
        assert!(!json[field].is_null(), "{field}");
    }
    let e2e = json["e2e"][0][0].as_f64().unwrap();
    assert!(e2e > 16.0 * 0.07, "16 tokens take at least 16 times the weights: {e2e}");
}

#[test]
fn grids_and_limits_that_cannot_be_are_refused_with_what_is_allowed() {
    let refused = |slo: &Slo, inputs: &[u32], outputs: &[u32], part: &str| {
        let error = derive(&engine("l4-8b"), slo, inputs, outputs).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("allowed"), "{error}");
    };
    refused(&CHAT, &[], &[4], "inputs []");
    refused(&CHAT, &[4], &[8, 4], "outputs [8, 4]");
    refused(&CHAT, &[0], &[4], "inputs [0]");
    refused(&Slo { ttft: Some(f64::NAN), ..CHAT }, &[4], &[4], "slo ttft");
    let mut spec = engine("l4-8b");
    spec.weights_ms = -1.0;
    assert!(derive(&spec, &CHAT, &[4], &[4]).unwrap_err().to_string().contains("weightsMs"));
}

#[test]
fn the_search_takes_fewer_runs_than_a_grid_of_its_fineness_and_is_nearer_than_one_of_doubling_rates() {
    let spread = profiler::Spread::Poisson;
    let plan = |tolerance: f64, rates: Option<Vec<f64>>| {
        let (inputs, outputs) = (vec![128, 512], vec![16, 64]);
        let plan = profiler::Plan { inputs, outputs, slo: CHAT, tolerance, repeats: 1, max_rate: 1e4, rates };
        profiler::sweep(&engine("a100-8b"), plan, spread).unwrap()
    };
    let (known, found) = (plan(0.01, None), plan(0.05, None));
    let grid = plan(0.05, Some((0..7).map(|power| f64::from(1 << power)).collect()));
    assert_eq!(grid.found().iter().map(|found| found.runs.len()).sum::<usize>(), 4 * 7);
    let runs = found.found().iter().map(|found| found.runs.len()).sum::<usize>();
    // Rates from 1 to 64 that are 5 % apart.
    assert!(runs * 6 < 4 * 86, "{runs} runs");
    for ((known, found), coarse) in known.found().iter().zip(found.found()).zip(grid.found()) {
        let error = |of: &profiler::Found| (of.capacity / known.capacity - 1.0).abs();
        assert!(error(found) < 0.06, "{found:?}");
        assert!(coarse.capacity <= known.capacity * 1.06, "a grid only rounds down: {coarse:?}");
    }
}
