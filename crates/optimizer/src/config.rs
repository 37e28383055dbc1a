//! What the optimizer is told: models, their deployments, where loads and profiles come from, and how careful to be.
//! Must not know how any of it is used.

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Most models of one optimizer: each has a task and a histogram.
pub const MAX_MODELS: usize = 1000;
/// Most deployments of one model; the planner takes as many types.
pub const MAX_DEPLOYMENTS: usize = 100;
/// Most endpoints of one model.
const MAX_ENGINES: usize = 2000;
/// Most gateways with keys of their own: each is a key more to ask for, for each tick and model.
const MAX_WRITERS: usize = 64;
/// Most replicas that a deployment is ever given.
pub const MAX_REPLICAS: u32 = 1_000_000;
/// The largest configuration or profile file, in bytes.
pub const MAX_FILE_BYTES: u64 = 16 << 20;

/// The whole configuration, as YAML or JSON has it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Models with what serves them. On Kubernetes, Deployments with AIBrix's label are added to them.
    #[serde(default)]
    pub models: Vec<ModelConfig>,
    /// Where AIBrix's gateway writes its traces, and its tools their profiles.
    #[serde(default)]
    pub redis: Option<RedisConfig>,
    /// How plans are made.
    #[serde(default)]
    pub settings: Settings,
}

/// A model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelConfig {
    /// Its name, as requests have it.
    pub name: String,
    /// What serves it: one for each GPU type.
    #[serde(default)]
    pub deployments: Vec<DeploymentConfig>,
    /// Files of profiles, or folders of them, beside those in Redis.
    #[serde(default)]
    pub profiles: Vec<PathBuf>,
    /// Metrics pages of its replicas. Where there are any the load is read from them, and not from Redis.
    #[serde(default)]
    pub engines: Vec<String>,
    /// A file of request records, JSON lines that a gateway appends to. Where given, the load is read from it.
    #[serde(default)]
    pub records: Option<PathBuf>,
}

/// A deployment: replicas of a model on one GPU type.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeploymentConfig {
    /// Its namespace.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The GPU type: the name of a profile that is not named after the deployment.
    #[serde(default)]
    pub gpu: Option<String>,
    /// Cost of one replica per unit of time; that of the profile where absent.
    #[serde(default)]
    pub cost: Option<f64>,
    /// Fewest replicas.
    #[serde(default)]
    pub min: u32,
    /// Most replicas; as many as are needed where absent.
    #[serde(default)]
    pub max: Option<u32>,
    /// Replicas at the start, which are held until there is a plan.
    #[serde(default)]
    pub current: Option<u32>,
}

fn default_namespace() -> String {
    "default".to_owned()
}

/// Where Redis is.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedisConfig {
    /// `redis://host:port/database`. A password belongs in the environment.
    pub url: String,
    /// The environment variable with the password, if it is set.
    #[serde(default = "default_password_variable")]
    pub password_variable: String,
    /// Gateways that write a key of their own each, `aibrix:{model}_request_trace_{time}.{writer}`, so that none writes over
    /// another's: this project's way. They are added to what is under AIBrix's key.
    #[serde(default)]
    pub writers: Vec<String>,
}

impl RedisConfig {
    /// An address, with the password in AIBrix's variable.
    #[must_use]
    pub fn at(url: String) -> Self {
        Self { url, password_variable: default_password_variable(), writers: Vec::new() }
    }
}

impl std::fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // An address may carry a password in spite of all advice.
        let shown = self.url.rsplit_once('@').map_or(self.url.as_str(), |(_, host)| host);
        f.debug_struct("RedisConfig").field("at", &shown).finish_non_exhaustive()
    }
}

fn default_password_variable() -> String {
    "REDIS_PASSWORD".to_owned()
}

/// How plans are made. Times are in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// Between two turns; turns begin at multiples of it, as the gateway's traces do.
    pub interval_seconds: f64,
    /// After the multiple, so that the trace of the tick has been written.
    pub delay_seconds: f64,
    /// The load is planned for as if it were this many times what it is. A plan of the mean load alone is at its SLO's limit in
    /// half of all moments, and Mélange plans with a tenth more for that reason (arXiv 2404.14527, section 6).
    pub headroom: f64,
    /// A plan that still carries the load is kept while it costs at most this share more than the cheapest.
    pub keep_within: f64,
    /// A cheaper plan is taken only where it would carry this share more load, too: else the next tick takes it back.
    pub shrink_margin: f64,
    /// What it costs to add or to take away a replica, in the unit of the types' costs.
    pub change_cost: f64,
    /// Time that the solver has.
    pub deadline_seconds: f64,
    /// Below this confidence in the sizes (0 to 1) nothing is planned and the last plan held.
    pub min_confidence: f64,
    /// Data older than this holds the last plan.
    pub stale_seconds: f64,
    /// Without any trace for this long there is no load; before, the last plan is held, since a gateway that is restarted
    /// writes none either.
    pub idle_seconds: f64,
    /// What waits in the gateway's queue is to be worked off within this time.
    pub drain_seconds: f64,
    /// Half-life of what is remembered of the load.
    pub half_life_seconds: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            interval_seconds: 10.0,
            delay_seconds: 2.0,
            headroom: 1.1,
            keep_within: 0.05,
            shrink_margin: 0.1,
            change_cost: 0.0,
            deadline_seconds: 5.0,
            min_confidence: 0.1,
            stale_seconds: 60.0,
            idle_seconds: 300.0,
            drain_seconds: 120.0,
            half_life_seconds: 120.0,
        }
    }
}

impl Config {
    /// Reads a file and checks it; errors name the file and the field.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = read_text(path)?;
        let name = || path.display().to_string();
        let config: Self = if path.extension().is_some_and(|kind| kind == "json") {
            serde_json::from_str(&text).with_context(name)?
        } else {
            serde_saphyr::from_str(&text).map_err(|error| anyhow::anyhow!("{error}")).with_context(name)?
        };
        config.validate().with_context(name)?;
        Ok(config.beside(path))
    }

    /// Paths in a file are from the file's folder, wherever the program was started.
    fn beside(mut self, file: &Path) -> Self {
        let Some(folder) = file.parent() else { return self };
        for model in &mut self.models {
            for path in model.profiles.iter_mut().chain(&mut model.records) {
                *path = folder.join(&*path);
            }
        }
        self
    }

    /// Checks what the types do not: names once, numbers in their ranges, one source for a load.
    pub fn validate(&self) -> anyhow::Result<()> {
        ensure!(self.models.len() <= MAX_MODELS, "models: {}; allowed: at most {MAX_MODELS}", self.models.len());
        let (mut models, mut deployments) = (BTreeSet::new(), BTreeSet::new());
        for (at, model) in self.models.iter().enumerate() {
            model.validate(&format!("models[{at}]"))?;
            ensure!(models.insert(&model.name), "models[{at}].name: {:?} is there twice", model.name);
            for (beside, one) in model.deployments.iter().enumerate() {
                let new = deployments.insert((&one.namespace, &one.name));
                let path = format!("models[{at}].deployments[{beside}]");
                ensure!(new, "{path}: {}/{} is there twice", one.namespace, one.name);
            }
        }
        if let Some(redis) = &self.redis {
            ensure!(
                redis.url.starts_with("redis://"),
                "redis.url: allowed: an address such as redis://host:6379/0, without TLS"
            );
            ensure!(redis.writers.len() <= MAX_WRITERS, "redis.writers: allowed: at most {MAX_WRITERS}");
            for (at, writer) in redis.writers.iter().enumerate() {
                let known = request_monitor::aibrix::key_of_writer("m", 0, writer).is_some();
                ensure!(known, "redis.writers[{at}]: allowed: letters, digits and hyphens");
            }
        }
        self.settings.validate()
    }
}

impl ModelConfig {
    fn validate(&self, path: &str) -> anyhow::Result<()> {
        name(&format!("{path}.name"), &self.name)?;
        let count = self.deployments.len();
        ensure!(count <= MAX_DEPLOYMENTS, "{path}.deployments: {count}; allowed: at most {MAX_DEPLOYMENTS}");
        ensure!(self.engines.len() <= MAX_ENGINES, "{path}.engines: allowed: at most {MAX_ENGINES}");
        if self.records.is_some() && !self.engines.is_empty() {
            bail!("{path}: has engines and records; allowed: one source, or requests would count twice");
        }
        for (at, engine) in self.engines.iter().enumerate() {
            let sound = engine.starts_with("http://") || engine.starts_with("https://");
            ensure!(sound, "{path}.engines[{at}]: allowed: the address of a metrics page with http:// or https://");
        }
        for (at, one) in self.deployments.iter().enumerate() {
            one.validate(&format!("{path}.deployments[{at}]"))?;
        }
        Ok(())
    }
}

impl DeploymentConfig {
    fn validate(&self, path: &str) -> anyhow::Result<()> {
        name(&format!("{path}.namespace"), &self.namespace)?;
        name(&format!("{path}.name"), &self.name)?;
        if let Some(cost) = self.cost {
            number(&format!("{path}.cost"), cost, 0.0, 1e9)?;
        }
        let bound = |field: &str, value: u32| {
            ensure!(value <= MAX_REPLICAS, "{path}.{field}: is {value}; allowed: at most {MAX_REPLICAS}");
            Ok(())
        };
        bound("min", self.min)?;
        self.max.map_or(Ok(()), |max| bound("max", max))?;
        self.current.map_or(Ok(()), |current| bound("current", current))?;
        if let Some(max) = self.max.filter(|max| *max < self.min) {
            bail!("{path}.max: is {max}; allowed: at least min, which is {}", self.min);
        }
        Ok(())
    }
}

impl Settings {
    /// Checks every number.
    pub fn validate(&self) -> anyhow::Result<()> {
        for (field, value, least, most) in [
            ("intervalSeconds", self.interval_seconds, 1.0, 600.0),
            ("delaySeconds", self.delay_seconds, 0.0, 60.0),
            ("headroom", self.headroom, 1.0, 10.0),
            ("keepWithin", self.keep_within, 0.0, 1.0),
            ("shrinkMargin", self.shrink_margin, 0.0, 1.0),
            ("changeCost", self.change_cost, 0.0, 1e9),
            ("deadlineSeconds", self.deadline_seconds, 0.01, 600.0),
            ("minConfidence", self.min_confidence, 0.0, 1.0),
            ("staleSeconds", self.stale_seconds, 1.0, 86400.0),
            ("idleSeconds", self.idle_seconds, 10.0, 86400.0),
            ("drainSeconds", self.drain_seconds, 1.0, 86400.0),
            ("halfLifeSeconds", self.half_life_seconds, 1.0, 86400.0),
        ] {
            number(&format!("settings.{field}"), value, least, most)?;
        }
        Ok(())
    }
}

fn number(path: &str, value: f64, least: f64, most: f64) -> anyhow::Result<()> {
    ensure!((least..=most).contains(&value), "{path}: is {value}; allowed: a number from {least} to {most}");
    Ok(())
}

/// Names go into keys, paths and labels.
fn name(path: &str, name: &str) -> anyhow::Result<()> {
    let sound = !name.is_empty() && name.len() <= 253 && !name.chars().any(char::is_control);
    ensure!(sound, "{path}: allowed: 1 to 253 bytes without control characters");
    Ok(())
}

/// Reads a text file of bounded size.
pub(crate) fn read_text(path: &Path) -> anyhow::Result<String> {
    use std::io::Read;
    let unreadable = || format!("{}: cannot be read", path.display());
    // A pipe without a writer would block for ever.
    ensure!(std::fs::metadata(path).with_context(unreadable)?.is_file(), "{}: is no regular file", path.display());
    let mut text = String::new();
    let file = std::fs::File::open(path).with_context(unreadable)?;
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).with_context(unreadable)?;
    ensure!(text.len() as u64 <= MAX_FILE_BYTES, "{}: larger than {} MiB", path.display(), MAX_FILE_BYTES >> 20);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_said_with_its_field() {
        let refused = |text: &str, part: &str| {
            let config: Result<Config, _> = serde_saphyr::from_str(text);
            let error = match config {
                Ok(config) => format!("{:#}", config.validate().unwrap_err()),
                Err(error) => error.to_string(),
            };
            assert!(error.contains(part), "{error}");
        };
        refused("models: [{name: m, deployments: [{name: a, min: 3, max: 2}]}]", "models[0].deployments[0].max: is 2");
        refused("models: [{name: m, deployments: [{name: a}, {name: a}]}]", "deployments[1]: default/a is there twice");
        refused("models: [{name: m}, {name: m}]", "models[1].name");
        refused("models: [{name: m, engines: ['ftp://a']}]", "models[0].engines[0]");
        refused("models: [{name: m, engines: ['http://a'], records: r}]", "would count twice");
        refused("models: [{name: m, gpus: []}]", "gpus");
        refused("settings: {headroom: .nan}", "settings.headroom");
        refused("settings: {headroom: 0.9}", "settings.headroom: is 0.9; allowed: a number from 1 to 10");
        refused("redis: {url: 'http://a'}", "redis.url");
        refused("redis: {url: 'redis://a', writers: [a.b]}", "redis.writers[0]");
    }

    #[test]
    fn paths_are_from_the_files_folder() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("optimizer.yaml");
        std::fs::write(&file, "models: [{name: m, profiles: [a, /b]}]").unwrap();
        let config = Config::read(&file).unwrap();
        assert_eq!(config.models[0].profiles, [folder.path().join("a"), PathBuf::from("/b")]);
    }

    #[test]
    fn a_password_in_an_address_is_not_shown() {
        let redis = RedisConfig { url: "redis://:secret@host:6379/0".to_owned(), ..RedisConfig::at(String::new()) };
        let shown = format!("{redis:?}");
        assert!(shown.contains("host:6379") && !shown.contains("secret"), "{shown}");
    }
}
