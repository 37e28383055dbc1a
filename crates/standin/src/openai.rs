//! What clients send: the parts of OpenAI's requests that matter to an engine without a model. The rest is ignored.

use crate::error::ApiError;
use crate::words;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Body of `/v1/completions`.
#[derive(Debug, Deserialize)]
pub(crate) struct CompletionBody {
    pub(crate) prompt: Prompt,
    #[serde(flatten)]
    pub(crate) common: Common,
}

/// Body of `/v1/chat/completions`.
#[derive(Debug, Deserialize)]
pub(crate) struct ChatBody {
    pub(crate) messages: Vec<Message>,
    pub(crate) max_completion_tokens: Option<u32>,
    #[serde(flatten)]
    pub(crate) common: Common,
}

/// Body of `/v1/embeddings`.
#[derive(Debug, Deserialize)]
pub(crate) struct EmbeddingBody {
    pub(crate) model: Option<String>,
    pub(crate) input: Prompt,
}

/// Body of `/tokenize`.
#[derive(Debug, Deserialize)]
pub(crate) struct TokenizeBody {
    pub(crate) model: Option<String>,
    pub(crate) prompt: String,
}

/// What both kinds of completion share.
#[derive(Debug, Deserialize)]
pub(crate) struct Common {
    pub(crate) model: Option<String>,
    pub(crate) max_tokens: Option<u32>,
    pub(crate) stream: Option<bool>,
    pub(crate) stream_options: Option<StreamOptions>,
    pub(crate) n: Option<u32>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct StreamOptions {
    pub(crate) include_usage: Option<bool>,
}

/// A prompt in any of OpenAI's forms.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a string, a list of one string, or a list of token ids is allowed")]
pub(crate) enum Prompt {
    Text(String),
    Texts(Vec<String>),
    Ids(Vec<u32>),
    IdLists(Vec<Vec<u32>>),
}

impl Prompt {
    /// Its tokens. Fails for several prompts in one request: a client that wants load sends several requests.
    pub(crate) fn tokens(&self, param: &'static str) -> Result<u32, ApiError> {
        let one = || ApiError::bad(param, format!("{param}: exactly one prompt in a request is supported"));
        let tokens = match self {
            Self::Text(text) => words::count(text),
            Self::Texts(texts) => match texts.as_slice() {
                [text] => words::count(text),
                _ => return Err(one()),
            },
            Self::Ids(ids) => length(ids),
            Self::IdLists(lists) => match lists.as_slice() {
                [ids] => length(ids),
                _ => return Err(one()),
            },
        };
        Ok(tokens.max(1))
    }
}

fn length(ids: &[u32]) -> u32 {
    u32::try_from(ids.len()).unwrap_or(u32::MAX)
}

#[derive(Debug, Deserialize)]
pub(crate) struct Message {
    content: Option<Content>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a message's content is a string or a list of parts")]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
struct Part {
    text: Option<String>,
}

/// Tokens of a conversation, at least 1.
pub(crate) fn chat_tokens(messages: &[Message]) -> u32 {
    let of = |message: &Message| match &message.content {
        None => 0,
        Some(Content::Text(text)) => words::count(text),
        Some(Content::Parts(parts)) => {
            parts.iter().filter_map(|part| part.text.as_deref()).map(words::count).fold(0, u32::saturating_add)
        }
    };
    messages.iter().map(of).fold(0, u32::saturating_add).max(1)
}

/// Reads a JSON body; what is wrong with it is said in a 400.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::bad_body(format!("request body: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(prompt: &str) -> Result<u32, ApiError> {
        read::<CompletionBody>(format!("{{\"prompt\": {prompt}, \"unknown\": 1}}").as_bytes())?.prompt.tokens("prompt")
    }

    #[test]
    fn a_prompt_counts_its_words_or_ids_and_at_least_one_token() {
        assert_eq!(tokens("\"one two\\n three\"").unwrap(), 3);
        assert_eq!(tokens("[\"one two\"]").unwrap(), 2);
        assert_eq!(tokens("[5, 6, 7, 8]").unwrap(), 4);
        assert_eq!(tokens("[[5, 6]]").unwrap(), 2);
        assert_eq!(tokens("\"\"").unwrap(), 1);
        assert!(tokens("[\"a\", \"b\"]").is_err());
        assert!(tokens("7").is_err());
    }

    #[test]
    fn a_conversation_counts_the_words_of_all_its_messages_and_parts() {
        let body = br#"{"messages": [{"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "a b c"}, {"type": "image_url"}]},
            {"role": "assistant"}]}"#;
        assert_eq!(chat_tokens(&read::<ChatBody>(body).unwrap().messages), 5);
    }
}
