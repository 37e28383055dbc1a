//! Reads an input from JSON or YAML. Errors name the field and, where the parser knows it, the line.

use super::input::{Input, Settings, Tick};
use super::run::DecideError;

/// Reads an input. JSON is told by its first character.
pub fn parse(text: &str) -> Result<Input, DecideError> {
    let trimmed = text.trim_start_matches('\u{feff}').trim_start();
    if trimmed.starts_with(RECORDING) {
        return recording(trimmed);
    }
    if trimmed.starts_with('{') {
        let mut json = serde_json::Deserializer::from_str(trimmed);
        let input = serde_path_to_error::deserialize(&mut json)
            .map_err(|error| at(error.path().to_string(), &error.inner()))?;
        json.end().map_err(|error| at(String::new(), &error))?;
        return Ok(input);
    }
    // By way of a JSON value, so that both forms have the same errors with the same paths.
    let value: serde_json::Value = serde_saphyr::from_str(trimmed).map_err(|error| match error.without_snippet() {
        serde_saphyr::Error::MultipleDocuments { .. } => at(
            String::new(),
            &"several documents; allowed: one, with `autoscaler` and `ticks` (`check` and `up` read manifests)",
        ),
        _ => at(String::new(), &error),
    })?;
    serde_path_to_error::deserialize(value).map_err(|error| at(error.path().to_string(), &error.inner()))
}

/// How a recording begins; see [`crate::record`].
const RECORDING: &str = "{\"recording\":";

#[derive(serde::Deserialize)]
struct Header {
    recording: u32,
    epoch: String,
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Recorded {
    Autoscaler { autoscaler: serde_json::Value },
    Tick(Box<Tick>),
}

/// Reads a recording. Of a manifest that changed while it was made, the last one counts. A last line that is cut off, as by
/// a crash, is left out.
fn recording(text: &str) -> Result<Input, DecideError> {
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line)).peekable();
    let (_, first) = lines.next().unwrap_or((1, ""));
    let header: Header = serde_json::from_str(first).map_err(|error| at("line 1".to_owned(), &error))?;
    if header.recording != crate::record::VERSION {
        let ours = crate::record::VERSION;
        return Err(at("recording".to_owned(), &format!("version {}; this program reads {ours}", header.recording)));
    }
    let mut autoscalers: std::collections::BTreeMap<String, serde_json::Value> = std::collections::BTreeMap::new();
    let mut ticks = Vec::new();
    while let Some((number, line)) = lines.next() {
        match serde_json::from_str::<Recorded>(line) {
            Ok(Recorded::Autoscaler { autoscaler }) => {
                let name = autoscaler["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                autoscalers.insert(name, autoscaler);
            }
            Ok(Recorded::Tick(tick)) => ticks.push(*tick),
            Err(_) if lines.peek().is_none() && !text.ends_with('\n') => {}
            Err(error) => return Err(at(format!("line {number}"), &error)),
        }
    }
    // Objects of a controller write beside each other.
    ticks.sort_by(|a: &Tick, b: &Tick| a.at.total_cmp(&b.at));
    Ok(Input {
        autoscaler: None,
        autoscalers: Some(autoscalers.into_values().collect()),
        epoch: Some(header.epoch),
        settings: Settings::default(),
        history: None,
        pools: Vec::new(),
        ticks,
        recorded: true,
    })
}

fn at(path: String, message: &impl ToString) -> DecideError {
    let path = if path.is_empty() || path == "." { "input".to_owned() } else { path };
    DecideError::Form { path, message: message.to_string() }
}
