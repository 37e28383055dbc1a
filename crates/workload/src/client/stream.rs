//! Server-sent events of a streamed answer, split from the bytes as they come.

use serde::Deserialize;
use std::collections::VecDeque;

/// What one event says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunk {
    /// Text came.
    Token,
    /// The number of tokens of the answer, and of the prompt where it is said.
    Usage { answer: u64, prompt: Option<u64> },
    /// The end.
    Done,
    /// The server reports an error inside the stream.
    Error,
    /// Anything else: a role, a comment.
    Other,
}

/// Splits events from parts of a stream.
pub(super) struct Events {
    buffer: Vec<u8>,
    ready: VecDeque<Chunk>,
    limit: usize,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    error: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    delta: Option<Delta>,
}

#[derive(Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    completion_tokens: u64,
    #[serde(default)]
    prompt_tokens: Option<u64>,
}

impl Events {
    pub(super) fn new(limit: usize) -> Self {
        Self { buffer: Vec::new(), ready: VecDeque::new(), limit }
    }

    /// Takes a part. Fails where one event exceeds the limit.
    pub(super) fn push(&mut self, part: &[u8]) -> Result<(), ()> {
        self.buffer.extend_from_slice(part);
        let mut from = 0;
        while let Some(end) = self.buffer[from..].iter().position(|&byte| byte == b'\n') {
            let line = self.buffer[from..from + end].trim_ascii_end();
            if let Some(data) = line.strip_prefix(b"data:") {
                read(data.trim_ascii(), &mut self.ready);
            }
            from += end + 1;
        }
        self.buffer.drain(..from);
        if self.buffer.len() > self.limit { Err(()) } else { Ok(()) }
    }

    pub(super) fn next_chunk(&mut self) -> Option<Chunk> {
        self.ready.pop_front()
    }
}

fn read(data: &[u8], ready: &mut VecDeque<Chunk>) {
    if data == b"[DONE]" {
        ready.push_back(Chunk::Done);
        return;
    }
    let Ok(body) = serde_json::from_slice::<Body>(data) else {
        ready.push_back(Chunk::Other);
        return;
    };
    if body.error.is_some() {
        ready.push_back(Chunk::Error);
        return;
    }
    let text = |choice: &Choice| {
        let content = choice.text.as_ref().or_else(|| choice.delta.as_ref().and_then(|delta| delta.content.as_ref()));
        content.is_some_and(|text| !text.is_empty())
    };
    ready.push_back(if body.choices.iter().any(text) { Chunk::Token } else { Chunk::Other });
    if let Some(usage) = body.usage {
        ready.push_back(Chunk::Usage { answer: usage.completion_tokens, prompt: usage.prompt_tokens });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_however_the_bytes_are_cut() {
        let text = b": hi\n\ndata: {\"choices\":[{\"text\":\"a\"}]}\r\n\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"b\"}}]}\n\n\
data: {\"choices\":[],\"usage\":{\"completion_tokens\":7}}\n\ndata: [DONE]\n\n";
        for cut in 1..text.len() {
            let mut events = Events::new(1 << 16);
            events.push(&text[..cut]).unwrap();
            events.push(&text[cut..]).unwrap();
            let found: Vec<Chunk> = std::iter::from_fn(|| events.next_chunk()).collect();
            assert_eq!(
                found,
                [Chunk::Token, Chunk::Token, Chunk::Other, Chunk::Usage { answer: 7, prompt: None }, Chunk::Done],
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut events = Events::new(10);
        assert_eq!(events.push(b"data: 0123456789"), Err(()));
    }
}
