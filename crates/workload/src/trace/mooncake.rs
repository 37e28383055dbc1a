//! Mooncake's JSONL: `{"timestamp": ms, "input_length", "output_length", "hash_ids": […]}`, one request a line
//! (kvcache-ai/Mooncake `FAST25-release/traces`). A block of 512 tokens whose hash was seen before is a prefix hit.

use super::{TraceError, arrival, bounded_lines};
use crate::Arrival;
use serde::Deserialize;
use std::collections::HashSet;
use std::io::BufRead;
use std::path::PathBuf;

/// Tokens per hashed block in Mooncake's traces.
const BLOCK_TOKENS: u64 = 512;
/// Hashes remembered: an unbounded cache in name, but a hostile file must not fill the memory.
const MAX_HASHES: usize = 20_000_000;

#[derive(Deserialize)]
struct Line {
    timestamp: f64,
    input_length: u64,
    output_length: u64,
    #[serde(default)]
    hash_ids: Vec<i64>,
}

/// Arrivals of a JSONL file.
pub(super) fn arrivals(
    path: PathBuf,
    reader: impl BufRead + Send,
) -> impl Iterator<Item = Result<Arrival, TraceError>> + Send {
    let mut next_line = bounded_lines(reader);
    let mut seen = HashSet::new();
    let (mut text, mut number) = (Vec::new(), 0_u64);
    std::iter::from_fn(move || {
        loop {
            number += 1;
            match next_line(&mut text) {
                Ok(true) if text.trim_ascii().is_empty() => {}
                Ok(true) => break,
                Ok(false) => return None,
                Err(source) => return Some(Err(TraceError::Io { path: path.clone(), source })),
            }
        }
        let parsed = serde_json::from_slice::<Line>(&text).map_err(|error| error.to_string());
        let found = parsed.and_then(|line| {
            let hit = prefix_hit(&line.hash_ids, &mut seen);
            arrival(line.timestamp / 1000.0, line.input_length, line.output_length, hit.min(line.input_length))
        });
        Some(found.map_err(|message| TraceError::Line { path: path.clone(), line: number, message }))
    })
}

/// Tokens of the leading blocks that were seen before; the rest is remembered.
fn prefix_hit(hashes: &[i64], seen: &mut HashSet<i64>) -> u64 {
    let known = hashes.iter().take_while(|hash| seen.contains(hash)).count();
    for &hash in &hashes[known..] {
        if seen.len() < MAX_HASHES {
            seen.insert(hash);
        }
    }
    known as u64 * BLOCK_TOKENS
}
