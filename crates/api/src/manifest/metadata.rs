//! `metadata`: Kubernetes' fields and no others, since a mistyped `annotations` would lose every setting in it.

use crate::diagnostics::{Diagnostic, nearest, quote};
use crate::shape::{Walk, child, keyed};
use crate::tree::{Node, Value};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use std::collections::{BTreeMap, BTreeSet};

/// What a field of `metadata` holds.
#[derive(Clone, Copy)]
enum Holds {
    Text,
    /// A mapping of strings.
    Texts,
    Whole,
    /// A list of strings.
    Words,
    /// A list of mappings, of no interest here.
    Mappings,
}

/// The fields of `ObjectMeta`.
const FIELDS: [(&str, Holds); 15] = [
    ("annotations", Holds::Texts),
    ("creationTimestamp", Holds::Text),
    ("deletionGracePeriodSeconds", Holds::Whole),
    ("deletionTimestamp", Holds::Text),
    ("finalizers", Holds::Words),
    ("generateName", Holds::Text),
    ("generation", Holds::Whole),
    ("labels", Holds::Texts),
    ("managedFields", Holds::Mappings),
    ("name", Holds::Text),
    ("namespace", Holds::Text),
    ("ownerReferences", Holds::Mappings),
    ("resourceVersion", Holds::Text),
    ("selfLink", Holds::Text),
    ("uid", Holds::Text),
];

/// Reads what is used here and checks the rest.
pub(super) fn metadata(document: &Node, walk: &mut Walk) -> ObjectMeta {
    let mut meta = ObjectMeta::default();
    match document.get("metadata").map(|node| &node.value) {
        Some(Value::Map(entries)) => fields(entries, &mut meta, walk),
        None | Some(Value::Null) => {}
        Some(other) => walk.push(Diagnostic::error("metadata", format!("must be a mapping, not {}", other.kind()))),
    }
    match &meta.name {
        Some(name) if !is_name(name) => {
            let allowed = "lower-case letters, digits, hyphens and dots, at most 253, letters or digits at the ends";
            walk.push(Diagnostic::error("metadata.name", format!("{} is not a name", quote(name))).allowed(allowed));
        }
        None if meta.generate_name.is_none() => walk.push(Diagnostic::error("metadata.name", "is required")),
        _ => {}
    }
    meta
}

fn fields(entries: &[(String, Node)], meta: &mut ObjectMeta, walk: &mut Walk) {
    let mut seen = BTreeSet::new();
    for (key, node) in entries {
        let at = child("metadata", key);
        walk.lines.insert(at.clone(), node.line);
        let Some((_, holds)) = FIELDS.iter().find(|(name, _)| name == key) else {
            unknown(key, &at, walk);
            continue;
        };
        if !seen.insert(key) {
            walk.push(Diagnostic::error(at, "is given twice"));
            continue;
        }
        match (holds, &node.value) {
            // `kubectl create --dry-run` prints a null creationTimestamp.
            (_, Value::Null) => {}
            (Holds::Text, _) => {
                let text = text(node, &at, walk);
                match key.as_str() {
                    "name" => meta.name = text,
                    "namespace" => meta.namespace = text,
                    "generateName" => meta.generate_name = text,
                    "uid" => meta.uid = text,
                    "creationTimestamp" => meta.creation_timestamp = text.and_then(|text| created(&text, &at, walk)),
                    _ => {}
                }
            }
            (Holds::Texts, _) => {
                let texts = texts(node, &at, walk);
                if key == "labels" { meta.labels = Some(texts) } else { meta.annotations = Some(texts) }
            }
            (Holds::Whole, Value::Number(number, _)) if number.is_i64() || number.is_u64() => {}
            (Holds::Words, Value::List(words)) => {
                for (index, word) in words.iter().enumerate() {
                    text(word, &format!("{at}[{index}]"), walk);
                }
            }
            (Holds::Mappings, Value::List(items)) if items.iter().all(|item| matches!(item.value, Value::Map(_))) => {}
            (Holds::Whole, other) => walk.push(wrong(at, "a whole number", other)),
            (Holds::Words, other) => walk.push(wrong(at, "a list of strings", other)),
            (Holds::Mappings, other) => walk.push(wrong(at, "a list of mappings", other)),
        }
    }
}

/// When the object was created; of two that want the same, the older one has it.
fn created(text: &str, path: &str, walk: &mut Walk) -> Option<Time> {
    let time = text.parse().ok().map(Time);
    if time.is_none() {
        let allowed = "RFC 3339, such as 2026-01-05T00:00:00Z";
        walk.push(Diagnostic::error(path, format!("{} is not a time", quote(text))).allowed(allowed));
    }
    time
}

fn wrong(at: String, wanted: &str, value: &Value) -> Diagnostic {
    let message = match value {
        Value::List(_) => format!("must be {wanted}"),
        other => format!("must be {wanted}, not {}", other.kind()),
    };
    Diagnostic::error(at, message)
}

fn unknown(key: &str, at: &str, walk: &mut Walk) {
    let names = FIELDS.map(|(name, _)| name);
    walk.push(match nearest(key, names) {
        Some(name) => Diagnostic::error(at, format!("unknown field; did you mean {name}?")),
        None => Diagnostic::error(at, "unknown field").allowed(names.join(", ")),
    });
}

/// Kubernetes' rule for names of objects (RFC 1123 subdomain).
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.first().copied().is_some_and(plain)
            && bytes.last().copied().is_some_and(plain)
            && bytes.iter().all(|byte| plain(*byte) || *byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// A string; a number or a boolean is refused and taken as its text, so that rules about it are checked in the same run.
pub(super) fn text(node: &Node, path: &str, walk: &mut Walk) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Null => None,
        Value::Number(_, raw) | Value::Bool(_, raw) => {
            walk.push(Diagnostic::error(path, format!("must be a string: write {}", quote(raw))));
            Some(raw.clone())
        }
        other => {
            walk.push(Diagnostic::error(path, format!("must be a string, not {}", other.kind())));
            None
        }
    }
}

fn texts(node: &Node, path: &str, walk: &mut Walk) -> BTreeMap<String, String> {
    let Value::Map(entries) = &node.value else {
        walk.push(Diagnostic::error(path, format!("must be a mapping, not {}", node.value.kind())));
        return BTreeMap::new();
    };
    let mut map = BTreeMap::new();
    for (key, node) in entries {
        let at = keyed(path, key);
        walk.lines.insert(at.clone(), node.line);
        // A null value is an empty one to Kubernetes.
        let value = text(node, &at, walk).unwrap_or_default();
        if map.insert(key.clone(), value).is_some() {
            walk.push(Diagnostic::error(&at, "is given twice"));
        }
    }
    map
}
