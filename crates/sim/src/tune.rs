//! Searches the settings of a manifest on traces: one setting after the other, each at its best, twice. The end of every trace is
//! held back and scored apart, so that a setting which only fits what it was searched on is seen for what it is.

use crate::compare::{CompareError, Load, Pair, parallel};
use crate::oracle::{self, Reference};
use crate::policy::with_plan;
use crate::world::{Setup, run};
use autoscaler_api::PodAutoscaler;
use autoscaler_api::v1alpha1::ScalingStrategy;
use autoscaler_planning::HOLD;
use engine_model::EngineSpec;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What is tuned on.
#[derive(Debug, Clone)]
pub struct Ground {
    /// Traces.
    pub loads: Vec<Load>,
    /// Engines.
    pub engines: Vec<EngineSpec>,
    /// Median start-up times, seconds.
    pub cold_starts: Vec<f64>,
    /// Seeds.
    pub seeds: Vec<u64>,
    /// What runs have in common.
    pub setup: Setup,
    /// Most replicas; none as in a comparison.
    pub max: Option<u32>,
    /// Seconds between two decisions.
    pub interval: f64,
}

/// What a search came to. Scores are geometric means over the scored cells; 1 is the oracle.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tuned {
    /// The manifest that wins.
    pub manifest: Value,
    /// Its score where it was searched.
    pub score: f64,
    /// The score of the manifest that the search began with.
    pub began_with: f64,
    /// Its score on what was held back; none where nothing there is scored.
    pub held_back: Option<f64>,
    /// The same of the manifest that the search began with.
    pub held_back_began_with: Option<f64>,
    /// Manifests that were tried.
    pub tried: usize,
}

/// The share of each trace, at its end, that is held back.
const HELD_BACK: f64 = 0.3;
/// Rounds over all settings.
const ROUNDS: usize = 2;

/// A part of a trace on an engine, with its oracle.
struct Field {
    pair: Pair,
    load: Load,
    cold: f64,
    oracle: Reference,
}

/// A setting: where it is, and what it may be.
struct Setting {
    set: fn(&mut Value, f64),
    values: Vec<f64>,
}

/// Searches from `manifest` on. Fails where no cell can be scored, and where the manifest cannot be simulated.
pub fn tune(
    manifest: &Value,
    ground: &Ground,
    threads: usize,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Tuned, CompareError> {
    let (train, held): (Vec<Load>, Vec<Load>) = ground.loads.iter().map(split).unzip();
    let (train, held) = (fields(&train, ground, threads)?, fields(&held, ground, threads)?);
    // What is printed is what was simulated: with bounds that are wide enough for every trace.
    let mut manifest = manifest.clone();
    let most = train.iter().chain(&held).map(|field| field.pair.setup.group.max).max().unwrap_or(1);
    manifest["spec"]["minReplicas"] = ground.setup.group.min.into();
    manifest["spec"]["maxReplicas"] = most.into();
    let manifest = &manifest;
    if train.is_empty() {
        return Err(CompareError::Unscored);
    }
    let mut tried = 0;
    let mut attempt = |manifest: &Value| {
        tried += 1;
        progress(tried);
        score(manifest, &train, ground, threads)
    };
    let began_with = attempt(manifest)?.unwrap_or(f64::INFINITY);
    let (mut best, mut least) = (manifest.clone(), began_with);
    let settings = settings(manifest);
    for round in 0..ROUNDS {
        for setting in &settings {
            let base = best.clone();
            for value in &setting.values {
                // Finer in the second round.
                let value = if round == 0 { *value } else { 1.0 + (*value - 1.0) / 3.0 };
                let mut candidate = base.clone();
                (setting.set)(&mut candidate, value);
                if candidate == base {
                    continue;
                }
                let found = match attempt(&candidate) {
                    // Two settings may not go together, as windows of which one has to be the longer.
                    Err(CompareError::Policy(_)) => continue,
                    found => found?.unwrap_or(f64::INFINITY),
                };
                if found < least {
                    (best, least) = (candidate, found);
                }
            }
        }
    }
    let held_back = score(&best, &held, ground, threads)?;
    let held_back_began_with = score(manifest, &held, ground, threads)?;
    Ok(Tuned { manifest: best, score: least, began_with, held_back, held_back_began_with, tried })
}

/// The beginning and the end of a trace.
fn split(load: &Load) -> (Load, Load) {
    let at = load.length * (1.0 - HELD_BACK);
    let cut = load.arrivals.partition_point(|arrival| arrival.at < at);
    let (first, last) = load.arrivals.split_at(cut);
    let shifted: Vec<_> = last.iter().map(|one| workload::Arrival { at: one.at - at, ..*one }).collect();
    (
        Load { name: load.name.clone(), arrivals: first.into(), length: at },
        Load { name: load.name.clone(), arrivals: shifted.into(), length: load.length - at },
    )
}

/// The fields that can be scored.
fn fields(loads: &[Load], ground: &Ground, threads: usize) -> Result<Vec<Field>, CompareError> {
    let mut jobs = Vec::new();
    for load in loads.iter().filter(|load| !load.arrivals.is_empty()) {
        for engine in &ground.engines {
            jobs.extend(ground.cold_starts.iter().map(|cold| (load, engine, *cold)));
        }
    }
    let made = parallel(
        threads,
        &jobs,
        |(load, ..)| load.arrivals.len(),
        |(load, engine, cold)| {
            let mut pair = Pair::new(&ground.setup, ground.max, load, engine)?;
            pair.setup.group.cold_start.median = *cold;
            let oracle = pair.oracle(load)?;
            Ok(Field { pair, load: (*load).clone(), cold: *cold, oracle })
        },
    )?;
    Ok(made.into_iter().filter(|field| field.pair.is_scored()).collect())
}

fn score(manifest: &Value, fields: &[Field], ground: &Ground, threads: usize) -> Result<Option<f64>, CompareError> {
    let jobs: Vec<(&Field, u64)> =
        fields.iter().flat_map(|field| ground.seeds.iter().map(move |seed| (field, *seed))).collect();
    let scores = parallel(
        threads,
        &jobs,
        |(field, _)| field.load.arrivals.len(),
        |(field, seed)| {
            let mut setup = field.pair.setup.clone();
            setup.seed = *seed;
            setup.group.cold_start.median = field.cold;
            let mut object = manifest.clone();
            object["spec"]["minReplicas"] = setup.group.min.into();
            object["spec"]["maxReplicas"] = setup.group.max.into();
            let object: PodAutoscaler = serde_json::from_value(object)
                .map_err(|error| crate::policy::ProductError::Manifest(error.to_string()))?;
            let mut policy = with_plan(&object, &setup.group.engine, setup.slo, ground.interval, |_| {})?;
            let outcome = run(&setup, &field.load.arrivals, &mut policy, None)?;
            Ok(oracle::score(&outcome, field.oracle.outcome.gpu_hours, field.pair.target))
        },
    )?;
    let count = scores.len() as f64;
    let mean = (scores.iter().map(|score| score.max(1e-9).ln()).sum::<f64>() / count).exp();
    Ok((!scores.is_empty()).then_some(mean))
}

/// What can be set: the target of every source, and of a strategy its windows, rates and cooldowns. Values are factors of what
/// the manifest says or the strategy's default is.
fn settings(manifest: &Value) -> Vec<Setting> {
    let mut settings = vec![Setting {
        set: |manifest, factor| {
            for source in manifest["spec"]["metricsSources"].as_array_mut().into_iter().flatten() {
                let before = source["targetValue"].as_str().and_then(|text| text.parse::<f64>().ok());
                if let Some(target) = before {
                    source["targetValue"] = json!(format!("{:.4}", target * factor));
                }
            }
        },
        values: vec![0.25, 0.4, 0.55, 0.7, 0.85, 1.2, 1.5, 2.0, 3.0],
    }];
    let strategy = manifest["spec"]["scalingStrategy"].as_str().unwrap_or_default();
    settings.push(Setting {
        set: |manifest, factor| {
            let key = "autoscaling.aibrix.ai/scale-down-cooldown-window";
            let default = if plans(manifest) { HOLD } else { 300.0 };
            let now =
                annotation(manifest, key).map_or(default, |text| text.trim_end_matches('s').parse().unwrap_or(default));
            annotate(manifest, key, format!("{}s", (now * factor).round()));
        },
        values: vec![0.1, 0.33, 2.0, 4.0],
    });
    if strategy != "HPA" && !plans(manifest) {
        settings.push(Setting {
            set: |manifest, factor| window(manifest, "observeWindowSeconds", 180.0, factor),
            values: vec![0.17, 0.33, 2.0],
        });
        settings.push(Setting {
            set: |manifest, factor| {
                let key = "autoscaling.aibrix.ai/max-scale-up-rate";
                let now = annotation(manifest, key).and_then(|text| text.parse::<f64>().ok()).unwrap_or(2.0);
                annotate(manifest, key, format!("{:.2}", (now * factor).max(1.1)));
            },
            values: vec![2.0, 5.0],
        });
    }
    if strategy == "KPA" {
        settings.push(Setting {
            set: |manifest, factor| window(manifest, "panicWindowSeconds", 60.0, factor),
            values: vec![0.17, 0.5],
        });
    }
    settings
}

/// Whether a plan decides, whose levels have no windows to be set.
fn plans(manifest: &Value) -> bool {
    ScalingStrategy::deserialize(&manifest["spec"]["scalingStrategy"]).is_ok_and(ScalingStrategy::plans)
}

fn annotation(manifest: &Value, key: &str) -> Option<String> {
    manifest["metadata"]["annotations"][key].as_str().map(str::to_owned)
}

fn annotate(manifest: &mut Value, key: &str, value: String) {
    manifest["metadata"]["annotations"][key] = value.into();
}

/// A window in seconds, as a factor of what it is now.
fn window(manifest: &mut Value, field: &str, default: f64, factor: f64) {
    let now = manifest["spec"][field].as_f64().unwrap_or(default);
    manifest["spec"][field] = json!(whole((now * factor).round().max(5.0)));
}

#[allow(clippy::cast_possible_truncation, reason = "a cast saturates")]
fn whole(seconds: f64) -> i64 {
    seconds as i64
}
