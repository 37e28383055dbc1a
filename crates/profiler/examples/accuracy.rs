//! How near the found knees are to those of a known engine, and what they cost: a stand-in engine behind a real socket, measured,
//! against the same engine's knees in virtual time and against a grid of AIBrix's seven rates.
//! `cargo run --release -p profiler --example accuracy [ENGINE [SPEED]]`

use engine_model::EngineSpec;
use profiler::{Endpoint, Found, Origin, Percentile, Plan, Record, Settings, Slo, Spread, Sweep, walk};
use std::io::Write;
use std::time::Instant;
use tokio_util::sync::CancellationToken;
use workload::client::Config;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let engine = arguments.next().unwrap_or_else(|| "l4-8b".to_owned());
    let speed = arguments.next().map_or(Ok(10.0), |text| text.parse())?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Runtime::new()?.block_on(compare(&engine, speed))
}

async fn compare(engine: &str, speed: f64) -> Result<(), Failure> {
    let spec = EngineSpec::builtin(engine).ok_or("no such engine")?;
    let slo = Slo { ttft: Some(2.0), tpot: Some(0.1), e2e: None, percentile: Percentile::P90 };
    let (inputs, outputs) = (vec![128, 512], vec![16, 64, 256]);
    let plan = Plan { inputs, outputs, slo, tolerance: 0.05, repeats: 3, max_rate: 1000.0, rates: None };
    let rates = (0..7).map(|power| f64::from(1 << power)).collect();
    let exact = Plan { tolerance: 0.01, repeats: 1, ..plan.clone() };
    let known = profiler::sweep(&spec, exact, Spread::Poisson)?;
    let grid = profiler::sweep(&spec, Plan { rates: Some(rates), ..plan.clone() }, Spread::Poisson)?;
    let began = Instant::now();
    let measured = measure(&spec, speed, plan).await?;
    let took = began.elapsed().as_secs_f64();
    let mut out = std::io::stdout();
    writeln!(out, "{engine}, {slo}, speed {speed}: {took:.0} s, {:.0} s of the engine's time", took * speed)?;
    writeln!(out, "size                 known  measured   error  grid of 7   error  runs  requests")?;
    let (mut errors, mut grid_errors, mut runs) = (Vec::new(), Vec::new(), 0);
    for ((truth, found), row) in known.found().iter().zip(measured.found()).zip(grid.found()) {
        let error = |found: &Found| found.capacity / truth.capacity - 1.0;
        let requests: u64 = found.runs.iter().map(|run| run.requests).sum();
        writeln!(
            out,
            "{:<18}{:>8.3}{:>10.3}{:>+7.1} %{:>10.3}{:>+7.0} %{:>6}{requests:>10}",
            found.cell.to_string(),
            truth.capacity,
            found.capacity,
            100.0 * error(found),
            row.capacity,
            100.0 * error(row),
            found.runs.len()
        )?;
        errors.push(error(found).abs());
        grid_errors.push(error(row).abs());
        runs += found.runs.len();
    }
    let mean = |errors: &[f64]| 100.0 * errors.iter().sum::<f64>() / errors.len() as f64;
    let cells = measured.cells();
    writeln!(
        out,
        "mean error {:.1} % with {runs} runs; a grid of doubling rates {:.0} % with {}; a grid of rates 5 % apart needs {}",
        mean(&errors),
        mean(&grid_errors),
        7 * cells,
        86 * cells
    )?;
    Ok(())
}

async fn measure(spec: &EngineSpec, speed: f64, plan: Plan) -> Result<Sweep, Failure> {
    let mut standin = standin::Config::of("l4-8b")?;
    (standin.spec, standin.speed) = (spec.clone(), speed);
    let (ready, address) = tokio::sync::oneshot::channel();
    tokio::spawn(standin::run(standin, move |address| ready.send(address).unwrap_or(()), std::future::pending::<()>()));
    let mut config = Config::new(format!("http://{}", address.await?), "l4-8b");
    config.speed = speed;
    let settings = Settings::default();
    let endpoint = Endpoint::new(&config, settings, plan.slo)?;
    let folder = tempfile::tempdir()?;
    let origin = Origin {
        model: config.model,
        requests: settings.requests,
        seconds: settings.seconds,
        spread: "poisson".to_owned(),
        slo: Origin::slo_name(&plan.slo),
    };
    let mut record = Record::open(&folder.path().join("runs.jsonl"), origin, false)?;
    let mut sweep = Sweep::new(plan);
    walk(&mut sweep, &endpoint, &mut record, &CancellationToken::new(), |_, _| ()).await?;
    Ok(sweep)
}
