//! The command line's arguments and the configuration made of them.

use crate::faults::Fault;
use engine_model::{EngineSpec, SpecError};
use std::path::Path;
use std::time::Duration;

/// An engine file is a screenful; more is the wrong file.
const MAX_ENGINE_FILE_BYTES: u64 = 1 << 20;
/// Beyond this the timer's millisecond is longer than a start-up.
const MAX_SPEED: f64 = 10_000.0;

/// Arguments of the stand-in engine.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub host: String,
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 8000)]
    pub port: u16,
    /// Name of the served model [default: the engine's name]
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Built-in engine model, or a file (YAML or JSON) that describes one
    #[arg(long, value_name = "NAME|FILE", default_value = "l4-8b", value_parser = engine)]
    pub engine: String,
    /// How many times faster than the wall clock the model's time runs
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = speed)]
    pub speed: f64,
    /// Model time before the port opens; connections are refused until then
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = humantime::parse_duration)]
    pub startup_delay: Duration,
    /// Model time that running requests get to finish when told to stop
    #[arg(long, value_name = "DURATION", default_value = "120s", value_parser = humantime::parse_duration)]
    pub drain_timeout: Duration,
    /// Most sequences in a batch [default: the engine's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_num_seqs: Option<u32>,
    /// Most tokens in a batch [default: the engine's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_num_batched_tokens: Option<u32>,
    /// Longest input plus output, tokens [default: the engine's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    pub max_model_len: Option<u32>,
    /// Output tokens of a chat request that does not say
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub default_output_tokens: u32,
    /// Faults to begin with: slow-metrics=2s, garbage-metrics, hang, crash-after=30s, reject, refuse-ready
    #[arg(long, value_name = "FAULT", value_delimiter = ',')]
    pub fail: Vec<Fault>,
}

/// What a stand-in engine needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address to listen on.
    pub host: String,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// Name of the served model.
    pub model: String,
    /// The engine model.
    pub spec: EngineSpec,
    /// Model seconds per wall second.
    pub speed: f64,
    /// Model time before the port opens.
    pub startup_delay: Duration,
    /// Model time that running requests get to finish.
    pub drain_timeout: Duration,
    /// Output tokens of a chat request that does not say.
    pub default_output_tokens: u32,
    /// Faults to begin with.
    pub faults: Vec<Fault>,
}

/// Why the arguments make no engine.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Neither a built-in nor a file.
    #[error("--engine {name}: neither a file nor a built-in engine ({allowed})")]
    UnknownEngine {
        /// What was asked for.
        name: String,
        /// The built-in names.
        allowed: String,
    },
    /// The file cannot be read or is no engine.
    #[error("{file}: {problem}")]
    File {
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A parameter is out of range, in the file or by an argument.
    #[error("engine {engine}: {source}")]
    Spec {
        /// The engine.
        engine: String,
        /// The parameter.
        source: SpecError,
    },
    /// The speed is no speed.
    #[error("--speed {0}: a number above 0 and at most {MAX_SPEED} is allowed")]
    Speed(f64),
}

impl Config {
    /// An engine of the built-in or file `engine` with every default of the command line, on a free port.
    pub fn of(engine: &str) -> Result<Self, ConfigError> {
        let spec = load(engine)?;
        Ok(Self {
            host: "127.0.0.1".to_owned(),
            port: 0,
            model: spec.name.clone(),
            spec,
            speed: 1.0,
            startup_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(120),
            default_output_tokens: 128,
            faults: Vec::new(),
        })
    }
}

impl TryFrom<Args> for Config {
    type Error = ConfigError;

    /// Reads the engine's file, if it is one, and checks every parameter.
    fn try_from(args: Args) -> Result<Self, ConfigError> {
        if !(args.speed > 0.0 && args.speed <= MAX_SPEED) {
            return Err(ConfigError::Speed(args.speed));
        }
        let mut spec = load(&args.engine)?;
        if let Some(seqs) = args.max_num_seqs {
            spec.max_num_seqs = seqs;
            // Asking for more sequences than tokens means wanting them all in one batch.
            spec.max_num_batched_tokens = spec.max_num_batched_tokens.max(seqs);
        }
        spec.max_num_batched_tokens = args.max_num_batched_tokens.unwrap_or(spec.max_num_batched_tokens);
        spec.max_model_len = args.max_model_len.unwrap_or(spec.max_model_len);
        spec.validate().map_err(|source| ConfigError::Spec { engine: args.engine, source })?;
        Ok(Self {
            host: args.host,
            port: args.port,
            model: args.model.unwrap_or_else(|| spec.name.clone()),
            spec,
            speed: args.speed,
            startup_delay: args.startup_delay,
            drain_timeout: args.drain_timeout,
            default_output_tokens: args.default_output_tokens.max(1),
            faults: args.fail,
        })
    }
}

/// Takes a name that an engine has; whether its file is a good one is seen when it is read.
fn engine(text: &str) -> Result<String, String> {
    if EngineSpec::builtin(text).is_some() || Path::new(text).exists() {
        return Ok(text.to_owned());
    }
    Err(format!("neither a file nor a built-in engine ({})", allowed()))
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok().filter(|speed| *speed > 0.0 && *speed <= MAX_SPEED);
    speed.ok_or_else(|| format!("a number above 0 and at most {MAX_SPEED} is allowed"))
}

fn allowed() -> String {
    EngineSpec::builtin_names().collect::<Vec<_>>().join(", ")
}

fn load(engine: &str) -> Result<EngineSpec, ConfigError> {
    if let Some(spec) = EngineSpec::builtin(engine) {
        return Ok(spec);
    }
    let path = Path::new(engine);
    let Ok(metadata) = path.metadata() else {
        return Err(ConfigError::UnknownEngine { name: engine.to_owned(), allowed: allowed() });
    };
    let refuse = |problem: String| ConfigError::File { file: engine.to_owned(), problem };
    if !metadata.is_file() || metadata.len() > MAX_ENGINE_FILE_BYTES {
        return Err(refuse(format!("a file of at most {MAX_ENGINE_FILE_BYTES} bytes is allowed")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
    let spec: EngineSpec = serde_saphyr::from_str(&text).map_err(|error| refuse(error.to_string()))?;
    spec.validate().map_err(|source| ConfigError::Spec { engine: engine.to_owned(), source })?;
    Ok(spec)
}
