//! What the gateway needs to know of a JSON request: the model, and how large the prompt is. Pure; everything else in
//! the body is skipped without being stored.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::error::Refusal;

/// Characters per token, the usual rule of thumb for English text.
const CHARS_PER_TOKEN: u64 = 4;

/// What was learnt from a request body.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Inspected {
    /// The `model` field.
    pub(crate) model: Option<String>,
    /// Prompt size in tokens and whether that is an estimate (it is not where the prompt came as token ids).
    pub(crate) prompt: Option<(u64, bool)>,
    /// Whether a stream is asked for.
    pub(crate) stream: bool,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(default)]
    messages: Size,
    #[serde(default)]
    prompt: Size,
    #[serde(default)]
    input: Size,
    #[serde(default)]
    stream: Option<Flag>,
}

/// A field that should be true or false; anything else is the engine's to refuse.
#[derive(Deserialize)]
#[serde(untagged)]
enum Flag {
    Is(bool),
    Other(IgnoredAny),
}

/// Reads a body that should be a JSON object; anything else is refused.
pub(crate) fn inspect_json(body: &[u8]) -> Result<Inspected, Refusal> {
    // serde would read an array as the fields in order.
    if !starts_like_object(body) {
        return Err(Refusal::bad_request("malformed_json", "the request body must be a JSON object"));
    }
    let fields: Fields<'_> = serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request("malformed_json", format!("the request body is not valid: {error}")))?;
    let Size { chars, ids } = fields.messages.plus(fields.prompt).plus(fields.input);
    let prompt = (chars + ids > 0).then(|| (chars.div_ceil(CHARS_PER_TOKEN) + ids, chars > 0));
    let stream = matches!(fields.stream, Some(Flag::Is(true)));
    Ok(Inspected { model: fields.model.map(Cow::into_owned), prompt, stream })
}

/// True if the first character that is not white space opens an object.
pub(crate) fn starts_like_object(body: &[u8]) -> bool {
    body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}

/// Text and token ids inside a prompt of any of OpenAI's shapes: a string, strings, ids, messages, content parts.
#[derive(Debug, Default, Clone, Copy)]
struct Size {
    chars: u64,
    ids: u64,
}

impl Size {
    fn plus(self, other: Self) -> Self {
        Self { chars: self.chars + other.chars, ids: self.ids + other.ids }
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl<'de> Visitor<'de> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("text, token ids or messages")
    }

    fn visit_str<E>(self, text: &str) -> Result<Size, E> {
        Ok(Size { chars: text.chars().count() as u64, ids: 0 })
    }

    fn visit_u64<E>(self, _: u64) -> Result<Size, E> {
        Ok(Size { chars: 0, ids: 1 })
    }

    fn visit_i64<E>(self, _: i64) -> Result<Size, E> {
        Ok(Size::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Size, E> {
        Ok(Size::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Size, E> {
        Ok(Size::default())
    }

    fn visit_unit<E>(self) -> Result<Size, E> {
        Ok(Size::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Size, A::Error> {
        let mut size = Size::default();
        while let Some(item) = items.next_element::<Size>()? {
            size = size.plus(item);
        }
        Ok(size)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Size, A::Error> {
        let mut size = Size::default();
        while let Some(key) = fields.next_key::<Cow<'_, str>>()? {
            // Roles, names and inline images are not prompt text.
            if matches!(&*key, "content" | "text") {
                size = size.plus(fields.next_value::<Size>()?);
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(body: &str) -> Option<(u64, bool)> {
        inspect_json(body.as_bytes()).unwrap().prompt
    }

    #[test]
    fn the_model_is_found_among_fields_that_are_skipped() {
        let body = br#" {"tools":[{"x":{"model":"no"}}],"model":"llama","stream":true,"prompt":"12345678"}"#;
        let expected = Inspected { model: Some("llama".into()), prompt: Some((2, true)), stream: true };
        assert_eq!(inspect_json(body).unwrap(), expected);
    }

    #[test]
    fn the_prompt_is_sized_in_each_of_openais_shapes() {
        assert_eq!(prompt(r#"{"prompt":["1234","5678"]}"#), Some((2, true)));
        assert_eq!(prompt(r#"{"prompt":[11,12,13]}"#), Some((3, false)), "token ids are exact");
        assert_eq!(prompt(r#"{"messages":[{"role":"user","content":"12345"}]}"#), Some((2, true)));
        let parts = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"1234"},
            {"type":"image_url","image_url":{"url":"data:AAAAAAAAAAAAAAAAAAAA"}}]}]}"#;
        assert_eq!(prompt(parts), Some((1, true)), "an image is not text");
        assert_eq!(prompt(r#"{"input":"1234"}"#), Some((1, true)));
        assert_eq!(prompt(r#"{"model":"m"}"#), None);
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        for bad in ["", "[]", "[\"m\"]", "{", "null", "{\"model\":3}", "{\"model\":\"a\",\"model\":\"b\"}"] {
            assert_eq!(inspect_json(bad.as_bytes()).unwrap_err().status, 400, "{bad}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
        let body = format!("{{\"prompt\":{}", "[".repeat(1_000_000));
        assert!(inspect_json(body.as_bytes()).is_err());
        let skipped = format!("{{\"x\":{}", "[".repeat(1_000_000));
        assert!(inspect_json(skipped.as_bytes()).is_err());
    }

    #[test]
    fn escaped_names_are_read() {
        assert_eq!(inspect_json(br#"{"model":"a\u0062"}"#).unwrap().model.as_deref(), Some("ab"));
    }
}
