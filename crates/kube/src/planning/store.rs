//! What a model's planning has learnt, in a ConfigMap of its own beside the lease. What cannot be used is reported and left out.

use crate::said::said;
use crate::target::FIELD_MANAGER as MANAGER;
use autoscaler_core::fleet::Plan;
use autoscaler_planning::State;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams};
use kube::{Api, Client};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::time::Duration;

/// A model's memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Saved {
    format: u32,
    /// Which model, as names are hashed.
    key: String,
    /// The targets that the state is of, in its order.
    pub(crate) targets: Vec<String>,
    pub(crate) state: State,
    /// The last plan: it stays a floor until the next one.
    pub(crate) plan: Option<Plan>,
}

const FORMAT: u32 = 1;
const KEY: &str = "planning.json.gz";
/// A ConfigMap holds 1 MiB; a day of one model is some 100 KiB.
const MAX_BYTES: usize = 768 << 10;
/// The most that it unpacks to: what is larger was not written by us.
const MAX_UNPACKED_BYTES: u64 = 32 << 20;
/// A request takes no longer.
const DEADLINE: Duration = Duration::from_secs(10);

impl Saved {
    pub(crate) fn new(key: &str, targets: Vec<String>, state: State, plan: Option<Plan>) -> Self {
        Self { format: FORMAT, key: key.to_owned(), targets, state, plan }
    }

    pub(crate) fn pack(&self) -> Result<Vec<u8>, String> {
        let text = serde_json::to_vec(self).map_err(|error| error.to_string())?;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&text).map_err(|error| error.to_string())?;
        let packed = encoder.finish().map_err(|error| error.to_string())?;
        if packed.len() > MAX_BYTES {
            return Err(format!("has {} bytes (allowed: {MAX_BYTES})", packed.len()));
        }
        Ok(packed)
    }

    pub(crate) fn unpack(bytes: &[u8]) -> Result<Self, String> {
        let mut text = Vec::new();
        let mut decoder = GzDecoder::new(bytes).take(MAX_UNPACKED_BYTES + 1);
        decoder.read_to_end(&mut text).map_err(|error| error.to_string())?;
        if text.len() as u64 > MAX_UNPACKED_BYTES {
            return Err(format!("unpacks to more than {MAX_UNPACKED_BYTES} bytes"));
        }
        let saved: Self = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        if saved.format != FORMAT {
            return Err(format!("has format {}, and {FORMAT} is read", saved.format));
        }
        Ok(saved)
    }
}

/// A place for one model's memory.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    api: Api<ConfigMap>,
    name: String,
    key: String,
}

impl Store {
    /// The place of a model: `prefix` is the lease's name, so that shards have their own.
    pub(crate) fn new(client: &Client, home: &str, prefix: &str, key: &str) -> Self {
        let api = Api::namespaced(client.clone(), home);
        Self { api, name: format!("{prefix}-plan-{:016x}", hash(key)), key: key.to_owned() }
    }

    /// What was saved; none where nothing was.
    pub(crate) async fn load(&self) -> Result<Option<Saved>, String> {
        let wrong = |why: String| format!("{}: {why}", self.name);
        let found = tokio::time::timeout(DEADLINE, self.api.get_opt(&self.name))
            .await
            .map_err(|_| wrong("was not read in time".to_owned()))?
            .map_err(|error| wrong(said(&error)))?;
        let Some(map) = found else { return Ok(None) };
        let bytes = map.binary_data.unwrap_or_default().remove(KEY).ok_or_else(|| wrong(format!("has no {KEY}")))?;
        let saved = Saved::unpack(&bytes.0).map_err(wrong)?;
        if saved.key != self.key {
            return Err(wrong(format!("is of {}", saved.key)));
        }
        Ok(Some(saved))
    }

    /// Saves.
    pub(crate) async fn save(&self, packed: Vec<u8>) -> Result<(), String> {
        let map = ConfigMap {
            metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
            binary_data: Some(BTreeMap::from([(KEY.to_owned(), ByteString(packed))])),
            ..ConfigMap::default()
        };
        let params = PatchParams::apply(MANAGER).force();
        let put = tokio::time::timeout(DEADLINE, self.api.patch(&self.name, &params, &Patch::Apply(&map))).await;
        put.map_err(|_| format!("{}: was not written in time", self.name))?
            .map_err(|error| format!("{}: {}", self.name, said(&error)))?;
        Ok(())
    }

    /// Forgets, where every object of the model is gone.
    pub(crate) async fn remove(&self) {
        match tokio::time::timeout(DEADLINE, self.api.delete(&self.name, &DeleteParams::default())).await {
            Ok(Ok(_)) => {}
            Ok(Err(kube::Error::Api(status))) if status.is_not_found() => {}
            Ok(Err(error)) => tracing::warn!("{}: was not removed: {}", self.name, said(&error)),
            Err(_) => tracing::warn!("{}: was not removed in time", self.name),
        }
    }
}

/// FNV-1a (Fowler, Noll, Vo): the same in every version, unlike the standard library's.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_place_is_the_same_in_every_version() {
        assert_eq!(hash(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash("a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn damage_is_an_error() {
        for bytes in [&[][..], b"text", &[0x1f, 0x8b]] {
            assert!(Saved::unpack(bytes).is_err());
        }
        let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
        for _ in 0..=MAX_UNPACKED_BYTES >> 20 {
            bomb.write_all(&vec![b' '; 1 << 20]).unwrap();
        }
        assert!(Saved::unpack(&bomb.finish().unwrap()).unwrap_err().contains("unpacks to more"));
    }
}
