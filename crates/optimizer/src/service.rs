//! The optimizer: its models, and one turn of one of them: read, decide, show. Must not know HTTP or a cluster.

use crate::brain::{Basis, Brain, Memory, Trouble, recommend};
use crate::config::{Config, MAX_MODELS, ModelConfig, Settings};
use crate::decide::current;
use crate::fleet::{Deployment, Fleet, Said};
use crate::plan::{Plan, Point};
use crate::profiles::Summary;
use crate::source::engines::Engines;
use crate::source::records::Records;
use crate::source::redis::{Redis, profile_keys};
use crate::source::{files, ticks};
use crate::took::Took;
use autoscaler_scrape::{ScrapeConfig, Scraper};
use request_monitor::Load;
use request_monitor::aibrix::{self, Trace};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tracing::Instrument;

/// Where the time is from: seconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> f64 + Send + Sync>;

/// Programs that are solved at once; more wait. Each takes a processor.
const SOLVERS: usize = 2;
/// Ticks whose traces are remembered between turns.
const MAX_GLANCES: usize = 4;
/// A text of a profile in a cluster's `ConfigMap`.
pub(crate) type Offered = Vec<(String, String)>;

/// The optimizer.
pub struct Optimizer {
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    redis: Option<Redis>,
    writers: Vec<String>,
    scraper: Scraper,
    models: RwLock<BTreeMap<String, Arc<Model>>>,
    /// Models have come or gone.
    pub(crate) changed: Notify,
    solvers: Arc<Semaphore>,
    /// What a state file said of models that are not there yet.
    remembered: Mutex<BTreeMap<String, Remembered>>,
    /// Whether a cluster is asked, and has answered.
    pub(crate) cluster: Mutex<Option<ClusterState>>,
    pub(crate) state_trouble: Mutex<Option<String>>,
}

impl std::fmt::Debug for Optimizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Optimizer").field("models", &self.names()).finish_non_exhaustive()
    }
}

/// How the watch of a cluster does.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClusterState {
    pub(crate) synced: bool,
    pub(crate) trouble: Option<String>,
}

/// What a state file has of a model.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Remembered {
    pub(crate) memory: Memory,
    pub(crate) said: Said,
}

/// One model.
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) configured: Option<ModelConfig>,
    brain: Arc<tokio::sync::Mutex<Brain>>,
    fleet: Mutex<Fleet>,
    shown: RwLock<Arc<Shown>>,
    engines: tokio::sync::Mutex<Engines>,
    records: Arc<Mutex<Records>>,
    offered: Mutex<Offered>,
    /// What was seen under the keys of the last ticks, at different times.
    glances: Mutex<BTreeMap<u64, aibrix::Merge>>,
    /// A turn is wanted now.
    pub(crate) wake: Notify,
}

/// What was known after the last turn.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    /// When the turn was.
    pub(crate) at: f64,
    pub(crate) turns: u64,
    pub(crate) panics: u64,
    pub(crate) took: Took,
    pub(crate) load: Option<Load>,
    pub(crate) plan: Option<Plan>,
    pub(crate) held: Option<String>,
    pub(crate) profiles: Vec<Summary>,
    /// Which deployments have a profile, with its cost.
    pub(crate) costs: BTreeMap<String, f64>,
    pub(crate) troubles: BTreeMap<String, Trouble>,
    pub(crate) failures: BTreeMap<String, u64>,
    pub(crate) history: Arc<VecDeque<Point>>,
}

/// A deployment with what is recommended for it.
pub(crate) struct Advice {
    pub(crate) deployment: Deployment,
    pub(crate) replicas: Option<u32>,
    pub(crate) given: Option<(u32, Basis)>,
    pub(crate) said: Option<u32>,
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Optimizer {
    /// Made of a configuration that has been checked. Fails for a Redis address that is none.
    pub fn new(config: &Config, clock: Clock) -> anyhow::Result<Arc<Self>> {
        let redis = config.redis.as_ref().map(Redis::new).transpose()?;
        let optimizer = Self {
            settings: config.settings,
            clock,
            redis,
            writers: config.redis.iter().flat_map(|redis| redis.writers.clone()).collect(),
            scraper: Scraper::new(ScrapeConfig { request_timeout: Duration::from_secs(2), ..ScrapeConfig::default() }),
            models: RwLock::default(),
            changed: Notify::new(),
            solvers: Arc::new(Semaphore::new(SOLVERS)),
            remembered: Mutex::default(),
            cluster: Mutex::default(),
            state_trouble: Mutex::default(),
        };
        for model in &config.models {
            optimizer.add(model.name.clone(), Some(model.clone()));
        }
        Ok(Arc::new(optimizer))
    }

    /// The time now.
    pub(crate) fn now(&self) -> f64 {
        (self.clock)()
    }

    /// A model by its name.
    pub(crate) fn model(&self, name: &str) -> Option<Arc<Model>> {
        self.models.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All models, by name.
    pub(crate) fn models(&self) -> Vec<Arc<Model>> {
        self.models.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn names(&self) -> Vec<String> {
        self.models().iter().map(|model| model.name.clone()).collect()
    }

    /// The model that a deployment serves.
    pub(crate) fn model_of(&self, key: &str) -> Option<Arc<Model>> {
        self.models().into_iter().find(|model| model.fleet().knows(key))
    }

    fn add(&self, name: String, configured: Option<ModelConfig>) -> Option<Arc<Model>> {
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        if models.len() >= MAX_MODELS && !models.contains_key(&name) {
            tracing::error!(model = name, "there are {MAX_MODELS} models already; this one is left out");
            return None;
        }
        let remembered = locked(&self.remembered).remove(&name);
        let model = Arc::new(Model::new(name.clone(), configured, self.settings, remembered));
        models.insert(name, Arc::clone(&model));
        self.changed.notify_one();
        Some(model)
    }

    /// Takes what a cluster has, all of it: deployments by model and key, and texts of profiles by model.
    pub(crate) fn found(
        &self,
        mut deployments: BTreeMap<String, BTreeMap<String, Deployment>>,
        mut profiles: BTreeMap<String, Offered>,
    ) {
        for model in self.models() {
            let (found, offered) = (deployments.remove(&model.name), profiles.remove(&model.name));
            if found.is_none() && model.configured.is_none() {
                tracing::info!(model = model.name, "its last deployment is gone");
                self.models.write().unwrap_or_else(PoisonError::into_inner).remove(&model.name);
                self.changed.notify_one();
                continue;
            }
            model.found(found.unwrap_or_default(), offered.unwrap_or_default());
        }
        for (name, found) in deployments {
            if let Some(model) = self.add(name.clone(), None) {
                tracing::info!(model = name, "a model was found");
                model.found(found, profiles.remove(&name).unwrap_or_default());
            }
        }
    }

    /// Gives back what a state file said, to models that are there and to those that will be.
    pub(crate) fn remember(&self, all: BTreeMap<String, Remembered>) {
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        for (name, remembered) in all.into_iter().take(MAX_MODELS) {
            if let Some(model) = models.get_mut(&name) {
                let configured = model.configured.clone();
                *model = Arc::new(Model::new(name, configured, self.settings, Some(remembered)));
            } else {
                locked(&self.remembered).insert(name, remembered);
            }
        }
    }

    /// All that is to survive a restart.
    pub(crate) async fn memories(&self) -> BTreeMap<String, Remembered> {
        // Those that have not come back yet are not forgotten.
        let mut all = locked(&self.remembered).clone();
        for model in self.models() {
            let memory = model.brain.lock().await.memory();
            let said = model.fleet().said.clone();
            all.insert(model.name.clone(), Remembered { memory, said });
        }
        all
    }

    /// One turn of a model: reads its sources, decides, and shows what came of it. What panics in it is told, and the model's
    /// last plan stays.
    pub async fn turn(self: &Arc<Self>, name: &str, now: f64) {
        let Some(model) = self.model(name) else { return };
        let (own, turning) = (Arc::clone(self), Arc::clone(&model));
        let span = tracing::info_span!("turn", model = name);
        let turned = tokio::spawn(async move { own.turn_of(&turning, now).await }.instrument(span)).await;
        if let Err(error) = turned
            && error.is_panic()
        {
            tracing::error!(model = name, "a turn panicked; the last plan is held");
            model.show(|shown| {
                shown.panics += 1;
                shown.held = Some("the last turn ended in a panic, which is a bug".to_owned());
            });
        }
    }

    async fn turn_of(&self, model: &Arc<Model>, now: f64) {
        let mut brain = model.brain.lock().await;
        self.read_profiles(model, &mut brain, now).await;
        self.read_load(model, &mut brain, now).await;
        let question = brain.question(now, &model.fleet());
        let (rate, deployments, profiles) =
            (question.load.rate, question.deployments.clone(), question.profiles.clone());
        let permit = Arc::clone(&self.solvers).acquire_owned().await;
        let solved = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            question.answer()
        });
        if let Ok(verdict) = solved.await {
            brain.note("planner", now, None);
            brain.conclude(now, rate, verdict);
        } else {
            brain.note("planner", now, Some("it panicked, which is a bug".to_owned()));
            brain.held = Some("the planner panicked".to_owned());
        }
        let costs = deployments.iter().filter_map(|(key, one)| {
            let known = profiles.of(one)?;
            Some((key.clone(), one.cost.unwrap_or(known.profile.cost)))
        });
        let costs = costs.collect();
        model.show(|shown| {
            shown.at = now;
            shown.turns += 1;
            shown.load = Some(brain.load(now));
            shown.plan.clone_from(&brain.plan);
            shown.held.clone_from(&brain.held);
            shown.profiles = brain.profiles.summaries();
            shown.costs = costs;
            shown.troubles.clone_from(&brain.troubles);
            shown.failures.clone_from(&brain.failures);
            shown.history = Arc::new(brain.history.clone());
        });
    }

    /// Looks at the trace of the last tick and remembers it. Gateways of one model write the same key, and the last one wins
    /// (AIBrix, `pkg/cache/cache_trace.go`): who looks several times after a tick sees more than one of them. Nothing where the
    /// model's load is not from traces.
    pub async fn glance(&self, name: &str, now: f64) {
        let (Some(model), Some(redis)) = (self.model(name), &self.redis) else { return };
        let others = model.configured.as_ref().is_some_and(|one| !one.engines.is_empty() || one.records.is_some());
        let tick = ticks::aligned(now);
        if others || tick == 0 {
            return;
        }
        // What fails here is told by the turn, which reads the same.
        let Ok(texts) = redis.texts(&[aibrix::key(name, tick)]).await else { return };
        let Some(trace) = texts.into_iter().flatten().find_map(|text| Trace::parse(&text).ok()) else { return };
        let mut glances = locked(&model.glances);
        glances.entry(tick).or_default().see(&trace);
        while glances.len() > MAX_GLANCES {
            glances.pop_first();
        }
    }

    /// Reads all profiles of a model again. Says whether all that were found could be read.
    pub(crate) async fn update_profiles(&self, model: &Arc<Model>) -> bool {
        let mut brain = model.brain.lock().await;
        let good = self.read_profiles(model, &mut brain, self.now()).await;
        model.show(|shown| {
            shown.profiles = brain.profiles.summaries();
            shown.troubles.clone_from(&brain.troubles);
        });
        good
    }

    async fn read_profiles(&self, model: &Arc<Model>, brain: &mut Brain, now: f64) -> bool {
        let mut good = true;
        let paths = model.configured.iter().flat_map(|configured| configured.profiles.clone()).collect::<Vec<_>>();
        if !paths.is_empty() {
            let texts = tokio::task::spawn_blocking(move || files::profiles(&paths)).await.unwrap_or_default();
            for (path, text) in texts {
                match text {
                    Ok(text) => good &= brain.profile(now, &text, &path),
                    Err(error) => {
                        brain.note(&path, now, Some(error));
                        good = false;
                    }
                }
            }
        }
        for (origin, text) in locked(&model.offered).iter() {
            good &= brain.profile(now, text, origin);
        }
        let Some(redis) = &self.redis else { return good };
        let deployments = model.fleet().all();
        let keys: Vec<String> = deployments.values().flat_map(|one| profile_keys(&model.name, one)).collect();
        match redis.texts(&keys).await {
            Ok(texts) => {
                brain.note("redis", now, None);
                for (key, text) in keys.iter().zip(texts) {
                    good &= text.is_none_or(|text| brain.profile(now, &text, key));
                }
            }
            Err(error) => {
                brain.note("redis", now, Some(error));
                good = false;
            }
        }
        good
    }

    /// The keys of a tick: AIBrix's, and those of gateways that have their own.
    fn trace_keys(&self, model: &str, tick: u64) -> Vec<String> {
        let own = self.writers.iter().filter_map(|writer| aibrix::key_of_writer(model, tick, writer));
        std::iter::once(aibrix::key(model, tick)).chain(own).collect()
    }

    async fn read_load(&self, model: &Arc<Model>, brain: &mut Brain, now: f64) {
        let configured = model.configured.as_ref();
        if let Some(urls) = configured.map(|one| one.engines.as_slice()).filter(|urls| !urls.is_empty()) {
            let (batch, trouble) = model.engines.lock().await.read(&self.scraper, urls, now).await;
            brain.note("engines", now, trouble);
            if let Some(batch) = batch {
                brain.batch(&batch);
            }
        } else if let Some(path) = configured.and_then(|one| one.records.clone()) {
            let (records, name) = (Arc::clone(&model.records), model.name.clone());
            let read = tokio::task::spawn_blocking(move || locked(&records).read(&path, &name, now)).await;
            let (batch, trouble) = match read {
                Ok(Ok(batch)) => (batch, None),
                Ok(Err((batch, trouble))) => (batch, Some(trouble)),
                Err(_) => (None, Some("the reading of records panicked, which is a bug".to_owned())),
            };
            brain.note("records", now, trouble);
            if let Some(batch) = batch {
                brain.batch(&batch);
            }
        } else if let Some(redis) = &self.redis {
            let due = brain.ticks.due(now);
            let keys: Vec<String> = due.iter().flat_map(|tick| self.trace_keys(&model.name, *tick)).collect();
            match redis.texts(&keys).await {
                Ok(texts) => {
                    let of = |texts: &[Option<String>]| texts.to_vec();
                    let found = due.into_iter().zip(texts.chunks(1 + self.writers.len()).map(of)).collect::<Vec<_>>();
                    brain.traces(now, &found, &std::mem::take(&mut *locked(&model.glances)));
                    brain.note("redis", now, None);
                }
                Err(error) => brain.note("redis", now, Some(error)),
            }
        } else {
            brain.note(
                "load",
                now,
                Some("there is no source of the load: no Redis, no engines, no records".to_owned()),
            );
        }
    }
}

impl Model {
    fn new(name: String, configured: Option<ModelConfig>, settings: Settings, old: Option<Remembered>) -> Self {
        let deployments = configured.iter().flat_map(|model| model.deployments.iter().map(Deployment::from));
        let mut fleet = Fleet::new(deployments);
        let (memory, said) = old.map(|old| (old.memory, old.said)).unzip();
        fleet.said = said.unwrap_or_default();
        let brain = Brain::new(settings, memory);
        let shown = Shown {
            plan: brain.plan.clone(),
            held: brain.held.clone(),
            history: Arc::new(brain.history.clone()),
            ..Shown::default()
        };
        Self {
            name,
            configured,
            brain: Arc::new(tokio::sync::Mutex::new(brain)),
            fleet: Mutex::new(fleet),
            shown: RwLock::new(Arc::new(shown)),
            engines: tokio::sync::Mutex::default(),
            records: Arc::default(),
            offered: Mutex::default(),
            glances: Mutex::default(),
            wake: Notify::new(),
        }
    }

    pub(crate) fn fleet(&self) -> MutexGuard<'_, Fleet> {
        locked(&self.fleet)
    }

    pub(crate) fn shown(&self) -> Arc<Shown> {
        Arc::clone(&self.shown.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn show(&self, change: impl FnOnce(&mut Shown)) {
        let mut shown = self.shown.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut shown));
    }

    /// A turn ended that took so long.
    pub(crate) fn took(&self, time: Duration) {
        self.show(|shown| shown.took.add(time));
    }

    fn found(&self, found: BTreeMap<String, Deployment>, offered: Offered) {
        let new = self.fleet().found(found);
        let mut known = locked(&self.offered);
        if new || *known != offered {
            *known = offered;
            self.wake.notify_one();
        }
    }

    /// Every deployment that is looked after, with what is recommended for it.
    pub(crate) fn advice(&self) -> Vec<Advice> {
        let (fleet, shown) = (self.fleet(), self.shown());
        let one = |(key, deployment): (String, Deployment)| Advice {
            replicas: current(&deployment, &key, shown.plan.as_ref()),
            given: recommend(&deployment, &fleet, shown.plan.as_ref()),
            said: fleet.said.overrides.get(&key).copied(),
            deployment,
        };
        fleet.all().into_iter().map(one).collect()
    }
}

/// The tick at which the next turn is due, and how long until then.
pub(crate) fn until_next(settings: &Settings, now: f64) -> Duration {
    let (interval, delay) = (settings.interval_seconds, settings.delay_seconds);
    let next = ((now - delay) / interval).floor().mul_add(interval, interval + delay);
    Duration::try_from_secs_f64((next - now).clamp(0.001, interval)).unwrap_or(Duration::from_secs(ticks::TICK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_due_a_little_after_each_multiple_of_the_interval() {
        let wait = |now: f64| until_next(&Settings::default(), now).as_secs_f64();
        for (now, expected) in [(1000.0, 2.0), (1001.5, 0.5), (1002.0, 10.0), (1003.0, 9.0), (1009.0, 3.0)] {
            assert!((wait(now) - expected).abs() < 1e-6, "{now}: {}", wait(now));
        }
    }
}
