//! Token counts as engines report them, in a JSON answer or an SSE chunk. Pure.

use serde::Deserialize;

/// Token counts from a `usage` object; either may be missing.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) prompt: Option<u64>,
    pub(crate) output: Option<u64>,
}

/// `prompt_tokens`/`completion_tokens` in completions, chat and embeddings; `input_tokens`/`output_tokens` in responses.
#[derive(Deserialize)]
struct Counts {
    #[serde(alias = "input_tokens")]
    prompt_tokens: Option<u64>,
    #[serde(alias = "output_tokens")]
    completion_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Carrier {
    usage: Option<Counts>,
    /// The responses API nests the final object in its last event.
    response: Option<Nested>,
}

#[derive(Deserialize)]
struct Nested {
    usage: Option<Counts>,
}

/// Finds `usage` in a JSON object; `None` for anything else.
pub(crate) fn find_usage(json: &[u8]) -> Option<Usage> {
    // Cheap refusal of the many chunks that carry none.
    memchr::memmem::find(json, b"\"usage\"")?;
    let carrier: Carrier = serde_json::from_slice(json).ok()?;
    let counts = carrier.usage.or_else(|| carrier.response.and_then(|nested| nested.usage))?;
    Some(Usage { prompt: counts.prompt_tokens, output: counts.completion_tokens })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_found_in_each_api() {
        let chat = br#"{"choices":[],"usage":{"prompt_tokens":5,"total_tokens":12,"completion_tokens":7}}"#;
        assert_eq!(find_usage(chat), Some(Usage { prompt: Some(5), output: Some(7) }));
        let embeddings = br#"{"data":[],"usage":{"prompt_tokens":5,"total_tokens":5}}"#;
        assert_eq!(find_usage(embeddings), Some(Usage { prompt: Some(5), output: None }));
        let responses = br#"{"type":"response.completed","response":{"usage":{"input_tokens":1,"output_tokens":2}}}"#;
        assert_eq!(find_usage(responses), Some(Usage { prompt: Some(1), output: Some(2) }));
    }

    #[test]
    fn absence_and_garbage_are_no_usage() {
        for none in [&b"{\"usage\":null}"[..], b"{}", b"[DONE]", b"{\"usage\":7}", b"\"usage\"", b""] {
            assert_eq!(find_usage(none), None);
        }
    }
}
