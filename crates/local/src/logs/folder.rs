//! A temporary folder for logs, removed at the end, and with the next start if the end was violent.
//!
//! A lock tells whether a folder is in use, since the kernel lets go of it however its holder ends. A process id would
//! not do: ids are given away again, and mean nothing outside of their container.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tempfile::TempDir;

const PREFIX: &str = "replica-logs-";
const LOCK: &str = ".lock";

/// The folder, in use as long as this lives.
#[derive(Debug)]
pub(crate) struct TemporaryFolder {
    dir: TempDir,
    _lock: File,
}

impl TemporaryFolder {
    /// Makes a folder in `place`, and removes those there that nobody uses any more.
    pub(crate) fn new(place: &Path) -> io::Result<Self> {
        remove_abandoned(place);
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(place)?;
        // Locked before it gets its name: whoever sees it under that name sees it locked.
        let unnamed = dir.path().join(".lock.new");
        let lock = File::create_new(&unnamed)?;
        lock.lock()?;
        fs::rename(&unnamed, dir.path().join(LOCK))?;
        Ok(Self { dir, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Best effort: what cannot be read or removed stays.
fn remove_abandoned(place: &Path) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let named = entry.file_name().to_string_lossy().starts_with(PREFIX);
        // The place is open to everybody: no link is followed, and nothing of another user is looked at.
        let own = |found: fs::Metadata| found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
        if named && entry.metadata().is_ok_and(own) && is_abandoned(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A folder without a lock is being made, or is not one of these.
fn is_abandoned(folder: &Path) -> bool {
    let Ok(lock) = File::open(folder.join(LOCK)) else { return false };
    !matches!(lock.try_lock(), Err(TryLockError::WouldBlock | TryLockError::Error(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_its_user() {
        let place = tempfile::tempdir().unwrap();
        let folder = TemporaryFolder::new(place.path()).unwrap();
        assert!(folder.path().is_dir());
        drop(folder);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_run_left_is_removed_and_what_is_in_use_or_not_ours_stays() {
        let place = tempfile::tempdir().unwrap();
        let used = TemporaryFolder::new(place.path()).unwrap();
        let left = place.path().join("replica-logs-left");
        fs::create_dir(&left).unwrap();
        fs::write(left.join(LOCK), "").unwrap();
        fs::write(left.join("chat-0.log"), "line").unwrap();
        let strange = place.path().join("replica-logs-strange");
        fs::create_dir(&strange).unwrap();
        let _next = TemporaryFolder::new(place.path()).unwrap();
        assert!(!left.exists());
        assert!(used.path().is_dir() && strange.is_dir());
    }
}
