//! Whether a program can be run, asked before a guard is started for it.
//!
//! The guard would find out too, but only an exit code would tell. Best effort: what cannot be decided here is left to
//! the system.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::launch::Launch;

/// Why the program of `launch` cannot be run, as far as that can be seen.
pub(crate) fn check(launch: &Launch) -> io::Result<()> {
    let Some(program) = launch.command.first() else { return Ok(()) };
    let refuse = |kind, why: &str| Err(io::Error::new(kind, format!("{program}: {why}")));
    let places = places(program, launch);
    if places.is_empty() || places.iter().any(|place| runs(place)) {
        return Ok(());
    }
    if places.iter().any(|place| place.is_file()) {
        return refuse(io::ErrorKind::PermissionDenied, "may not be executed");
    }
    refuse(io::ErrorKind::NotFound, "no such program")
}

/// Where the system will look; empty if that is not known.
fn places(program: &str, launch: &Launch) -> Vec<PathBuf> {
    // Joining an absolute path gives that path.
    let from_there = |path: &Path| launch.working_dir.as_deref().unwrap_or(Path::new("")).join(path);
    if program.contains('/') {
        return vec![from_there(Path::new(program))];
    }
    let path = launch.env.get("PATH").map(Into::into).or_else(|| std::env::var_os("PATH")).unwrap_or_default();
    std::env::split_paths(&path).map(|folder| from_there(&folder).join(program)).collect()
}

fn runs(place: &Path) -> bool {
    place.is_file() && access(place, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn launch(program: &str, path: Option<&str>, working_dir: Option<&Path>) -> Launch {
        Launch {
            command: vec![program.to_owned()],
            env: path.map(|path| BTreeMap::from([("PATH".to_owned(), path.to_owned())])).unwrap_or_default(),
            working_dir: working_dir.map(Path::to_owned),
        }
    }

    fn said(launch: &Launch) -> String {
        check(launch).map_or_else(|error| error.to_string(), |()| "runs".to_owned())
    }

    #[test]
    fn a_program_is_looked_for_where_the_system_will() {
        assert_eq!(said(&launch("sh", None, None)), "runs");
        assert_eq!(said(&launch("/bin/sh", None, None)), "runs");
        assert_eq!(said(&launch("sh", Some("/nowhere"), None)), "sh: no such program");
        assert_eq!(said(&launch("no-such-engine", None, None)), "no-such-engine: no such program");
        assert_eq!(said(&launch("bin/sh", None, Some(Path::new("/")))), "runs");
        assert_eq!(said(&launch("./sh", None, Some(Path::new("/")))), "./sh: no such program");
    }

    #[test]
    fn a_file_that_may_not_be_executed_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("engine"), "").unwrap();
        assert_eq!(said(&launch("./engine", None, Some(dir.path()))), "./engine: may not be executed");
        assert_eq!(said(&launch("/", None, None)), "/: no such program", "a folder is none");
    }
}
