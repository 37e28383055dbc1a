//! Profiles from files and folders. Must not know what they say.

use crate::config::read_text;
use std::path::{Path, PathBuf};

/// Files of one folder that are read.
const MAX_FILES: usize = 1000;

/// The texts of all files and of the JSON files of all folders, each with its path; an error where one cannot be read.
pub(crate) fn profiles(paths: &[PathBuf]) -> Vec<(String, Result<String, String>)> {
    let mut texts = Vec::new();
    for path in paths {
        match listed(path) {
            Ok(files) => texts.extend(files.into_iter().map(|file| (shown(&file), read(&file)))),
            Err(error) => texts.push((shown(path), Err(error.to_string()))),
        }
    }
    texts
}

fn read(path: &Path) -> Result<String, String> {
    read_text(path).map_err(|error| format!("{error:#}"))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn listed(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !std::fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(path)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|kind| kind == "json"))
        .take(MAX_FILES)
        .collect();
    files.sort();
    Ok(files)
}
