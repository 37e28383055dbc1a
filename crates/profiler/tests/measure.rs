//! Measurements of stand-in engines over real sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail there")]

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use engine_model::EngineSpec;
use profiler::{
    Endpoint, Found, GpuProfile, Impossible, Origin, Percentile, Plan, Record, Run, Settings, Slo, Sweep, Told,
    WalkError, walk,
};
use std::future::IntoFuture;
use std::path::Path;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio_util::sync::CancellationToken;
use workload::client::Config;

const SLO: Slo = Slo { ttft: Some(3.0), tpot: Some(0.15), e2e: None, percentile: Percentile::P90 };
const SPEED: f64 = 20.0;
const SETTINGS: Settings =
    Settings { requests: 60, seconds: 20.0, spread: profiler::Spread::Poisson, seed: 1, early: true };

fn tls() {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}

/// An engine that is slow enough to have its knee at few requests a second.
fn spec() -> EngineSpec {
    EngineSpec { max_num_seqs: 16, max_num_batched_tokens: 512, ..EngineSpec::builtin("l4-8b").unwrap() }
}

async fn standin(spec: EngineSpec) -> String {
    tls();
    let mut config = standin::Config::of("l4-8b").unwrap();
    (config.spec, config.speed) = (spec, SPEED);
    let (ready, address) = tokio::sync::oneshot::channel();
    tokio::spawn(standin::run(config, move |address| ready.send(address).unwrap(), std::future::pending::<()>()));
    format!("http://{}", address.await.unwrap())
}

async fn hostile(answer: impl Fn() -> Response + Clone + Send + Sync + 'static) -> String {
    tls();
    let handler = move || {
        let response = answer();
        async move { response }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, Router::new().route("/v1/completions", post(handler))).into_future());
    format!("http://{address}")
}

fn plan(inputs: &[u32], outputs: &[u32], slo: Slo) -> Plan {
    let (inputs, outputs) = (inputs.to_vec(), outputs.to_vec());
    Plan { inputs, outputs, slo, tolerance: 0.1, repeats: 1, max_rate: 100.0, rates: None }
}

fn origin(slo: Slo) -> Origin {
    let spread = "poisson".to_owned();
    Origin { model: "l4-8b".to_owned(), requests: 60, seconds: 20.0, spread, slo: Origin::slo_name(&slo) }
}

struct Measured {
    sweep: Sweep,
    made: usize,
    reused: usize,
    result: Result<(), WalkError>,
}

async fn measure(url: &str, plan: Plan, file: &Path, stop_after: usize) -> Measured {
    let mut config = Config::new(url, "l4-8b");
    (config.speed, config.timeout) = (SPEED, 100.0);
    let endpoint = Endpoint::new(&config, SETTINGS, plan.slo).unwrap();
    let mut record = Record::open(file, origin(plan.slo), true).unwrap();
    let mut sweep = Sweep::new(plan);
    let stop = CancellationToken::new();
    let (mut made, mut reused) = (0, 0);
    let result = walk(&mut sweep, &endpoint, &mut record, &stop, |_, told| {
        if let Told::Run { reused: again, .. } = told {
            *(if *again { &mut reused } else { &mut made }) += 1;
            if made == stop_after {
                stop.cancel();
            }
        }
    })
    .await;
    Measured { sweep, made, reused, result }
}

fn file() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("runs.jsonl");
    (folder, file)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_knee_of_a_known_engine_is_found_with_fewer_runs_than_a_grid_of_rates() {
    let url = standin(spec()).await;
    let plan = plan(&[64, 512], &[48], SLO);
    let (_folder, file) = file();
    let measured = measure(&url, plan.clone(), &file, usize::MAX).await;
    measured.result.unwrap();
    let derived = profiler::sweep(&spec(), plan, profiler::Spread::Poisson).unwrap();
    for (found, known) in measured.sweep.found().iter().zip(derived.found()) {
        let ratio = found.capacity / known.capacity;
        // Far within what a grid of doubling rates can say, though the machine is busy and runs are short.
        assert!((0.6..1.5).contains(&ratio), "{}: {} measured, {} known", found.cell, found.capacity, known.capacity);
    }
    let loaded = |found: &Found| found.runs.iter().filter(|run| run.rate > 0.0).count();
    let runs: usize = measured.sweep.found().iter().map(loaded).sum();
    // Rates a tenth apart over AIBrix's range of 1 to 64 are 44 for each cell.
    assert!(runs < 2 * 44 / 3, "{runs} runs");
    let profile = GpuProfile::of(&measured.sweep, "l4", 1.0);
    assert!(profile.planner().is_ok_and(|profile| profile.capacity(64.0, 48.0) > 0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_measurement_goes_on_where_it_was_and_aibrix_can_read_its_rows() {
    let url = standin(spec()).await;
    let plan = plan(&[64], &[8, 48], SLO);
    let (_folder, file) = file();
    let first = measure(&url, plan.clone(), &file, 2).await;
    assert!(matches!(first.result, Err(WalkError::Measure(profiler::MeasureError::Interrupted))));
    // A crash in the middle of a line.
    let mut text = std::fs::read_to_string(&file).unwrap();
    text.push_str("{\"input_tokens\": 64, \"outp");
    std::fs::write(&file, &text).unwrap();
    let second = measure(&url, plan, &file, usize::MAX).await;
    second.result.unwrap();
    assert_eq!(second.reused, 2);
    assert_eq!(second.sweep.found().iter().map(|found| found.runs.len()).sum::<usize>(), 2 + second.made);
    let text = std::fs::read_to_string(&file).unwrap();
    let rows: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 5 * (2 + second.made));
    for run in rows.chunks(5) {
        let metrics: Vec<&str> = run.iter().map(|row| row["metric"].as_str().unwrap()).collect();
        assert_eq!(metrics, ["TPUT", "TT", "E2E", "TTFT", "TPOT"]);
        for field in ["input_tokens", "output_tokens", "request_rate", "seed", "samples", "mean"] {
            assert!(run.iter().all(|row| row[field].is_number()), "{field}");
        }
        assert!(run[2..].iter().all(|row| row["P99"].is_number()));
    }
}

#[tokio::test]
async fn runs_of_another_measurement_are_refused_and_so_are_runs_that_nobody_asked_for() {
    let (_folder, file) = file();
    let ask = profiler::Ask { cell: profiler::Cell { input: 1, output: 1 }, rate: 2.0, attempt: 0, alone: None };
    Record::open(&file, origin(SLO), false).unwrap().add(&Run::empty(&ask)).unwrap();
    let taken = Record::open(&file, origin(SLO), false).unwrap_err().to_string();
    assert!(taken.contains("holds 1 finished runs; --resume"), "{taken}");
    let other = Record::open(&file, Origin { model: "other".to_owned(), ..origin(SLO) }, true).unwrap_err().to_string();
    assert!(other.contains("measured with model l4-8b") && other.contains("this is model other"), "{other}");
    let stricter = Slo { ttft: Some(0.1), ..SLO };
    assert_eq!(
        Record::open(&file, origin(stricter), true).unwrap().len(),
        1,
        "a run that went to its end serves every SLO"
    );
    std::fs::write(&file, "no row\n").unwrap();
    let garbage = Record::open(&file, origin(SLO), true).unwrap_err().to_string();
    assert!(garbage.contains("runs.jsonl:1: "), "{garbage}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_slo_that_cannot_be_kept_alone_costs_a_few_requests_and_is_named() {
    let url = standin(spec()).await;
    let slo = Slo { tpot: Some(0.02), ..SLO };
    let (_folder, file) = file();
    let measured = measure(&url, plan(&[64, 512], &[8, 48], slo), &file, usize::MAX).await;
    measured.result.unwrap();
    assert_eq!(measured.made, 1, "larger sizes are not tried");
    let found = measured.sweep.found();
    assert!(
        matches!(&found[0].impossible, Some(Impossible::Alone(best)) if best.contains("TPOT is 0.") && best.contains("the limit 0.02 s")),
        "{:?}",
        found[0]
    );
    assert!(found[1..].iter().all(|found| matches!(found.impossible, Some(Impossible::Smaller(_)))));
    let profile = GpuProfile::of(&measured.sweep, "l4", 1.0);
    assert_eq!(profile.tputs, [[0.0, 0.0], [0.0, 0.0]]);
    assert_eq!(profile.notes.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_size_that_the_engine_refuses_is_no_failure() {
    let url = standin(EngineSpec { max_model_len: 256, ..spec() }).await;
    let (_folder, file) = file();
    let measured = measure(&url, plan(&[512], &[8], SLO), &file, usize::MAX).await;
    measured.result.unwrap();
    assert!(matches!(measured.sweep.found()[0].impossible, Some(Impossible::Refused(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_fail_hang_or_talk_nonsense_end_the_measurement_with_what_they_did() {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let never = || {
        let silence = futures_util::stream::pending::<Result<&[u8], std::io::Error>>();
        Response::new(axum::body::Body::from_stream(silence))
    };
    let error = || StatusCode::INTERNAL_SERVER_ERROR.into_response();
    let garbage = || "\u{0}\u{1}data: {{{{\n\ndata: garbage".into_response();
    let dies = || match COUNT.fetch_add(1, Ordering::SeqCst) {
        // One at a time it answers; under load it does not.
        0..10 => "data: {\"choices\":[{\"text\":\"a\"}]}\n\ndata: {\"choices\":[{\"text\":\"b\"}]}\n\ndata: [DONE]\n\n"
            .into_response(),
        _ => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    };
    for (url, part) in [
        (hostile(error).await, "status 500"),
        (hostile(never).await, "1 × timeout"),
        (hostile(garbage).await, "broken stream"),
        (hostile(dies).await, "3 of 3 requests failed (3 × status 503)"),
    ] {
        let (_folder, file) = file();
        let measured = measure(&url, plan(&[8], &[2], SLO), &file, usize::MAX).await;
        let said = measured.result.unwrap_err().to_string();
        assert!(said.contains("8 in, 2 out, one request at a time") && said.contains(part), "{said}");
    }
}
