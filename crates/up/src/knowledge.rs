//! What is known of the engine that a group runs, for a plan: a profile's file, or the engine model of our own stand-in. Must not
//! plan.

use anyhow::Context;
use autoscaler_api::local::DeploymentSettings;
use autoscaler_api::resolved::ResolvedAutoscaler;
use autoscaler_api::v1alpha1::ScalingStrategy;
use autoscaler_api::{Manifest, resolve};
use autoscaler_planning::Knowledge;
use autoscaler_runtime::planning::Known;
use autoscaler_runtime::profiles;
use engine_model::EngineSpec;
use std::path::Path;

/// The program name that stands for this binary, whatever it is called and wherever it is.
pub(crate) const OURSELVES: &str = "aibrix-autoscaler";
/// What the stand-in engine runs where its command names none.
const USUAL_ENGINE: &str = "l4-8b";

/// What is known, and by what.
#[derive(Debug, Clone, PartialEq)]
pub struct Basis {
    /// None where nothing is: no plan is made then.
    pub known: Option<Known>,
    /// One line for people.
    pub said: String,
}

/// What is known of the replicas of `deployment`, whose profiles are files below `folder`. The error names the field.
pub fn basis(object: &ResolvedAutoscaler, deployment: &DeploymentSettings, folder: &Path) -> Result<Basis, String> {
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).map_err(|error| error.to_string());
    if let Some(known) = profiles::from_files(&object.profiles, read)? {
        let from = match &known.knowledge {
            Knowledge::Engine(engine) => format!("the engine model {} of its profile", engine.name),
            Knowledge::Profile(profile) => format!("the profile of {}", profile.gpu),
        };
        return Ok(Basis { known: Some(known), said: format!("plans with {from}") });
    }
    let price = object.profiles.first().and_then(|profile| profile.cost_per_hour);
    if let Some(engine) = stand_in(&deployment.command) {
        let said =
            format!("has no profile that is a file; plans with the engine model of its stand-in, {}", engine.name);
        let cost = price.or(Some(f64::from(deployment.gpus_per_replica.max(1))));
        return Ok(Basis { known: Some(Known { knowledge: Knowledge::Engine(Box::new(engine)), cost }), said });
    }
    let rest = match object.strategy {
        ScalingStrategy::Hybrid => "only its metrics decide",
        _ => "the replicas that there are stay",
    };
    let said = format!(
        "nothing is known of the engine, so no plan is made, and {rest}; spec.profiles[].file names an engine model \
         (profile --fit) or a GPU profile"
    );
    Ok(Basis { known: None, said })
}

/// The engine model of a command that runs our own stand-in, by one of the built-in names or a file, with the limits of its
/// arguments.
fn stand_in(command: &[String]) -> Option<EngineSpec> {
    let [program, word, arguments @ ..] = command else { return None };
    if program != OURSELVES || word != "engine" {
        return None;
    }
    let value = |flag: &str| {
        let after = arguments.iter().position(|one| one == flag).and_then(|at| arguments.get(at + 1));
        let joined = || arguments.iter().find_map(|one| one.strip_prefix(flag)?.strip_prefix('='));
        after.map(String::as_str).or_else(joined)
    };
    let mut spec = EngineSpec::builtin(value("--engine").unwrap_or(USUAL_ENGINE))?;
    let number = |flag: &str, usual: u32| value(flag).and_then(|text| text.parse().ok()).unwrap_or(usual);
    spec.max_num_seqs = number("--max-num-seqs", spec.max_num_seqs);
    spec.max_num_batched_tokens = number("--max-num-batched-tokens", spec.max_num_batched_tokens);
    spec.max_model_len = number("--max-model-len", spec.max_model_len);
    spec.validate().is_ok().then_some(spec)
}

/// The folder that a manifest's relative paths are in.
#[must_use]
pub fn folder(file: &str) -> &Path {
    Path::new(file).parent().unwrap_or(Path::new(""))
}

/// What `check` says of the autoscalers of a manifest that plan for the local world: for each its name, and what its plan will
/// rest on, or what is wrong.
#[must_use]
pub fn findings(manifest: &Manifest, folder: &Path) -> Vec<(String, Result<Basis, String>)> {
    let found =
        manifest.autoscalers.iter().filter(|object| object.spec.scaling_strategy.plans()).filter_map(|object| {
            let deployment = manifest.deployment_of(object)?;
            let resolved = resolve(object).ok()?;
            Some((resolved.name.clone(), basis(&resolved, &DeploymentSettings::of(deployment), folder)))
        });
    found.collect()
}

/// The same for one autoscaler that is to run.
pub(crate) fn of(
    object: &ResolvedAutoscaler,
    deployment: &DeploymentSettings,
    folder: &Path,
) -> anyhow::Result<Option<Basis>> {
    if !object.strategy.plans() {
        return Ok(None);
    }
    basis(object, deployment, folder).map(Some).map_err(anyhow::Error::msg).context("plan")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(command: &[&str]) -> Option<EngineSpec> {
        stand_in(&command.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_stand_ins_engine_is_known_by_its_command() {
        let usual = engine(&["aibrix-autoscaler", "engine", "--port", "{port}"]);
        assert_eq!(usual.map(|spec| spec.name), Some("l4-8b".to_owned()));
        for words in [&["--engine", "a100-8b"][..], &["--engine=a100-8b"]] {
            let spec = engine(&[&["aibrix-autoscaler", "engine"], words, &["--max-num-seqs", "7"]].concat());
            assert_eq!(spec.map(|spec| (spec.name, spec.max_num_seqs)), Some(("a100-8b".to_owned(), 7)));
        }
        for other in [&["vllm", "serve"][..], &["aibrix-autoscaler", "engine", "--engine", "mine.yaml"], &["engine"]] {
            assert_eq!(engine(other), None, "{other:?}");
        }
    }
}
