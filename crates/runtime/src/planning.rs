//! What manifests mean for planning: one model's targets, its SLO, its forecast. Reads no file: whoever calls has the profiles.

use autoscaler_api::resolved::{ResolvedAutoscaler, RulesFrom};
use autoscaler_api::v1alpha1::{Objective as ApiObjective, ObjectiveMetric};
use autoscaler_planning::{Knowledge, Objective, Planning, Settings, SettingsError, Target};
use engine_model::EngineSpec;
use forecast::Event;
use planner::Profile;

/// What is known of one target.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// What its replicas run on.
    pub knowledge: Knowledge,
    /// Cost of one replica an hour, where somebody knows it.
    pub cost: Option<f64>,
}

impl Known {
    /// What a file or a ConfigMap says: an engine model as `profile --fit` writes it, or a GPU profile in AIBrix's form. The error
    /// names the field.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let json: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if json.get(ENGINE_FIELD).is_some() {
            let spec: EngineSpec = serde_json::from_value(json).map_err(|error| error.to_string())?;
            spec.validate().map_err(|error| error.to_string())?;
            return Ok(Self { knowledge: Knowledge::Engine(Box::new(spec)), cost: None });
        }
        let profile = Profile::from_json(text).map_err(|error| error.to_string())?;
        Ok(Self { cost: Some(profile.cost), knowledge: Knowledge::Profile(Box::new(profile)) })
    }
}

/// A field that every engine model has and no profile.
const ENGINE_FIELD: &str = "weightsMs";

/// The usual SLO of interactive chat, where a manifest has none: 2 s to the first token, 100 ms a token.
const TTFT: f64 = 2.0;
const TPOT: f64 = 0.1;
/// What is longer is cut, seconds.
const LONGEST_HOLD: f64 = 3600.0;

/// The planning of the autoscalers of one model, with what is known of each. `epoch` is the Unix time of the world's zero, which
/// events are on. SLO and forecast are those of the first that has them.
pub fn planning(objects: &[(&ResolvedAutoscaler, Known)], epoch: f64) -> Result<Planning, SettingsError> {
    Planning::new(settings(objects, epoch))
}

/// The settings that [`planning`] has.
#[must_use]
pub fn settings(objects: &[(&ResolvedAutoscaler, Known)], epoch: f64) -> Settings {
    let targets = objects.iter().map(|(object, known)| Target {
        name: object.name.clone(),
        cost: known.cost.filter(|cost| cost.is_finite() && *cost > 0.0).unwrap_or(1.0),
        min: object.bounds.min,
        max: object.bounds.max,
        knowledge: known.knowledge.clone(),
    });
    let slo = objects.iter().find_map(|(object, _)| object.slo.as_ref());
    let objectives = slo.map(|slo| slo.objectives.as_slice()).unwrap_or_default();
    let mut settings = Settings::new(objective(objectives), targets.collect());
    // A percentile is the share that must keep its objective; the strictest of all stands.
    let percentiles = objectives.iter().filter_map(|one| one.percentile).map(|percent| percent / 100.0);
    let attainment = percentiles.chain(slo.and_then(|slo| slo.attainment)).reduce(f64::max);
    settings.attainment = attainment.unwrap_or(settings.attainment).clamp(0.5, 0.9999);
    // All say it of one router; where they differ, the plan that is kept in either case stands.
    let routes = objects.iter().filter_map(|(object, _)| object.routes_by_size).reduce(|one, other| one && other);
    settings.routes_by_size = routes.unwrap_or(false);
    // Whoever says how long to wait before shrinking says it of plans, too; the most careful of several stands.
    let holds = objects.iter().filter_map(|(object, _)| match object.rules_from {
        RulesFrom::Behavior => object.rules_down.stabilization,
        RulesFrom::Annotations | RulesFrom::Kubernetes => object.cooldown_down,
    });
    settings.hold = holds.max().map_or(settings.hold, |hold| hold.as_secs_f64().min(LONGEST_HOLD));
    if let Some(forecast) = objects.iter().find_map(|(object, _)| object.forecast.as_ref()) {
        settings.horizon = forecast.horizon_seconds.map(f64::from);
        settings.season = forecast.season_seconds.map(f64::from);
        let events = forecast.events.iter().flatten().filter_map(|event| {
            let at = |text: &str| text.parse::<jiff::Timestamp>().ok().map(|at| at.as_second() as f64 - epoch);
            let (start, end) = (at(&event.start)?, at(&event.end)?);
            Some(Event { name: event.name.clone(), start, end, factor: event.factor })
        });
        settings.events = events.collect();
    }
    settings
}

fn objective(objectives: &[ApiObjective]) -> Objective {
    if objectives.is_empty() {
        return Objective { ttft: Some(TTFT), tpot: Some(TPOT), e2e: None };
    }
    let least = |metric: ObjectiveMetric| {
        objectives.iter().filter(|one| one.metric == metric).map(|one| one.seconds).reduce(f64::min)
    };
    Objective {
        ttft: least(ObjectiveMetric::Ttft),
        tpot: least(ObjectiveMetric::Tpot),
        e2e: least(ObjectiveMetric::E2e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autoscaler_api::{PodAutoscaler, resolve};
    use serde_json::json;

    #[test]
    fn a_plan_holds_for_as_long_as_the_manifest_stabilizes() {
        let held = |change: &dyn Fn(&mut serde_json::Value)| {
            let mut object = manifest("one");
            change(&mut object);
            let object: PodAutoscaler = serde_json::from_value(object).unwrap();
            let knowledge = Knowledge::Engine(Box::new(EngineSpec::builtin("l4-8b").unwrap()));
            settings(&[(&resolve(&object).unwrap(), Known { knowledge, cost: None })], 0.0).hold
        };
        assert!((held(&|_| ()) - 600.0).abs() < 1e-9);
        let cooldown = held(&|object| {
            let key = "autoscaling.aibrix.ai/scale-down-cooldown-window";
            object["metadata"]["annotations"] = json!({key: "45s"});
        });
        assert!((cooldown - 45.0).abs() < 1e-9);
        let behavior = held(&|object| {
            object["spec"]["behavior"] = json!({"scaleDown": {"stabilizationWindowSeconds": 120}});
        });
        assert!((behavior - 120.0).abs() < 1e-9);
    }

    fn manifest(name: &str) -> serde_json::Value {
        json!({
            "apiVersion": "autoscaling.aibrix.ai/v1alpha1", "kind": "PodAutoscaler", "metadata": {"name": name},
            "spec": {"scalingStrategy": "Optimizer", "maxReplicas": 3,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                "metricsSources": [{"metricSourceType": "external", "targetMetric": "queue", "targetValue": "10"}]},
        })
    }

    fn object(name: &str, by_size: Option<bool>) -> ResolvedAutoscaler {
        let mut object = manifest(name);
        if let Some(by_size) = by_size {
            object["spec"]["routesBySize"] = json!(by_size);
        }
        let object: PodAutoscaler = serde_json::from_value(object).unwrap();
        resolve(&object).unwrap()
    }

    #[test]
    fn a_model_is_routed_by_size_where_somebody_says_so_and_nobody_denies_it() {
        let engine = EngineSpec::builtin("l4-8b").unwrap();
        let known = || Known { knowledge: Knowledge::Engine(Box::new(engine.clone())), cost: None };
        for (one, other, by_size) in [
            (None, None, false),
            (Some(true), None, true),
            (Some(true), Some(true), true),
            (Some(true), Some(false), false),
            (None, Some(false), false),
        ] {
            let (one_of, other_of) = (object("a", one), object("b", other));
            let settings = settings(&[(&one_of, known()), (&other_of, known())], 0.0);
            assert_eq!(settings.routes_by_size, by_size, "{one:?} and {other:?}");
        }
    }
}
