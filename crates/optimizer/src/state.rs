//! The state file: what survives a restart. Written whole beside the old one, which it then replaces.

use crate::service::Remembered;
use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// The version that is written, and read.
const VERSION: u32 = 1;
/// The largest file that is read, in bytes. A model with a full histogram and history has about a megabyte.
const MAX_BYTES: u64 = 1 << 30;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Saved<T> {
    version: u32,
    models: T,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// Reads a file; none where there is none. Fails where it is of another version or no state, and leaves it as it is.
pub(crate) fn read(path: &Path) -> anyhow::Result<Option<BTreeMap<String, Remembered>>> {
    let name = || path.display().to_string();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(name),
    };
    ensure!(file.metadata().with_context(name)?.is_file(), "{}: is no regular file", path.display());
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text).with_context(name)?;
    ensure!(text.len() as u64 <= MAX_BYTES, "{}: larger than {} MiB", path.display(), MAX_BYTES >> 20);
    let version: Version = serde_json::from_str(&text).with_context(|| format!("{}: is no state", path.display()))?;
    if version.version != VERSION {
        bail!("{}: is of version {}; this program reads version {VERSION}", path.display(), version.version);
    }
    // A model that cannot be read does not cost the others theirs.
    let saved: Saved<BTreeMap<String, serde_json::Value>> = serde_json::from_str(&text).with_context(name)?;
    let mut models = BTreeMap::new();
    for (model, value) in saved.models {
        match serde_json::from_value(value) {
            Ok(remembered) => _ = models.insert(model, remembered),
            Err(error) => tracing::warn!(model, %error, "its saved state cannot be read; it begins anew"),
        }
    }
    Ok(Some(models))
}

/// Writes the file, durably and as a whole: a crash or a full disk leaves the old one.
pub(crate) fn write(path: &Path, models: &BTreeMap<String, Remembered>) -> anyhow::Result<()> {
    let beside = beside(path);
    let written = write_beside(path, &beside, models);
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written.with_context(|| format!("{}: cannot be saved; the last one that could stays", path.display()))
}

fn write_beside(path: &Path, beside: &Path, models: &BTreeMap<String, Remembered>) -> anyhow::Result<()> {
    let text = serde_json::to_vec(&Saved { version: VERSION, models })?;
    let mut file = File::create(beside)?;
    file.write_all(&text)?;
    file.sync_all()?;
    std::fs::rename(beside, path)?;
    // The new name is durable only with its folder.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()?;
    Ok(())
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// Where a file that cannot be read is put, so that it is not written over.
pub(crate) fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".unread");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_and_what_is_no_state_are_told_and_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        assert!(read(&path).unwrap().is_none(), "no file is no error");
        for (text, part) in [("{\"version\":2,\"models\":{}}", "version 2"), ("{}", "no state"), ("\u{0}", "no state")]
        {
            std::fs::write(&path, text).unwrap();
            let error = format!("{:#}", read(&path).unwrap_err());
            assert!(error.contains(part), "{error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        let text = "{\"version\":1,\"models\":{\"m\":{\"odd\":1}}}";
        std::fs::write(&path, text).unwrap();
        assert!(read(&path).unwrap().unwrap().is_empty(), "a model that cannot be read is left out");
    }

    #[test]
    fn a_disk_that_is_full_leaves_the_old_file() {
        if !Path::new("/dev/full").exists() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        write(&path, &BTreeMap::new()).unwrap();
        let old = std::fs::read(&path).unwrap();
        // Every write to it ends in ENOSPC.
        std::os::unix::fs::symlink("/dev/full", beside(&path)).unwrap();
        let error = format!("{:#}", write(&path, &BTreeMap::new()).unwrap_err());
        assert!(error.contains("cannot be saved") && error.contains("No space left"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), old);
        // Space has come back.
        write(&path, &BTreeMap::new()).unwrap();
    }
}
