//! The arguments of `profile`, and what they mean for the library.

use crate::values::{at_least_one, duration, endpoint, speed};
use clap::builder::PossibleValuesParser;
use profiler::{Origin, Percentile, Plan, Settings, Slo, Spread};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "For each size of request the largest rate is searched at which the SLO is kept and nine tenths of the rate are carried:
first one request at a time, then from a guess by smaller sizes up or down, then by halving. Requests arrive as a Poisson
process, as those of independent users do. Every run that ends is kept in a file, as rows of AIBrix's benchmark; after
an interruption --resume goes on with them. Prompts are unlike each other, so that no prefix cache helps.

The output is the profile that AIBrix's GPU optimizer and `plan --profile` read.
Exits with 1 where the engine fails or where no size is carried at all.

Examples:
  aibrix-autoscaler profile http://127.0.0.1:8000 --slo ttft=1s,tpot=50ms --gpu a10g --cost 1.01 -o a10g.json
  aibrix-autoscaler profile http://127.0.0.1:8000 --resume profile.json.runs.jsonl --plot profile.html --fit engine.json
  aibrix-autoscaler profile --engine a100-8b --percentile 99 -o a100.json
  aibrix-autoscaler engine --speed 20 &  aibrix-autoscaler profile http://127.0.0.1:8000 --speed 20"
)]
pub(crate) struct ProfileArgs {
    /// The endpoint, such as http://127.0.0.1:8000, with nothing else to do
    #[arg(value_parser = endpoint)]
    pub(super) url: Option<String>,
    /// Derive the profile from an engine model in place of measuring: a built-in one, or a file
    #[arg(long, value_name = "NAME|FILE", conflicts_with_all = ["url", "model", "resume", "requests", "length", "speed", "chat", "timeout"])]
    pub(super) engine: Option<String>,
    /// The model's name; without it, the first one that the endpoint lists
    #[arg(short, long)]
    pub(super) model: Option<String>,
    /// Prompt sizes, tokens
    #[arg(long, value_name = "TOKENS", value_delimiter = ',', default_value = "128,512,2048")]
    pub(super) inputs: Vec<u32>,
    /// Answer sizes, tokens
    #[arg(long, value_name = "TOKENS", value_delimiter = ',', default_value = "4,64,256")]
    pub(super) outputs: Vec<u32>,
    /// What has to be kept: any of ttft=, tpot= and e2e=, or none for the largest throughput
    #[arg(long, value_parser = limits, default_value = "ttft=2s,tpot=100ms")]
    pub(super) slo: Limits,
    /// By which statistic: 50, 90, 99, or 0 for the mean; 99 needs --requests of several hundred to mean something
    #[arg(long, value_name = "N", default_value = "90", value_parser = PossibleValuesParser::new(["0", "50", "90", "99"]))]
    percentile: String,
    /// The GPU type's name in the profile; AIBrix wants the Deployment's [default: the model's or engine's]
    #[arg(long, value_name = "NAME")]
    pub(super) gpu: Option<String>,
    /// Cost of one replica per unit of time
    #[arg(long, default_value_t = 1.0, value_parser = cost)]
    pub(super) cost: f64,
    /// Requests of a run after its warm-up, at least
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = at_least_one())]
    requests: usize,
    /// How long a run lasts after its warm-up, at least, in trace time
    #[arg(long = "for", value_name = "TIME", value_parser = duration, default_value = "30s")]
    length: f64,
    /// Runs at a rate that is near its limit, at most: the majority decides
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    repeats: u32,
    /// How near to the knee the search ends: 0.05 is 5 %
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    tolerance: f64,
    /// Largest rate that is tried
    #[arg(long, value_name = "RATE", default_value_t = 1000.0)]
    max_rate: f64,
    /// Run every one of these rates in every cell in place of the search, as AIBrix's benchmark does
    #[arg(long, value_name = "RATES", value_delimiter = ',')]
    full_grid: Option<Vec<f64>>,
    /// Evenly spaced arrivals in place of a Poisson process
    #[arg(long)]
    even: bool,
    /// What the arrivals' randomness begins with
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Trace seconds per second, for stand-in engines that run so fast
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = speed)]
    pub(super) speed: f64,
    /// A request's deadline, in trace time
    #[arg(long, value_parser = duration, default_value = "120s")]
    pub(super) timeout: f64,
    /// Use /v1/chat/completions
    #[arg(long)]
    pub(super) chat: bool,
    /// Sent as a bearer token
    #[arg(long, env = "OPENAI_API_KEY", hide_env_values = true)]
    pub(super) api_key: Option<String>,
    /// The profile; - is standard output
    #[arg(short, long, value_name = "FILE", default_value = "profile.json")]
    pub(super) output: PathBuf,
    /// Go on with the runs of this file [a new one is the output's name with .runs.jsonl]
    #[arg(long, value_name = "FILE")]
    pub(super) resume: Option<PathBuf>,
    /// Draw capacities, and latency against rate; the name says the form: .svg, or a page
    #[arg(long, value_name = "FILE")]
    pub(super) plot: Option<PathBuf>,
    /// Fit an engine model to the measurement: a file for `simulate --engine` and `engine --engine`
    #[arg(long, value_name = "FILE")]
    pub(super) fit: Option<PathBuf>,
    /// The engine that a fit takes from what cannot be measured [default: the nearest built-in one]
    #[arg(long, value_name = "NAME|FILE", requires = "fit")]
    pub(super) base: Option<String>,
    /// Print a line of JSON for each run
    #[arg(long)]
    pub(super) json: bool,
}

/// Limits in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Limits {
    ttft: Option<f64>,
    tpot: Option<f64>,
    e2e: Option<f64>,
}

/// Reads `ttft=2s,tpot=100ms,e2e=20s`, or `none`.
fn limits(text: &str) -> Result<Limits, String> {
    let mut limits = Limits::default();
    if text == "none" {
        return Ok(limits);
    }
    for pair in text.split(',') {
        let (name, value) = pair.split_once('=').ok_or(ALLOWED)?;
        let limit = match name {
            "ttft" => &mut limits.ttft,
            "tpot" => &mut limits.tpot,
            "e2e" => &mut limits.e2e,
            _ => return Err(ALLOWED.to_owned()),
        };
        let seconds = duration(value)?;
        if seconds <= 0.0 {
            return Err(ALLOWED.to_owned());
        }
        *limit = Some(seconds);
    }
    Ok(limits)
}

const ALLOWED: &str = "allowed: ttft=2s,tpot=100ms,e2e=20s, any of them with a time above 0, or none";

fn cost(text: &str) -> Result<f64, String> {
    let cost = text.parse::<f64>().ok().filter(|cost| cost.is_finite() && *cost >= 0.0);
    cost.ok_or_else(|| "allowed: a number from 0".to_owned())
}

impl ProfileArgs {
    /// What is to be found.
    pub(super) fn plan(&self) -> Plan {
        let percentile = self.percentile.parse().ok().and_then(Percentile::from_number).unwrap_or(Percentile::P90);
        let Limits { ttft, tpot, e2e } = self.slo;
        Plan {
            inputs: self.inputs.clone(),
            outputs: self.outputs.clone(),
            slo: Slo { ttft, tpot, e2e, percentile },
            tolerance: self.tolerance,
            repeats: self.repeats,
            max_rate: self.max_rate,
            rates: self.full_grid.clone(),
        }
    }

    pub(super) fn spread(&self) -> Spread {
        if self.even { Spread::Even } else { Spread::Poisson }
    }

    /// How runs are made. A full grid is for comparison with AIBrix's, whose runs go to their ends.
    pub(super) fn settings(&self) -> Settings {
        Settings {
            requests: self.requests,
            seconds: self.length,
            spread: self.spread(),
            seed: self.seed,
            early: self.full_grid.is_none(),
        }
    }

    /// What the runs are of.
    pub(super) fn origin(&self, model: &str) -> Origin {
        Origin {
            model: model.to_owned(),
            requests: self.requests,
            seconds: self.length,
            spread: if self.even { "even" } else { "poisson" }.to_owned(),
            slo: Origin::slo_name(&self.plan().slo),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_and_what_is_none_is_refused_with_what_is_allowed() {
        assert_eq!(limits("none"), Ok(Limits::default()));
        assert_eq!(limits("e2e=5s,ttft=300ms"), Ok(Limits { ttft: Some(0.3), tpot: None, e2e: Some(5.0) }));
        for bad in ["", "ttft", "ttft=0s", "tput=4", "ttft=-1", "ttft=nan", "tpot=1s,"] {
            assert!(limits(bad).is_err_and(|said| said.contains("allowed")), "{bad}");
        }
    }
}
