//! Reads an input from JSON or YAML. Errors name the field and, where the parser knows it, the line.

use super::input::Input;
use super::run::DecideError;

/// Reads an input. JSON is told by its first character.
pub fn parse(text: &str) -> Result<Input, DecideError> {
    let trimmed = text.trim_start_matches('\u{feff}').trim_start();
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

fn at(path: String, message: &impl ToString) -> DecideError {
    let path = if path.is_empty() || path == "." { "input".to_owned() } else { path };
    DecideError::Form { path, message: message.to_string() }
}
