//! A document as it stands in its file: values with the lines they are on, duplicate keys and all, before any type.
//! Both YAML and JSON become this. Must not know which fields exist.

mod json;
mod yaml;

use serde_json::{Map, Number};

/// Bytes of a file. A cluster refuses objects above 1.5 MiB; a file may hold several.
pub const MAX_FILE_BYTES: usize = 4 << 20;
/// Values of a file, aliases expanded, so that a few lines of aliases cannot fill the memory.
pub const MAX_NODES: usize = 200_000;
/// Bytes of text of a file, aliases expanded.
pub const MAX_TEXT_BYTES: usize = 16 << 20;
/// Nesting. A manifest needs a dozen; walks recurse, and the stack is finite.
pub const MAX_DEPTH: usize = 64;
/// Documents of a file, and objects of its lists.
pub const MAX_DOCUMENTS: usize = 10_000;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Its line, from 1; 0 where unknown (JSON).
    pub line: usize,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A boolean, and how it was written.
    Bool(bool, String),
    /// A number, and how it was written.
    Number(Number, String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping in the order of the file; a key may occur twice.
    Map(Vec<(String, Node)>),
}

/// Why a file could not be read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The line, from 1; 0 where unknown.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl Broken {
    fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

/// The documents of a file, up to the first place that is not YAML or JSON, and what was wrong there. `json` says that
/// the file is called JSON, so that its mistakes are named as JSON's.
pub fn parse(text: &str, json: bool) -> (Vec<Node>, Option<Broken>) {
    if text.len() > MAX_FILE_BYTES {
        return (Vec::new(), Some(Broken::new(0, format!("the file is larger than {MAX_FILE_BYTES} bytes"))));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Some(inside) = text.trim_start().strip_prefix('{') else {
        return if json && !separated(text) { json::parse(text) } else { yaml::parse(text) };
    };
    // JSON is read as JSON, since its escapes and tabs are not all YAML's.
    let (documents, broken) = json::parse(text);
    if broken.is_none() {
        return (documents, None);
    }
    // A flow mapping of YAML starts alike, but seldom with a quoted key; and `---` may stand between JSON documents.
    let meant_as_json = json || inside.trim_start().starts_with('"');
    if meant_as_json && !separated(text) {
        return (documents, broken);
    }
    let (as_yaml, still_broken) = yaml::parse(text);
    if still_broken.is_none() { (as_yaml, None) } else { (documents, broken) }
}

/// Whether YAML's separator of documents stands on a line of its own.
fn separated(text: &str) -> bool {
    text.lines().any(|line| line.trim_end() == "---")
}

impl Node {
    /// The member of a mapping (the last of its name, as Kubernetes takes it).
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().rev().find(|(name, _)| name == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// Its text, if it is text.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The same as plain JSON.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value, _) => (*value).into(),
            Value::Number(number, _) => number.clone().into(),
            Value::Text(text) => text.clone().into(),
            Value::List(items) => items.iter().map(Node::to_json).collect(),
            Value::Map(entries) => {
                entries.iter().map(|(key, node)| (key.clone(), node.to_json())).collect::<Map<_, _>>().into()
            }
        }
    }
}

impl Value {
    /// What it is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(..) => "a boolean",
            Self::Number(..) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}
