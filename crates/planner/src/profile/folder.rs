//! Reads profiles from files and folders of them.

use super::Profile;
use crate::problem::ProblemError;
use std::path::{Path, PathBuf};

/// Largest profile in bytes: a full grid of a thousand points each way would be larger than anybody measures.
const MAX_BYTES: u64 = 64 << 20;
/// Most profiles of a folder.
const MAX_FILES: usize = 1000;

/// The profile of a file, or those of a folder's `.json` files in the order of their names. An error's path is the file, then the
/// field.
pub fn read_profiles(path: &Path) -> Result<Vec<Profile>, ProblemError> {
    if !path.is_dir() {
        return Ok(vec![read(path)?]);
    }
    let entries = std::fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = entries.map_err(|error| wrong(path, &error.to_string()))?;
    let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|kind| kind == "json"));
    files.sort();
    if files.is_empty() || files.len() > MAX_FILES {
        return Err(wrong(path, &format!("{} .json files; allowed: 1 to {MAX_FILES}", files.len())));
    }
    files.iter().map(|file| read(file)).collect()
}

fn read(file: &Path) -> Result<Profile, ProblemError> {
    let size = std::fs::metadata(file).map_err(|error| wrong(file, &error.to_string()))?.len();
    if size > MAX_BYTES {
        return Err(wrong(file, &format!("has {size} bytes; allowed: at most {MAX_BYTES}")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| wrong(file, &error.to_string()))?;
    let named = |error: ProblemError| wrong(file, &format!("{}: {}", error.path, error.message));
    Profile::from_json(&text).map_err(named)
}

fn wrong(file: &Path, message: &str) -> ProblemError {
    ProblemError { path: file.display().to_string(), message: message.to_owned() }
}
