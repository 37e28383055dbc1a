//! `up`: the local world.

use crate::output;
use crate::values::{duration, shape, slo, speed};
use anyhow::Context;
use autoscaler_up::lines::Lines;
use autoscaler_up::load::Load;
use autoscaler_up::manifest;
use autoscaler_up::run::{self, Options, Reload};
use autoscaler_up::setup::Setup;
use autoscaler_up::table::seconds;
use autoscaler_up::tally::Summary;
use autoscaler_up::view::DecisionView;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use workload::score::Slo;
use workload::synth::{self, Synthetic};
use workload::trace::{Trace, Window};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without a file: stand-in engines, a built-in load of two minutes (a rise, a burst, a quiet time), and a live table.
The gateway listens at 127.0.0.1:8080 and the page at 127.0.0.1:8090, or at free ports where those are taken.

Examples:
  aibrix-autoscaler up
  aibrix-autoscaler up world.yaml --dashboard 127.0.0.1:9000
  sed s/MODEL/Qwen3-8B/ template.yaml | aibrix-autoscaler up -
  aibrix-autoscaler up world.yaml --trace azure.csv.gz --trace-for 10m --speed 5 --json
  aibrix-autoscaler up --print-quickstart > world.yaml"
)]
pub(crate) struct UpArgs {
    /// A manifest: LocalDeployments and PodAutoscalers; read again on SIGHUP and when it changes. - reads standard input,
    /// once
    file: Option<PathBuf>,
    /// End after this long, in trace time; otherwise at the end of the load, or when told
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    length: Option<f64>,
    /// Send a trace through the gateway
    #[arg(long, value_name = "FILE", conflicts_with = "load")]
    trace: Option<PathBuf>,
    /// Send this much of the trace
    #[arg(long, value_name = "TIME", value_parser = duration)]
    trace_for: Option<f64>,
    /// Skip this much of the trace
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "0s")]
    trace_from: f64,
    /// Send a synthetic load through the gateway, such as poisson:rate=5; see `load --help`
    #[arg(long, value_name = "SHAPE", value_parser = shape)]
    load: Option<String>,
    /// The model that a trace or load asks for; the first group's where absent
    #[arg(long)]
    model: Option<String>,
    /// Trace seconds per second: arrivals, stand-in engines and the controller all run that much faster
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// What counts as attained in the summary
    #[arg(long, value_parser = slo, default_value = "ttft=2s,tpot=100ms")]
    slo: Slo,
    /// What the randomness of a synthetic load begins with
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where clients connect
    #[arg(long, value_name = "ADDR")]
    gateway: Option<SocketAddr>,
    /// Where the page and its JSON API are
    #[arg(long, value_name = "ADDR")]
    dashboard: Option<SocketAddr>,
    /// Keep the replicas' logs in this folder
    #[arg(long, value_name = "DIR")]
    log_dir: Option<PathBuf>,
    /// Write down what is observed and decided, for `decide` and `simulate`
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Append requests as they end to this file, as JSON lines: a source of load for `optimizer`
    #[arg(long, value_name = "FILE")]
    requests: Option<PathBuf>,
    /// Print JSON lines: start, decision, state, replica, warning, summary
    #[arg(long)]
    json: bool,
    /// Do not send the quickstart's load
    #[arg(long, conflicts_with_all = ["file", "trace", "load"])]
    no_load: bool,
    /// Print the quickstart's manifest and exit
    #[arg(long, conflicts_with_all = ["file", "json", "trace", "load"])]
    print_quickstart: bool,
}

/// The quickstart runs a little longer than its load, so that the way down is seen to its end.
const QUICKSTART_SECONDS: f64 = 120.0;

pub(crate) fn run(args: &UpArgs) -> anyhow::Result<ExitCode> {
    if args.print_quickstart {
        output::print(manifest::QUICKSTART)?;
        return Ok(ExitCode::SUCCESS);
    }
    super::install_tls();
    let speed = args.speed;
    let setup = read_setup(args.file.as_deref(), speed)?;
    let loads = loads(args, &setup)?;
    for note in &setup.notes {
        output::note(note);
    }
    let quickstart = args.file.is_none() && args.trace.is_none() && args.load.is_none();
    let stdout = output::Stdout::default();
    let lines = if args.json { Lines::to(Box::new(stdout.clone())) } else { Lines::default() };
    // What comes through a pipe cannot be read twice.
    let reload = args.file.clone().filter(|path| path.is_file()).map(|path| {
        let from = path.clone();
        Reload { path, read: Box::new(move || read_setup(Some(&from), speed)) }
    });
    let json = args.json;
    let options = Options {
        setup,
        reload,
        length: args.length.or((quickstart && !args.no_load).then_some(QUICKSTART_SECONDS)),
        speed,
        loads,
        slo: args.slo,
        gateway: args.gateway,
        dashboard: args.dashboard,
        log_dir: args.log_dir.clone(),
        record: args.record.clone(),
        requests: args.requests.clone(),
        lines,
        table: !args.json,
        announce: Box::new(move |place| {
            if !json {
                output::note(&format!("gateway {}   page {}   stop with Ctrl-C", place.gateway, place.dashboard));
            }
        }),
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let summary = runtime.block_on(async { run::run(options, super::stop_on_signal()).await })?;
    if !args.json {
        output::print(&text(&summary, args.slo))?;
    }
    stdout.outcome()?;
    Ok(ExitCode::SUCCESS)
}

fn read_setup(file: Option<&Path>, speed: f64) -> anyhow::Result<Setup> {
    let (name, text) = match file {
        None => ("quickstart".to_owned(), manifest::QUICKSTART.to_owned()),
        Some(path) => (super::name_of(path), super::read_text(path)?),
    };
    manifest::setup(&name, &text, speed)
}

/// What is sent: a trace or a synthetic load at one model, or the quickstart's at each of its groups.
fn loads(args: &UpArgs, setup: &Setup) -> anyhow::Result<Vec<Load>> {
    let models = || setup.groups.iter().filter_map(|group| group.route.models.first().cloned());
    let model = || {
        let first = args.model.clone().or_else(|| models().next());
        first.context("no group names a model; name one with --model")
    };
    if let Some(path) = &args.trace {
        let arrivals = Trace::read_all(path, Window { from: args.trace_from, length: args.trace_for })?;
        return Ok(vec![Load { model: model()?, arrivals }]);
    }
    if let Some(shape) = &args.load {
        let arrivals = synth::parse(shape, args.length, args.seed).context("--load")?.arrivals().collect();
        return Ok(vec![Load { model: model()?, arrivals }]);
    }
    if args.file.is_some() || args.no_load {
        return Ok(Vec::new());
    }
    let seeds = args.seed..;
    Ok(models()
        .zip(seeds)
        .map(|(model, seed)| Load { model, arrivals: Synthetic::quickstart(1.0, seed).arrivals().collect() })
        .collect())
}

fn text(summary: &Summary, slo: Slo) -> String {
    let attained = summary.attainment.map_or_else(|| "–".to_owned(), |share| format!("{:.2} %", share * 100.0));
    let others: Vec<String> = summary
        .outcomes
        .iter()
        .filter(|(name, _)| **name != "ok")
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    let others = if others.is_empty() { String::new() } else { format!(" ({})", others.join(", ")) };
    let changes: Vec<String> = summary.changes.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let mut text = format!(
        "\n{} requests in {:.0} s: {} answered, {} failed{others}, {} aborted by scaling\n\
         {attained} within TTFT {} s and TPOT {} s\n\
         TTFT p50 {} p99 {}   TPOT p50 {} p99 {}\n\
         {:.3} replica-hours ({:.0} replica-seconds), at most {} replicas; decisions that changed something: {}\n",
        summary.requests,
        summary.seconds,
        summary.succeeded,
        summary.failed,
        summary.aborted,
        slo.ttft,
        slo.tpot,
        seconds(summary.ttft_p50),
        seconds(summary.ttft_p99),
        seconds(summary.tpot_p50),
        seconds(summary.tpot_p99),
        summary.replica_seconds / 3600.0,
        summary.replica_seconds,
        summary.peak_replicas,
        if changes.is_empty() { "none".to_owned() } else { changes.join(", ") },
    );
    for (name, advice) in &summary.advice {
        let (would, used) = (advice.replica_seconds / 3600.0, advice.used_replica_seconds / 3600.0);
        let less = if used > 0.0 { (1.0 - would / used) * 100.0 } else { 0.0 };
        let text_of = format!(
            "{name} only recommends: {would:.3} replica-hours where {used:.3} were asked for ({less:.0} % less)\n"
        );
        text.push_str(&text_of);
    }
    let decision = |one: &DecisionView| {
        let (from, to) = (one.replicas, one.desired);
        format!("{:>7.0} s  {:<12} {from:>3} → {to:<3} {}\n", one.at, one.autoscaler, one.reason)
    };
    text.extend(summary.decisions.iter().map(decision));
    text
}
