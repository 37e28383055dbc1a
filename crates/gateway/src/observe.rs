//! Reads token counts and chunk times off a response while it passes by, without altering or delaying it. Knows bytes
//! and a clock reading that it is given; knows no HTTP body.

use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, header};

use crate::usage::{Usage, find_usage};

/// Longest SSE line kept while its end has not come. Only the part of a line that is split between frames is kept;
/// a longer one still counts as a chunk, its `usage` is not read.
const MAX_PARTIAL_LINE: usize = 64 << 10;
/// Largest JSON answer kept (by reference) to read `usage` at its end. A larger one, a big batch of embeddings say,
/// leaves the counts unknown.
const MAX_JSON_KEPT: usize = 1 << 20;

/// What kind of body is passing.
#[derive(Debug)]
pub(crate) enum Observer {
    Sse(SseObserver),
    Json { frames: Vec<Bytes>, size: usize },
    Opaque,
}

impl Observer {
    /// Chooses by content type; a compressed body is opaque.
    pub(crate) fn for_response(headers: &HeaderMap) -> Self {
        let encoded = headers.get(header::CONTENT_ENCODING).is_some_and(|value| value != "identity");
        let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if encoded {
            Self::Opaque
        } else if essence.eq_ignore_ascii_case("text/event-stream") {
            Self::Sse(SseObserver::default())
        } else if essence.eq_ignore_ascii_case("application/json") {
            Self::Json { frames: Vec::new(), size: 0 }
        } else {
            Self::Opaque
        }
    }

    /// One frame passed at `now`.
    pub(crate) fn frame(&mut self, data: &Bytes, now: Instant) {
        match self {
            Self::Sse(sse) => sse.bytes(data, now),
            Self::Json { frames, size } => {
                *size += data.len();
                if *size > MAX_JSON_KEPT {
                    *self = Self::Opaque;
                } else {
                    frames.push(data.clone());
                }
            }
            Self::Opaque => {}
        }
    }

    /// The body ended, wholly or not: what was seen.
    pub(crate) fn finish(self) -> Seen {
        match self {
            Self::Sse(sse) => sse.finish(),
            Self::Json { frames, .. } => Seen { usage: json_usage(&frames), ..Seen::default() },
            Self::Opaque => Seen::default(),
        }
    }
}

fn json_usage(frames: &[Bytes]) -> Option<Usage> {
    match frames {
        [] => None,
        [only] => find_usage(only),
        many => find_usage(&many.concat()),
    }
}

/// What an observer learnt.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) stream: bool,
    pub(crate) usage: Option<Usage>,
    /// SSE data events, the end mark `[DONE]` aside.
    pub(crate) chunks: u64,
    pub(crate) first_chunk: Option<Instant>,
    pub(crate) last_chunk: Option<Instant>,
}

/// Splits an event stream into lines across frames.
#[derive(Debug, Default)]
pub(crate) struct SseObserver {
    partial: Vec<u8>,
    /// The partial line outgrew its limit and only its beginning is kept.
    truncated: bool,
    seen: Seen,
}

impl SseObserver {
    fn bytes(&mut self, mut data: &[u8], now: Instant) {
        while let Some(end) = memchr::memchr(b'\n', data) {
            let (line, rest) = (&data[..end], &data[end + 1..]);
            if self.partial.is_empty() {
                self.seen.line(line, now);
            } else {
                self.keep(line);
                self.seen.line(&self.partial, now);
                self.partial.clear();
                self.truncated = false;
            }
            data = rest;
        }
        self.keep(data);
    }

    fn keep(&mut self, data: &[u8]) {
        let room = MAX_PARTIAL_LINE.saturating_sub(self.partial.len());
        self.truncated |= data.len() > room;
        self.partial.extend_from_slice(&data[..data.len().min(room)]);
    }

    fn finish(mut self) -> Seen {
        self.seen.stream = true;
        self.seen
    }
}

impl Seen {
    fn line(&mut self, line: &[u8], now: Instant) {
        let Some(data) = line.strip_prefix(b"data:") else { return };
        let data = data.trim_ascii();
        if data.is_empty() || data == b"[DONE]" {
            return;
        }
        if let Some(usage) = find_usage(data) {
            self.usage = Some(usage);
            // The chunk that carries only `usage` holds no token and comes after the last one.
            if carries_no_choice(data) {
                return;
            }
        }
        self.chunks += 1;
        self.first_chunk.get_or_insert(now);
        self.last_chunk = Some(now);
    }
}

fn carries_no_choice(data: &[u8]) -> bool {
    memchr::memmem::find(data, b"\"choices\":[]").is_some() || memchr::memmem::find(data, b"\"choices\": []").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = ": ping\r\n\r\ndata: {\"choices\":[{\"text\":\"a\"}],\"usage\":null}\r\n\r\n\
        data: {\"choices\":[{\"text\":\"b\"}]}\n\n\
        data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";

    fn observe(pieces: impl Iterator<Item = Bytes>) -> Seen {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "text/event-stream; charset=utf-8".parse().unwrap());
        let mut observer = Observer::for_response(&headers);
        let now = Instant::now();
        pieces.for_each(|piece| observer.frame(&piece, now));
        observer.finish()
    }

    #[test]
    fn usage_is_read_wherever_frames_split_the_stream() {
        let whole = observe(std::iter::once(Bytes::from(STREAM)));
        assert_eq!((whole.chunks, whole.usage), (2, Some(Usage { prompt: Some(9), output: Some(2) })));
        for split in 0..=STREAM.len() {
            let (left, right) = STREAM.split_at(split);
            let seen = observe([Bytes::from(left), Bytes::from(right)].into_iter());
            assert_eq!((seen.chunks, seen.usage), (whole.chunks, whole.usage), "split at {split}");
        }
        let bytewise = observe(STREAM.bytes().map(|byte| Bytes::from(vec![byte])));
        assert_eq!((bytewise.chunks, bytewise.usage), (whole.chunks, whole.usage));
    }

    #[test]
    fn a_line_without_end_is_counted_and_not_kept_whole() {
        let mut sse = SseObserver::default();
        let now = Instant::now();
        sse.bytes(b"data: {", now);
        for _ in 0..1000 {
            sse.bytes(&[b'x'; 1024], now);
        }
        assert!(sse.partial.len() <= MAX_PARTIAL_LINE && sse.truncated);
        sse.bytes(b"\ndata: {}\n", now);
        assert_eq!(sse.finish().chunks, 2);
    }

    #[test]
    fn usage_of_a_json_answer_is_read_across_frames_and_large_answers_are_let_go() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        let mut observer = Observer::for_response(&headers);
        for piece in [&br#"{"usage":{"prompt_to"#[..], br#"kens":3,"completion_tokens":4}}"#] {
            observer.frame(&Bytes::from(piece), Instant::now());
        }
        assert_eq!(observer.finish().usage, Some(Usage { prompt: Some(3), output: Some(4) }));

        let mut observer = Observer::for_response(&headers);
        observer.frame(&Bytes::from(vec![b' '; MAX_JSON_KEPT + 1]), Instant::now());
        assert!(matches!(observer, Observer::Opaque));
    }

    #[test]
    fn a_compressed_answer_is_not_read() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        headers.insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
        assert!(matches!(Observer::for_response(&headers), Observer::Opaque));
    }
}
