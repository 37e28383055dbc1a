//! What `simulate` and `compare` have in common: a load, engines, and what goes wrong.

use crate::output::Usage;
use crate::values::{duration, shape, share, slo};
use anyhow::Context;
use clap::builder::PossibleValuesParser;
use engine_model::EngineSpec;
use simulator::compare::{Cell, Load, Summary};
use simulator::report::{self, Run};
use simulator::world::{ColdStart, Faults, Router, SIGMA, Setup};
use std::path::{Path, PathBuf};
use workload::score::Slo;
use workload::synth;
use workload::trace::{Trace, Window};

/// A load where none is given: half an hour with a burst every five minutes.
const DEFAULT_LOAD: &str = "burst:base=2,peak=8,every=300s,for=60s,input=700,output=110";
const DEFAULT_LENGTH: f64 = 1800.0;
/// Seconds of a run: a month. More is a trace whose times are not counted from its beginning.
const LONGEST: f64 = 31.0 * 86_400.0;

#[derive(Debug, clap::Args)]
pub(crate) struct Scenario {
    /// What a request has to keep
    #[arg(long, value_parser = slo, default_value = "ttft=2s,tpot=100ms")]
    slo: Slo,
    /// How requests find replicas
    #[arg(long, value_parser = PossibleValuesParser::new(["least-loaded", "random", "prefix-aware"]), default_value = "least-loaded")]
    router: String,
    /// Sigma of the lognormal start-up time; 0 makes every start-up the median
    #[arg(long, value_name = "SIGMA", default_value_t = SIGMA)]
    cold_start_sigma: f64,
    /// Fewest replicas, where no manifest says
    #[arg(long, value_name = "N", default_value_t = 1)]
    min_replicas: u32,
    /// Most replicas, where no manifest says [default: three times what a constant count needs]
    #[arg(long, value_name = "N")]
    pub(crate) max_replicas: Option<u32>,
    /// Neither scored nor paid, at the beginning; at most a quarter of the trace
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "300s")]
    warmup: f64,
    /// A draining replica's requests are cut after this
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "600s")]
    drain_timeout: f64,
    /// Crashes of a replica in an hour of service
    #[arg(long, value_name = "N", value_parser = crashes, default_value = "0", hide_default_value = true)]
    crashes_per_hour: f64,
    /// Share of the replicas that are slow
    #[arg(long, value_name = "SHARE", value_parser = share, default_value = "0", hide_default_value = true)]
    stragglers: f64,
    /// How many times slower they are
    #[arg(long, value_name = "FACTOR", value_parser = duration, default_value = "2", hide_default_value = true)]
    slowdown: f64,
    /// Share of the looks at a replica that find no metrics
    #[arg(long, value_name = "SHARE", value_parser = share, default_value = "0", hide_default_value = true)]
    scrape_loss: f64,
    /// A synthetic load in place of a trace, as in `load`
    #[arg(long, value_parser = shape, conflicts_with = "trace")]
    shape: Option<String>,
    /// How much of the load
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    length: Option<f64>,
    /// Skip this much of a trace
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "0s")]
    from: f64,
}

/// Reads a rate of crashes: one a second at most, or a run would never end.
fn crashes(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| (0.0..=3600.0).contains(rate));
    rate.ok_or_else(|| "allowed: a number from 0 to 3600".to_owned())
}

impl Scenario {
    /// What runs have in common.
    pub(crate) fn setup(&self, engine: EngineSpec, cold_start: f64, seed: u64, length: f64) -> Setup {
        let mut setup = Setup::new(engine, self.slo, cold_start, seed, length);
        setup.group.cold_start = ColdStart { median: cold_start, sigma: self.cold_start_sigma.clamp(0.0, 3.0) };
        setup.group.min = self.min_replicas.min(self.max_replicas.unwrap_or(u32::MAX));
        setup.warmup = self.warmup.min(length / 4.0);
        setup.drain = self.drain_timeout;
        setup.router = match self.router.as_str() {
            "random" => Router::Random,
            "prefix-aware" => Router::PrefixAware,
            _ => Router::LeastLoaded,
        };
        setup.faults = Faults {
            crashes_per_hour: self.crashes_per_hour,
            stragglers: self.stragglers,
            slowdown: self.slowdown,
            scrape_loss: self.scrape_loss,
        };
        setup
    }

    /// Reads a trace.
    pub(crate) fn trace(&self, path: &Path) -> anyhow::Result<Load> {
        let window = Window { from: self.from, length: self.length };
        let arrivals = Trace::read_all(path, window)?;
        let last = arrivals
            .last()
            .map(|arrival| arrival.at)
            .with_context(|| format!("{}: no request arrives in this part of it", path.display()))?;
        let length = self.length.unwrap_or(last.floor() + 1.0);
        anyhow::ensure!(
            length <= LONGEST,
            "{}: lasts {length:.0} s, which is more than {LONGEST} s; --from skips a beginning (its first request is at {:.0} s), --for cuts",
            path.display(),
            arrivals.first().map_or(0.0, |arrival| arrival.at)
        );
        Ok(Load { name: name(path), arrivals: arrivals.into(), length })
    }

    /// The load that is generated where there is no trace.
    pub(crate) fn synthetic(&self, seed: u64) -> anyhow::Result<Load> {
        let (text, length) = match &self.shape {
            Some(text) => (text.as_str(), self.length),
            None => (DEFAULT_LOAD, Some(self.length.unwrap_or(DEFAULT_LENGTH))),
        };
        let load = synth::parse(text, length, seed).map_err(|error| Usage(error.to_string()))?;
        let arrivals: Vec<_> = load.arrivals().collect();
        anyhow::ensure!(!arrivals.is_empty(), "--shape {text}: no request arrives");
        Ok(Load { name: text.to_owned(), arrivals: arrivals.into(), length: load.length })
    }
}

/// Writes the page of a report.
pub(crate) fn write_report(path: &Path, summary: &[Summary], cells: &[Cell], runs: &[Run]) -> anyhow::Result<()> {
    std::fs::write(path, report::html(summary, cells, runs)?)
        .with_context(|| format!("{}: cannot be written", path.display()))
}

/// The file's name without what says its form.
fn name(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    [".csv", ".jsonl"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned()
}

/// The engine that is built in under a name, or described by a file.
pub(crate) fn engine(text: &str) -> anyhow::Result<EngineSpec> {
    match standin::Config::of(text) {
        Ok(config) => Ok(config.spec),
        Err(error @ standin::ConfigError::UnknownEngine { .. }) => Err(Usage(error.to_string()).into()),
        Err(error) => Err(error.into()),
    }
}

/// Files of one argument, which may repeat or be separated by commas.
pub(crate) fn files(given: &[PathBuf], scenario: &Scenario) -> anyhow::Result<Vec<Load>> {
    given.iter().map(|path| scenario.trace(path)).collect()
}
