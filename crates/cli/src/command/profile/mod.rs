//! `profile`: how much of each size one replica carries within an SLO, measured at an endpoint or derived from an engine model.

mod args;
mod progress;

use super::scenario;
use crate::output::{self, Usage};
use anyhow::Context;
pub(crate) use args::ProfileArgs;
use profiler::{Endpoint, GpuProfile, MeasureError, Record, Sweep, Told, WalkError};
use progress::Bar;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};
use workload::client::{self, Api, Config, Prompts};

/// The output that is standard output.
const STDOUT: &str = "-";

pub(crate) fn run(args: &ProfileArgs) -> anyhow::Result<ExitCode> {
    args.plan().validate().map_err(Usage)?;
    if let Some(engine) = &args.engine {
        return derive(args, engine);
    }
    let Some(url) = &args.url else {
        return Err(
            Usage("nothing to profile; allowed: an endpoint's address, or --engine NAME|FILE".to_owned()).into()
        );
    };
    super::install_tls();
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(measure(args, url))
}

fn derive(args: &ProfileArgs, engine: &str) -> anyhow::Result<ExitCode> {
    let spec = scenario::engine(engine)?;
    let sweep = profiler::sweep(&spec, args.plan(), args.spread())?;
    if args.json {
        for run in sweep.found().iter().flat_map(|found| &found.runs) {
            print_run(args, run, false)?;
        }
    }
    let mut profile = GpuProfile::of(&sweep, args.gpu.as_deref().unwrap_or(&spec.name), args.cost);
    profile.source = Some(format!("derived from engine model {}", spec.name));
    finish(args, &sweep, profile)
}

async fn measure(args: &ProfileArgs, url: &str) -> anyhow::Result<ExitCode> {
    let stop = super::stop_on_signal();
    let model = if let Some(model) = &args.model {
        model.clone()
    } else {
        let models = client::models(url, args.api_key.as_deref()).await?;
        models.into_iter().next().with_context(|| format!("{url} lists no model; name one with --model"))?
    };
    let mut config = Config::new(url, &model);
    config.api = if args.chat { Api::Chat } else { Api::Completions };
    (config.speed, config.timeout, config.prompts) = (args.speed, args.timeout, Prompts::Unlike);
    config.api_key.clone_from(&args.api_key);
    let plan = args.plan();
    let endpoint = Endpoint::new(&config, args.settings(), plan.slo)?;
    let (file, resumed) = record_file(args)?;
    let mut record = Record::open(&file, args.origin(&model), resumed)?;
    let mut sweep = Sweep::new(plan);
    let mut bar = Bar::new(&sweep);
    let mut unwritable = None;
    let walked = profiler::walk(&mut sweep, &endpoint, &mut record, &stop, |sweep, told| {
        bar.show(sweep, told);
        if let (Told::Run { run, reused }, true) = (told, args.json) {
            // A measurement is not to end for want of a reader.
            unwritable = print_run(args, run, *reused).err().or(unwritable.take());
        }
    })
    .await;
    bar.end();
    walked.map_err(|error| ended(error, &file))?;
    unwritable.map_or(Ok(()), Err)?;
    let profile = GpuProfile::of(&sweep, args.gpu.as_deref().unwrap_or(&model), args.cost);
    finish(args, &sweep, profile)
}

/// Where the runs are kept, and whether those that are there count.
fn record_file(args: &ProfileArgs) -> anyhow::Result<(PathBuf, bool)> {
    if let Some(path) = &args.resume {
        anyhow::ensure!(path.exists(), "{}: no such file; without --resume a new one is made", path.display());
        return Ok((path.clone(), true));
    }
    let beside = if args.output == Path::new(STDOUT) { Path::new("profile.json") } else { &args.output };
    let mut name = beside.as_os_str().to_owned();
    name.push(".runs.jsonl");
    Ok((PathBuf::from(name), false))
}

fn ended(error: WalkError, file: &Path) -> anyhow::Error {
    let onward = format!("finished runs are in {0}; --resume {0} goes on with them", file.display());
    match error {
        WalkError::Measure(MeasureError::Interrupted) => anyhow::anyhow!("interrupted; {onward}"),
        other => anyhow::Error::from(other).context(onward.clone()).context("the measurement ended early"),
    }
}

fn print_run(args: &ProfileArgs, run: &profiler::Run, reused: bool) -> anyhow::Result<()> {
    let mut line = serde_json::to_value(run)?;
    line["verdict"] = profiler::verdict(&args.plan().slo, run).into();
    line["reused"] = reused.into();
    output::print(&format!("{line}\n"))
}

/// Writes all that was asked for, and says what was found.
fn finish(args: &ProfileArgs, sweep: &Sweep, mut profile: GpuProfile) -> anyhow::Result<ExitCode> {
    profile.created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let json = format!("{}\n", profile.to_json()?);
    let to_stdout = args.output == Path::new(STDOUT);
    if to_stdout {
        output::print(&json)?;
    } else {
        write(&args.output, &json)?;
    }
    if let Some(path) = &args.plot {
        let svg = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg"));
        let draw = if svg { profiler::plot::svg } else { profiler::plot::html };
        write(path, &draw(sweep, &profile.gpu))?;
    }
    let fitted = args.fit.as_ref().map(|path| fit(args, sweep, &profile.gpu, path)).transpose()?;
    if !args.json && !to_stdout {
        output::print(&text(args, sweep, &profile, fitted.as_deref()))?;
    }
    // A profile of which nothing can be used is no success.
    let nothing = sweep.found().iter().all(|found| found.capacity <= 0.0);
    Ok(if nothing { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Writes the fitted engine; what there is to say of it.
fn fit(args: &ProfileArgs, sweep: &Sweep, gpu: &str, path: &Path) -> anyhow::Result<String> {
    let base = args.base.as_deref().map(scenario::engine).transpose()?;
    let fitted = profiler::fit(sweep, base.as_ref(), gpu)?;
    write(path, &format!("{}\n", serde_json::to_string_pretty(&fitted.spec)?))?;
    Ok(format!("{}: {}\n", path.display(), fitted.spec.source))
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("{}: cannot be written", path.display()))
}

fn text(args: &ProfileArgs, sweep: &Sweep, profile: &GpuProfile, fitted: Option<&str>) -> String {
    use std::fmt::Write;
    let plan = sweep.plan();
    let mut text = format!("{}: requests/s within {}\n{:>10}", profile.gpu, plan.slo, "out \\ in");
    for input in &plan.inputs {
        let _ = write!(text, "{input:>10}");
    }
    for (output, row) in plan.outputs.iter().zip(&profile.tputs) {
        let _ = write!(text, "\n{output:>10}");
        for rate in row {
            let _ = write!(text, "{rate:>10.3}");
        }
    }
    text.push('\n');
    for note in &profile.notes {
        let _ = writeln!(text, "{} in, {} out: {}", note.input, note.output, note.note);
    }
    for doubt in doubts(sweep) {
        let _ = writeln!(text, "warning: {doubt}");
    }
    let runs: Vec<_> = sweep.found().iter().flat_map(|found| &found.runs).collect();
    let alone = runs.iter().filter(|run| run.rate == 0.0).count();
    let _ = writeln!(text, "{} runs, of them {alone} one request at a time; {}", runs.len(), args.output.display());
    text + fitted.unwrap_or_default()
}

/// What makes a measurement doubtful: other sizes than were asked for, and a client that was late itself.
fn doubts(sweep: &Sweep) -> Vec<String> {
    let mut doubts = Vec::new();
    for found in sweep.found() {
        let Some(alone) = &found.alone else { continue };
        let off = |counted: Option<f64>, asked: u32| counted.filter(|is| (is / f64::from(asked) - 1.0).abs() > 0.1);
        if let Some(is) = off(alone.output_tokens, found.cell.output) {
            doubts.push(format!("{}: answers had {is:.0} tokens; the engine does not honour ignore_eos", found.cell));
        }
        if let Some(is) = off(alone.input_tokens, found.cell.input) {
            doubts.push(format!("{}: the engine counted {is:.0} prompt tokens", found.cell));
        }
        let first = found.at.as_ref().and_then(|run| Some((run.late, run.ttft?.p50)));
        if let Some((late, _)) = first.filter(|(late, ttft)| *late > 0.1 * ttft) {
            doubts.push(format!(
                "{}: requests were sent up to {late:.3} s late; this machine may be the limit",
                found.cell
            ));
        }
    }
    doubts
}
