//! `load`: a trace or a synthetic load, open loop, against any OpenAI endpoint.

use crate::output;
use crate::values::{at_least_one, duration, endpoint, shape, share, slo, speed};
use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;
use std::process::ExitCode;
use workload::client::{self, Api, Config, Progress, Report};
use workload::score::{Percentiles, Slo};
use workload::trace::{Trace, Window};
use workload::{Arrival, synth};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Requests start on schedule, whatever became of the earlier ones. Latencies count from when a request was due.
Exits with 1 where no request succeeded, or where more failed than --fail-above allows.

Examples:
  aibrix-autoscaler load http://127.0.0.1:8080 --model chat
  aibrix-autoscaler load http://127.0.0.1:8080 --model chat --shape burst:base=2,peak=30,every=30s,for=5s --for 2m
  aibrix-autoscaler load http://127.0.0.1:8080 --model chat --trace azure.csv.gz --for 10m --speed 5
  aibrix-autoscaler load http://127.0.0.1:8080 --model chat --shape even:rate=10 --fail-above 0.01"
)]
pub(crate) struct LoadArgs {
    /// The endpoint, such as http://127.0.0.1:8080
    #[arg(value_parser = endpoint)]
    url: String,
    /// The model's name; without it, the first one that the endpoint lists
    #[arg(short, long)]
    model: Option<String>,
    /// A trace: CSV or CSV.gz with t,input_tokens,output_tokens, or Mooncake's JSONL
    #[arg(long, value_name = "FILE", conflicts_with = "shape")]
    trace: Option<PathBuf>,
    /// A synthetic load: poisson:rate=5, even:rate=5, ramp:from=1,to=20,over=60s, burst:base=2,peak=30,every=30s,for=5s,
    /// sinus:mean=10,amplitude=8,period=60s, quickstart; each also takes input=, output= (mean tokens) and cv=
    #[arg(long, default_value = "poisson:rate=5", value_parser = shape)]
    shape: String,
    /// How long, in trace time
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    length: Option<f64>,
    /// Skip this much of the trace
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "0s")]
    from: f64,
    /// Trace seconds per second
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// What the randomness begins with
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Use /v1/chat/completions
    #[arg(long)]
    chat: bool,
    /// A request's deadline, in trace time
    #[arg(long, value_parser = duration, default_value = "600s")]
    timeout: f64,
    /// What counts as attained
    #[arg(long, value_parser = slo, default_value = "ttft=2s,tpot=100ms")]
    slo: Slo,
    /// Requests at once; what would exceed it is dropped and counted
    #[arg(long, default_value_t = client::DEFAULT_MAX_IN_FLIGHT, value_parser = at_least_one())]
    max_in_flight: usize,
    /// Sent as a bearer token
    #[arg(long, env = "OPENAI_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// Exit with 1 where more than this share of the requests failed, such as 0.01
    #[arg(long, value_name = "SHARE", value_parser = share)]
    fail_above: Option<f64>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: LoadArgs) -> anyhow::Result<ExitCode> {
    super::install_tls();
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(drive(args))
}

async fn drive(args: LoadArgs) -> anyhow::Result<ExitCode> {
    let (total, arrivals) = arrivals(&args)?;
    let model = match &args.model {
        Some(model) => model.clone(),
        None => first_model(&args).await?,
    };
    let mut config = Config::new(&args.url, model);
    config.api = if args.chat { Api::Chat } else { Api::Completions };
    config.speed = args.speed;
    config.timeout = args.timeout;
    config.slo = args.slo;
    config.api_key.clone_from(&args.api_key);
    config.max_in_flight = args.max_in_flight;
    let bar = bar(total);
    let shown = bar.clone();
    let stop = super::stop_on_signal();
    let report = client::run(config, arrivals, stop, move |progress| show(&shown, progress)).await?;
    bar.finish_and_clear();
    if args.json {
        output::print(&format!("{}\n", serde_json::to_string(&report)?))?;
    } else {
        output::print(&text(&report, args.slo))?;
    }
    Ok(if is_failure(&report, args.fail_above) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A load test is meant to find the limit, so some failures are a result and not an error, unless a limit was given.
fn is_failure(report: &Report, fail_above: Option<f64>) -> bool {
    let none = report.requests > 0 && report.succeeded == 0;
    none || fail_above.is_some_and(|share| report.failed as f64 > share * report.requests as f64)
}

type Arrivals = Box<dyn Iterator<Item = Result<Arrival, String>> + Send>;

/// The arrivals, and how many there are. They are made or read before the first is sent: a schedule must not wait for
/// a disk.
fn arrivals(args: &LoadArgs) -> anyhow::Result<(u64, Arrivals)> {
    let arrivals: Vec<Arrival> = match &args.trace {
        Some(path) => Trace::read_all(path, Window { from: args.from, length: args.length })?,
        None => synth::parse(&args.shape, args.length, args.seed).context("--shape")?.arrivals().collect(),
    };
    if arrivals.is_empty() {
        bail!("the load has no arrivals; allowed: a longer --for, a smaller --from, or a higher rate");
    }
    Ok((arrivals.len() as u64, Box::new(arrivals.into_iter().map(Ok))))
}

async fn first_model(args: &LoadArgs) -> anyhow::Result<String> {
    let models = client::models(&args.url, args.api_key.as_deref()).await?;
    models.into_iter().next().with_context(|| format!("{} lists no model; name one with --model", args.url))
}

fn bar(total: u64) -> ProgressBar {
    // Hidden by itself where standard error is no terminal.
    let bar = ProgressBar::new(total);
    if let Ok(style) =
        ProgressStyle::with_template("{bar:32} {pos}/{len} requests  {msg}  {elapsed} of about {duration}")
    {
        bar.set_style(style);
    }
    bar
}

fn show(bar: &ProgressBar, progress: &Progress) {
    bar.set_position(progress.ended);
    bar.set_message(format!("{} failed", progress.failed));
}

fn text(report: &Report, slo: Slo) -> String {
    let line = |name: &str, p: &Percentiles| {
        let ms = |seconds: f64| format!("{:.1}", seconds * 1000.0);
        format!("{name:<12}{:>10}{:>10}{:>10}{:>10}{:>10}\n", ms(p.p50), ms(p.p90), ms(p.p95), ms(p.p99), ms(p.max))
    };
    let failures: Vec<String> = report.failures.iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
    let failures = if failures.is_empty() { String::new() } else { format!(" ({})", failures.join(", ")) };
    let attained = report.attainment.map_or_else(|| "–".to_owned(), |share| format!("{:.2} %", share * 100.0));
    let per_second = |tokens: u64| tokens as f64 / report.seconds.max(1e-9);
    format!(
        "{} requests in {:.1} s, {} failed{failures}\n{:.1} prompt tokens/s, {:.1} output tokens/s\n\
         {attained} within TTFT {} s and TPOT {} s\n{:<12}{:>10}{:>10}{:>10}{:>10}{:>10}\n{}{}{}{}",
        report.requests,
        report.seconds,
        report.failed,
        per_second(report.input_tokens),
        per_second(report.output_tokens),
        slo.ttft,
        slo.tpot,
        "ms",
        "p50",
        "p90",
        "p95",
        "p99",
        "max",
        line("TTFT", &report.ttft),
        line("TPOT", &report.tpot),
        line("end to end", &report.e2e),
        line("sent late", &report.lateness),
    )
}
