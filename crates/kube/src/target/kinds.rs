//! From `apiVersion` and `kind` to what the server serves. Kinds are remembered; what is not there is asked for again after a
//! while, since CRDs are installed later.

use super::error::TargetError;
use kube::Client;
use kube::api::ApiResource;
use kube::core::discovery::{ApiCapabilities, Scope};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A kind that can be a target.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    pub(crate) resource: ApiResource,
    /// Whether `/scale` is served.
    pub(crate) scales: bool,
}

/// By API version and kind: when it was asked for, and what was said.
type Known = BTreeMap<(String, String), (Instant, Result<Kind, TargetError>)>;

/// The kinds that were asked for.
pub(crate) struct Kinds {
    client: Client,
    known: Mutex<Known>,
}

/// What is not served now is asked for again after this long.
const ABSENT_KEPT: Duration = Duration::from_secs(60);
/// What is served is asked for again after this long: a CRD may get its scale subresource later.
const KNOWN_KEPT: Duration = Duration::from_secs(600);
/// Kinds that are remembered; manifests have a handful.
const MAX_KINDS: usize = 256;
/// Discovery takes no longer.
const DEADLINE: Duration = Duration::from_secs(5);

impl Kinds {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, known: Mutex::default() }
    }

    /// The kind of a target, in the named version, else in any that the group is served in.
    pub(crate) async fn find(&self, api_version: &str, kind: &str) -> Result<Kind, TargetError> {
        let key = (api_version.to_owned(), kind.to_owned());
        if let Some((at, found)) = self.known().get(&key) {
            let kept = if found.is_ok() { KNOWN_KEPT } else { ABSENT_KEPT };
            if at.elapsed() < kept {
                return found.clone();
            }
        }
        let asked = tokio::time::timeout(DEADLINE, self.ask(api_version, kind)).await;
        let found = asked.unwrap_or(Err(TargetError::TimedOut));
        // An API server that is away says nothing about kinds.
        if matches!(found, Ok(_) | Err(TargetError::NoKind(_))) {
            let mut known = self.known();
            if known.len() >= MAX_KINDS {
                known.clear();
            }
            known.insert(key, (Instant::now(), found.clone()));
        }
        found
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, api_version: &str, kind: &str) -> Result<Kind, TargetError> {
        let name = format!("{kind} of {api_version}");
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let served = match kube::discovery::group(&self.client, group).await {
            Ok(served) => served,
            Err(kube::Error::Discovery(_)) => return Err(TargetError::NoKind(name)),
            Err(error) => return Err(TargetError::of(&error, &name)),
        };
        let of_version =
            |version: &str| served.versioned_resources(version).into_iter().find(|(resource, _)| resource.kind == kind);
        let found = of_version(version).or_else(|| served.recommended_kind(kind));
        let (resource, capabilities) = found.ok_or_else(|| TargetError::NoKind(name.clone()))?;
        if capabilities.scope != Scope::Namespaced {
            return Err(TargetError::Unusable(format!("{name} is not namespaced, so it cannot be a target")));
        }
        Ok(Kind { scales: scales(&capabilities), resource })
    }
}

fn scales(capabilities: &ApiCapabilities) -> bool {
    capabilities.subresources.iter().any(|(resource, _)| resource.plural == "scale")
}
