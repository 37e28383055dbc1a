//! The endpoints that make the engine work: completions, chat, embeddings.

use crate::api::App;
use crate::error::ApiError;
use crate::openai::{self, ChatBody, Common, CompletionBody, EmbeddingBody};
use crate::stream::{Answer, Form};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use engine_model::Request;
use http::{HeaderMap, StatusCode};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

/// OpenAI's default for completions.
const DEFAULT_COMPLETION_TOKENS: u32 = 16;
/// Length of the stand-in's embeddings.
const EMBEDDING_LENGTH: u32 = 16;
/// Claims how many leading prompt tokens the prefix cache holds.
const PREFIX_HEADER: &str = "x-prefix-hit-tokens";

/// A body within the limit, or the answer for one that is not.
pub(crate) type Received = Result<Bytes, BytesRejection>;

pub(crate) fn received(body: Received) -> Result<Bytes, ApiError> {
    body.map_err(|rejection| ApiError::status(rejection.status(), rejection.body_text()))
}

pub(crate) async fn completions(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Received,
) -> Result<Response, ApiError> {
    let body: CompletionBody = openai::read(&received(body)?)?;
    let input = body.prompt.tokens("prompt")?;
    let output = body.common.max_tokens.unwrap_or(DEFAULT_COMPLETION_TOKENS);
    app.generate(Form::Completion, &headers, &body.common, input, output).await
}

pub(crate) async fn chat(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Received,
) -> Result<Response, ApiError> {
    let body: ChatBody = openai::read(&received(body)?)?;
    if body.messages.is_empty() {
        return Err(ApiError::bad("messages", "messages: at least one message is needed"));
    }
    let input = openai::chat_tokens(&body.messages);
    let output = body.max_completion_tokens.or(body.common.max_tokens).unwrap_or_else(|| {
        // Unlike an explicit wish, the default gives way to the context length.
        let room = app.config.spec.max_model_len.saturating_sub(input).max(1);
        app.config.default_output_tokens.min(room)
    });
    app.generate(Form::Chat, &headers, &body.common, input, output).await
}

pub(crate) async fn embeddings(State(app): State<Arc<App>>, body: Received) -> Result<Response, ApiError> {
    let body: EmbeddingBody = openai::read(&received(body)?)?;
    app.admit(body.model.as_deref())?;
    let input = body.input.tokens("input")?;
    let request = Request { id: 0, input_tokens: input, output_tokens: 1, prefix_hit_tokens: 0 };
    let mut running = app.core.submit(request, false)?;
    let ended = running.progress.wait_for(|progress| progress.end.is_some()).await;
    if !ended.is_ok_and(|progress| progress.tokens == 1) {
        return Err(ApiError::unavailable("the engine stopped before the request had finished"));
    }
    // Only has to be a vector of unit length that depends on the input.
    let angle = f64::from(input);
    let scale = (2.0 / f64::from(EMBEDDING_LENGTH)).sqrt();
    let pairs = (0..EMBEDDING_LENGTH / 2).flat_map(|k| <[f64; 2]>::from((angle * f64::from(k + 1)).sin_cos()));
    let vector: Vec<f64> = pairs.map(|value: f64| value * scale).collect();
    let answer = json!({
        "object": "list", "model": app.config.model,
        "data": [{"object": "embedding", "index": 0, "embedding": vector}],
        "usage": {"prompt_tokens": input, "total_tokens": input},
    });
    Ok(Json(answer).into_response())
}

impl App {
    /// Refuses what is not for this engine, or not now.
    pub(crate) fn admit(&self, model: Option<&str>) -> Result<(), ApiError> {
        if self.draining.load(Ordering::Acquire) {
            return Err(ApiError::unavailable("the engine is shutting down"));
        }
        match model {
            Some(asked) if asked != self.config.model => Err(ApiError::unknown_model(asked, &self.config.model)),
            _ => Ok(()),
        }
    }

    async fn generate(
        &self,
        form: Form,
        headers: &HeaderMap,
        common: &Common,
        input: u32,
        output: u32,
    ) -> Result<Response, ApiError> {
        self.admit(common.model.as_deref())?;
        if output == 0 {
            return Err(ApiError::bad("max_tokens", "max_tokens: at least 1 is needed"));
        }
        if common.n.is_some_and(|n| n != 1) {
            return Err(ApiError::bad("n", "n: only 1 is supported"));
        }
        let prefix = prefix_hit(headers)?;
        let request = Request { id: 0, input_tokens: input, output_tokens: output, prefix_hit_tokens: prefix };
        let stream = common.stream.unwrap_or(false);
        let running = self.core.submit(request, stream)?;
        let number = self.answers.fetch_add(1, Ordering::Relaxed);
        let answer = Answer {
            form,
            id: format!("{}-{number}", if form == Form::Chat { "chatcmpl" } else { "cmpl" }),
            created: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            model: self.config.model.clone(),
            prompt_tokens: input,
            cached_tokens: prefix.min(input - 1) / self.config.spec.block_size * self.config.spec.block_size,
            usage: common.stream_options.as_ref().and_then(|options| options.include_usage).unwrap_or(false),
        };
        if stream {
            return Ok(answer.stream(running, Arc::clone(&self.faults)));
        }
        let whole = answer.whole(running).await?;
        // An engine that began to hang meanwhile does not answer this one either.
        self.faults.until_responsive().await;
        Ok(Json(whole).into_response())
    }
}

fn prefix_hit(headers: &HeaderMap) -> Result<u32, ApiError> {
    let Some(value) = headers.get(PREFIX_HEADER) else { return Ok(0) };
    let tokens = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    tokens.ok_or_else(|| {
        ApiError::status(StatusCode::BAD_REQUEST, format!("{PREFIX_HEADER}: a number of tokens is allowed"))
    })
}
