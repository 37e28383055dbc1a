//! What is known of an object's engine: read from its first profile, and again now and then. Must not plan.

use crate::said::said;
use autoscaler_api::v1alpha1::GpuProfile;
use autoscaler_runtime::planning::Known;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout};

/// What was read last.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    /// What it was read for.
    of: Option<GpuProfile>,
    read: Option<Instant>,
    known: Option<Known>,
    problem: Option<String>,
}

/// A profile that was read is read again after this long: a ConfigMap seldom changes, and a thousand objects ask.
const KEPT: Duration = Duration::from_secs(120);
/// One that was not there is looked for again after this long.
const RETRY: Duration = Duration::from_secs(15);
/// Reading takes no longer.
const DEADLINE: Duration = Duration::from_secs(2);
/// The key where the manifest names none.
const KEY: &str = "profile.json";
/// Most bytes of a file; a ConfigMap has no more either.
const MAX_BYTES: u64 = 1 << 20;

impl Profile {
    /// What is known; a profile that has become unreadable stays known as it was.
    pub(crate) fn known(&self) -> Option<&Known> {
        self.known.as_ref()
    }

    /// Whether the manifest names one.
    pub(crate) fn named(&self) -> bool {
        self.of.is_some()
    }

    /// What is wrong with the profile, and what helps.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Reads the first profile where that is due.
    pub(crate) async fn refresh(&mut self, client: &Client, namespace: &str, profiles: &[GpuProfile]) {
        let first = profiles.first();
        if self.of.as_ref() != first {
            *self = Self { of: first.cloned(), ..Self::default() };
        }
        let Some(first) = first else {
            self.problem = Some(
                "spec.profiles is empty, so nothing is known of the engine: name a ConfigMap with an engine model (profile \
                 --fit) or a GPU profile"
                    .to_owned(),
            );
            return;
        };
        let kept = if self.problem.is_none() { KEPT } else { RETRY };
        if self.read.is_some_and(|at| at.elapsed() < kept) {
            return;
        }
        self.read = Some(Instant::now());
        match text(client, namespace, first).await.and_then(|(text, place)| known(&text, &place, first)) {
            Ok(known) => (self.known, self.problem) = (Some(known), None),
            Err(why) => self.problem = Some(format!("spec.profiles[0]: {why}")),
        }
    }
}

/// Where a profile is from, for messages.
enum Place {
    ConfigMap(String, String),
    File(String),
}

fn known(text: &str, place: &Place, profile: &GpuProfile) -> Result<Known, String> {
    let known = Known::from_json(text).map_err(|error| match place {
        Place::ConfigMap(name, key) => format!("ConfigMap {name}: {key:?}: {error}"),
        // A manifest may name any file of the controller's, so nothing of what is in it is told.
        Place::File(path) => format!("file {path}: is neither an engine model nor a GPU profile"),
    })?;
    Ok(Known { cost: profile.cost_per_hour.or(known.cost), ..known })
}

async fn text(client: &Client, namespace: &str, profile: &GpuProfile) -> Result<(String, Place), String> {
    if let Some(from) = &profile.config_map_ref {
        let (name, key) = (&from.name, from.key.as_deref().unwrap_or(KEY));
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let map = timeout(DEADLINE, api.get_opt(name))
            .await
            .map_err(|_| format!("ConfigMap {name}: was not read in time"))?
            .map_err(|error| format!("ConfigMap {name}: {}", said(&error)))?
            .ok_or_else(|| format!("ConfigMap {name}: is not in namespace {namespace}"))?;
        let text = map.data.unwrap_or_default().remove(key);
        let text = text.ok_or_else(|| format!("ConfigMap {name}: has no key {key:?}"))?;
        return Ok((text, Place::ConfigMap(name.clone(), key.to_owned())));
    }
    let path = profile.file.clone().unwrap_or_default();
    let text = timeout(DEADLINE, file(&path)).await.map_err(|_| format!("file {path}: was not read in time"))?;
    Ok((text.map_err(|why| format!("file {path}: {why}"))?, Place::File(path)))
}

async fn file(path: &str) -> Result<String, String> {
    let about = tokio::fs::metadata(path).await.map_err(|error| error.to_string())?;
    if !about.is_file() || about.len() > MAX_BYTES {
        return Err(format!("is no file of at most {MAX_BYTES} bytes"));
    }
    let file = tokio::fs::File::open(path).await.map_err(|error| error.to_string())?;
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text).await.map_err(|error| error.to_string())?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planning::testing::{ENGINE, nobody};

    fn at(file: &std::path::Path) -> GpuProfile {
        serde_json::from_value(serde_json::json!({"gpuType": "A100", "costPerHour": 2.5, "file": file})).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_profile_that_breaks_stays_known_as_it_was_and_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.json");
        std::fs::write(&path, ENGINE).unwrap();
        let (client, mut profile) = (nobody(), Profile::default());
        profile.refresh(&client, "ml", &[at(&path)]).await;
        assert_eq!((profile.known().unwrap().cost, profile.problem()), (Some(2.5), None));
        std::fs::write(&path, "{\"secret\": 1}").unwrap();
        profile.refresh(&client, "ml", &[at(&path)]).await;
        assert_eq!(profile.problem(), None, "it is not read at every tick");
        tokio::time::advance(KEPT).await;
        profile.refresh(&client, "ml", &[at(&path)]).await;
        let problem = profile.problem().unwrap();
        assert!(
            profile.known().is_some() && problem.contains("engine.json") && !problem.contains("secret"),
            "{problem}"
        );
    }

    #[tokio::test]
    async fn what_is_not_there_is_told_with_its_place() {
        let (client, mut profile) = (nobody(), Profile::default());
        profile.refresh(&client, "ml", &[]).await;
        assert!(profile.problem().unwrap().contains("spec.profiles is empty"));
        for path in ["/nowhere/engine.json", "/dev/zero", "/"] {
            profile.refresh(&client, "ml", &[at(path.as_ref())]).await;
            assert!(profile.known().is_none() && profile.problem().unwrap().contains(path));
        }
    }
}
