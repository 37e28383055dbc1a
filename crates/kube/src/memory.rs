//! What the objects remember (windows, recommendations, changes), kept in ConfigMaps, so that a restart or a change of leader
//! decides as if there had been none. What cannot be used is reported and left out: the object then begins as a fresh one does.

use crate::pods::Measured;
use crate::said::said;
use crate::target::FIELD_MANAGER as MANAGER;
use autoscaler_core::Timestamp;
use autoscaler_core::state::FleetState;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ObjectMeta, Patch, PatchParams};
use kube::{Api, Client};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Write};
use std::time::Duration;

/// What one object remembers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// When it was so.
    pub(crate) at: Timestamp,
    pub(crate) state: FleetState,
    /// How long its replicas took to start.
    #[serde(default)]
    pub(crate) startup: Measured,
}

/// What objects remember, by uid.
pub(crate) type Memories = BTreeMap<String, Memory>;

/// ConfigMaps that the objects are spread over: 1,000 objects with three windows each are some 60 in each.
const SHARDS: u64 = 16;
/// A ConfigMap holds 1 MiB; half of it leaves room for the server's own records of it.
const MAX_SHARD_BYTES: usize = 512 << 10;
/// The most that a shard unpacks to: what is larger was not written by us.
const MAX_UNPACKED_BYTES: u64 = 64 << 20;
/// The format of a shard.
const FORMAT: u32 = 1;
const KEY: &str = "memory.json.gz";
/// A request takes no longer.
const DEADLINE: Duration = Duration::from_secs(10);

#[derive(Serialize, Deserialize)]
struct Shard {
    format: u32,
    objects: Memories,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) memories: Memories,
    /// The shards that there are; what is in them may have to be taken out.
    pub(crate) written: Written,
    /// What could not be used, and why.
    pub(crate) problems: Vec<String>,
}

/// Reads what was saved under a name.
pub(crate) async fn load(client: &Client, namespace: &str, name: &str) -> Loaded {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let mut loaded = Loaded::default();
    for shard in 0..SHARDS {
        let name = shard_name(name, shard);
        let found = tokio::time::timeout(DEADLINE, api.get_opt(&name)).await;
        let config = match found {
            Ok(Ok(Some(config))) => config,
            Ok(Ok(None)) => continue,
            Ok(Err(error)) => {
                loaded.problems.push(format!("{name}: {}", said(&error)));
                continue;
            }
            Err(_) => {
                loaded.problems.push(format!("{name}: was not read in time"));
                continue;
            }
        };
        loaded.written.insert(shard, 0);
        let bytes = config.binary_data.unwrap_or_default().remove(KEY).map(|bytes| bytes.0);
        match bytes.ok_or_else(|| format!("has no {KEY}")).and_then(|bytes| unpack(&bytes)) {
            Ok(memories) => loaded.memories.extend(memories),
            Err(why) => loaded.problems.push(format!("{name}: {why}")),
        }
    }
    loaded
}

/// What each shard was written with last, as a hash; a shard that never held anything is not made.
pub(crate) type Written = BTreeMap<u64, u64>;

/// Saves what the objects remember, where it has changed; answers how many bytes it is. Objects beyond a shard's size are left
/// out, and said.
pub(crate) async fn save(
    client: &Client,
    namespace: &str,
    name: &str,
    memories: &Memories,
    written: &mut Written,
) -> Result<usize, String> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let mut shards: BTreeMap<u64, Vec<_>> = (0..SHARDS).map(|at| (at, Vec::new())).collect();
    for entry in memories {
        shards.entry(shard_of(entry.0)).or_default().push(entry);
    }
    let mut bytes = 0;
    for (shard, entries) in shards {
        let name = shard_name(name, shard);
        if entries.is_empty() && !written.contains_key(&shard) {
            continue;
        }
        let (packed, left_out) = pack(&entries)?;
        if left_out > 0 {
            tracing::warn!(name, left_out, "the memory of some objects has no room, and would be lost in a restart");
        }
        bytes += packed.len();
        let mut hasher = DefaultHasher::new();
        packed.hash(&mut hasher);
        let hash = hasher.finish();
        if written.get(&shard) == Some(&hash) {
            continue;
        }
        let config = ConfigMap {
            metadata: ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() },
            binary_data: Some(BTreeMap::from([(KEY.to_owned(), ByteString(packed))])),
            ..ConfigMap::default()
        };
        let params = PatchParams::apply(MANAGER).force();
        let put = tokio::time::timeout(DEADLINE, api.patch(&name, &params, &Patch::Apply(&config))).await;
        put.map_err(|_| format!("{name}: was not written in time"))?
            .map_err(|error| format!("{name}: {}", said(&error)))?;
        written.insert(shard, hash);
    }
    Ok(bytes)
}

fn shard_name(name: &str, shard: u64) -> String {
    format!("{name}-memory-{shard}")
}

/// An object's shard. A hasher of other versions may differ; an object is then found in its old shard all the same.
fn shard_of(uid: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    uid.hash(&mut hasher);
    hasher.finish() % SHARDS
}

/// Packs as many objects as fit; those that were looked at last come first.
fn pack(entries: &[(&String, &Memory)]) -> Result<(Vec<u8>, usize), String> {
    let mut kept = entries.to_vec();
    kept.sort_by_key(|(_, memory)| std::cmp::Reverse(memory.at));
    loop {
        let objects = kept.iter().map(|(uid, memory)| ((*uid).clone(), (*memory).clone())).collect();
        let text = serde_json::to_vec(&Shard { format: FORMAT, objects }).map_err(|error| error.to_string())?;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&text).map_err(|error| error.to_string())?;
        let packed = encoder.finish().map_err(|error| error.to_string())?;
        if packed.len() <= MAX_SHARD_BYTES {
            return Ok((packed, entries.len() - kept.len()));
        }
        // By the share that is too much, and one more, so that it ends.
        let fits = kept.len() * MAX_SHARD_BYTES / packed.len();
        kept.truncate(fits.min(kept.len() - 1));
    }
}

fn unpack(bytes: &[u8]) -> Result<Memories, String> {
    let mut text = Vec::new();
    let mut decoder = GzDecoder::new(bytes).take(MAX_UNPACKED_BYTES + 1);
    decoder.read_to_end(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_UNPACKED_BYTES {
        return Err(format!("unpacks to more than {MAX_UNPACKED_BYTES} bytes"));
    }
    let shard: Shard = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    if shard.format != FORMAT {
        return Err(format!("has format {}, and {FORMAT} is read", shard.format));
    }
    Ok(shard.objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(at: i64) -> Memory {
        let state = autoscaler_core::Fleet::new(Vec::new(), Vec::new()).state();
        Memory { at: Timestamp(at), state, startup: Measured::default() }
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let entries: Memories = (0..40).map(|at| (format!("uid-{at}"), memory(at))).collect();
        let (packed, left_out) = pack(&entries.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!((unpack(&packed).unwrap(), left_out), (entries, 0));
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic() {
        let (packed, _) = pack(&[(&"u".to_owned(), &memory(1))]).unwrap();
        for bytes in [&[][..], b"text", &packed[..packed.len() / 2]] {
            assert!(unpack(bytes).is_err());
        }
        let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
        for _ in 0..=MAX_UNPACKED_BYTES >> 20 {
            bomb.write_all(&vec![b' '; 1 << 20]).unwrap();
        }
        assert!(unpack(&bomb.finish().unwrap()).unwrap_err().contains("unpacks to more"));
    }
}
