//! Answers: a stream of server-sent events while tokens become due, or one JSON document at the end.

use crate::core::{End, Running};
use crate::error::ApiError;
use crate::faults::Faults;
use crate::words;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;

/// Which of the two answers is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Completion,
    Chat,
}

/// What an answer needs beside its tokens.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) form: Form,
    pub(crate) id: String,
    /// Unix time, s.
    pub(crate) created: u64,
    pub(crate) model: String,
    pub(crate) prompt_tokens: u32,
    pub(crate) cached_tokens: u32,
    /// Whether a stream ends with the usage.
    pub(crate) usage: bool,
}

impl Answer {
    fn frame(&self, object: &str, choices: &Value) -> Value {
        json!({"id": self.id, "object": object, "created": self.created, "model": self.model, "choices": choices})
    }

    fn usage(&self, tokens: u32) -> Value {
        json!({
            "prompt_tokens": self.prompt_tokens, "completion_tokens": tokens,
            "total_tokens": u64::from(self.prompt_tokens) + u64::from(tokens),
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens},
        })
    }

    /// The whole answer, once `running` has ended.
    pub(crate) async fn whole(self, mut running: Running) -> Result<Value, ApiError> {
        let ended = running.progress.wait_for(|progress| progress.end.is_some()).await.map(|progress| *progress);
        let cut = || ApiError::unavailable("the engine stopped before the request had finished");
        let progress = ended.map_err(|_| cut())?;
        if progress.end != Some(End::Length) {
            return Err(cut());
        }
        let text = words::text(0, progress.tokens);
        let (object, choice) = match self.form {
            Form::Completion => {
                ("text_completion", json!({"index": 0, "text": text, "logprobs": null, "finish_reason": "length"}))
            }
            Form::Chat => {
                let message = json!({"role": "assistant", "content": text});
                (
                    "chat.completion",
                    json!({"index": 0, "message": message, "logprobs": null, "finish_reason": "length"}),
                )
            }
        };
        let mut answer = self.frame(object, &json!([choice]));
        answer["usage"] = self.usage(progress.tokens);
        Ok(answer)
    }

    /// The answer as server-sent events; each holds the tokens that became due since the one before.
    pub(crate) fn stream(self, running: Running, faults: Arc<Faults>) -> Response {
        let state = Streaming { answer: self, running, faults, sent: 0, over: false };
        let events = futures_util::stream::unfold(state, |mut state| async move {
            let event = state.next().await?;
            Some((event, state))
        });
        let mut response = Response::new(Body::from_stream(events));
        let headers = response.headers_mut();
        headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/event-stream; charset=utf-8"));
        headers.insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("no-cache"));
        response
    }

    fn chunk(&self, from: u32, to: u32, last: bool) -> Value {
        let reason = last.then_some("length");
        let text = words::text(from, to);
        match self.form {
            Form::Completion => {
                let choice = json!({"index": 0, "text": text, "logprobs": null, "finish_reason": reason});
                self.frame("text_completion", &json!([choice]))
            }
            Form::Chat => {
                let choice = json!({"index": 0, "delta": {"content": text}, "logprobs": null, "finish_reason": reason});
                self.frame("chat.completion.chunk", &json!([choice]))
            }
        }
    }

    fn role(&self) -> Value {
        let choice = json!({"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null});
        self.frame("chat.completion.chunk", &json!([choice]))
    }

    fn closing_usage(&self, tokens: u32) -> Value {
        let object = if self.form == Form::Chat { "chat.completion.chunk" } else { "text_completion" };
        let mut value = self.frame(object, &json!([]));
        value["usage"] = self.usage(tokens);
        value
    }
}

struct Streaming {
    answer: Answer,
    running: Running,
    faults: Arc<Faults>,
    sent: u32,
    over: bool,
}

impl Streaming {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if self.over {
            return None;
        }
        let sent = self.sent;
        let news = self.running.progress.wait_for(|progress| progress.tokens > sent || progress.end.is_some()).await;
        let Ok(progress) = news.map(|progress| *progress) else { return Some(Err(self.cut())) };
        self.faults.until_responsive().await;
        if progress.end == Some(End::Aborted) {
            return Some(Err(self.cut()));
        }
        Some(Ok(self.events(progress.tokens, progress.end.is_some())))
    }

    fn events(&mut self, tokens: u32, last: bool) -> Bytes {
        let mut text = String::new();
        if self.sent == 0 && self.answer.form == Form::Chat {
            event(&mut text, &self.answer.role());
        }
        event(&mut text, &self.answer.chunk(self.sent, tokens, last));
        self.sent = tokens;
        if last {
            self.over = true;
            if self.answer.usage {
                event(&mut text, &self.answer.closing_usage(tokens));
            }
            text.push_str("data: [DONE]\n\n");
        }
        Bytes::from(text)
    }

    /// Breaks the connection off, so that nobody takes half an answer for a whole one.
    fn cut(&mut self) -> io::Error {
        self.over = true;
        io::Error::new(io::ErrorKind::ConnectionAborted, "the engine stopped")
    }
}

fn event(text: &mut String, value: &Value) {
    use std::fmt::Write as _;
    // Writing to a string cannot fail.
    let _ = write!(text, "data: {value}\n\n");
}
