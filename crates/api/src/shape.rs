//! A document against a schema: every wrong type, unknown field, missing field and limit, each with its path and line,
//! and a value without the mistakes, so that the rules above a schema can be checked in the same run. Must not know any particular field.

use crate::diagnostics::{Diagnostic, Tally, nearest, quote};
use crate::tree::{Node, Value};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet};

/// Fields of the spec that AIBrix has after the version that this project follows, and what to write instead.
const LATER: [(&str, &str); 3] = [
    ("circuitBreaker", "a source that fails holds what runs; fallback says what to run instead"),
    ("predictive", "leave it out"),
    ("scheduledBounds", "write schedules"),
];

/// What a walk found.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// Every mistake, up to the limits of a file.
    pub(crate) found: Vec<Diagnostic>,
    /// How many there are, those beyond the limits too.
    pub(crate) tally: Tally,
    /// The line of each field.
    pub(crate) lines: BTreeMap<String, usize>,
}

impl Walk {
    fn error(&mut self, path: &str, message: impl Into<String>) {
        self.push(Diagnostic::error(path, message));
    }

    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        if self.tally.admits(diagnostic.severity) {
            self.found.push(diagnostic);
        }
    }

    /// The value at `path`; none where it is of no use at all.
    pub(crate) fn value(&mut self, node: &Node, schema: &JSONSchemaProps, path: &str) -> Option<Json> {
        self.lines.insert(path.to_owned(), node.line);
        if schema.x_kubernetes_int_or_string == Some(true) {
            return self.int_or_string(node, path);
        }
        match schema.type_.as_deref() {
            Some("object") => self.object(node, schema, path),
            Some("array") => self.array(node, schema, path),
            Some("string") => self.string(node, schema, path),
            Some("integer") => self.integer(node, schema, path),
            Some("number") => self.number(node, path),
            Some("boolean") => self.boolean(node, path),
            _ => Some(node.to_json()),
        }
    }

    fn object(&mut self, node: &Node, schema: &JSONSchemaProps, path: &str) -> Option<Json> {
        let Value::Map(entries) = &node.value else {
            self.error(path, format!("must be a mapping, not {}", node.value.kind()));
            return None;
        };
        let empty = BTreeMap::new();
        let properties = schema.properties.as_ref().unwrap_or(&empty);
        let others = match &schema.additional_properties {
            Some(JSONSchemaPropsOrBool::Schema(values)) => Some(values.as_ref()),
            _ => None,
        };
        let (mut object, mut seen) = (Map::new(), BTreeSet::new());
        for (key, member) in entries {
            let at = if others.is_some() { keyed(path, key) } else { child(path, key) };
            if !seen.insert(key) {
                self.lines.insert(at.clone(), member.line);
                self.error(&at, "is given twice");
                continue;
            }
            match properties.get(key).or(others) {
                Some(_) if member.value == Value::Null => self.null(&at, member),
                Some(schema) => {
                    if let Some(value) = self.value(member, schema, &at) {
                        object.insert(key.clone(), value);
                    }
                }
                None => self.unknown(&at, key, member, properties),
            }
        }
        let count = i64::try_from(object.len()).unwrap_or(i64::MAX);
        if let Some(most) = schema.max_properties.filter(|most| count > *most) {
            self.error(path, format!("has {count} entries, more than the {most} allowed"));
        }
        for name in schema.required.iter().flatten() {
            let Some(schema) = properties.get(name).filter(|_| !object.contains_key(name)) else { continue };
            if !seen.contains(name) || node.get(name).is_some_and(|member| member.value == Value::Null) {
                let at = child(path, name);
                let missing = Diagnostic::error(&at, "is required");
                self.push(match allowed(schema) {
                    Some(allowed) => missing.allowed(allowed),
                    None => missing,
                });
            }
            object.insert(name.clone(), placeholder(schema));
        }
        Some(Json::Object(object))
    }

    fn null(&mut self, path: &str, member: &Node) {
        self.lines.insert(path.to_owned(), member.line);
        self.push(Diagnostic::warning(path, "null is read as absent"));
    }

    fn unknown(&mut self, at: &str, key: &str, member: &Node, known: &BTreeMap<String, JSONSchemaProps>) {
        self.lines.insert(at.to_owned(), member.line);
        let names = || known.keys().map(String::as_str);
        let later = LATER.iter().find(|(field, _)| at.strip_prefix("spec.") == Some(field));
        let finding = match nearest(key, names()) {
            _ if later.is_some() => {
                let advice = later.map_or("", |(_, advice)| advice);
                Diagnostic::error(at, format!("a field of later AIBrix versions, which is not read: {advice}"))
            }
            Some(name) => Diagnostic::error(at, format!("unknown field; did you mean {name}?")),
            None => Diagnostic::error(at, "unknown field").allowed(names().collect::<Vec<_>>().join(", ")),
        };
        self.push(finding);
    }

    fn array(&mut self, node: &Node, schema: &JSONSchemaProps, path: &str) -> Option<Json> {
        let Value::List(items) = &node.value else {
            self.error(path, format!("must be a list, not {}", node.value.kind()));
            return None;
        };
        let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
        if schema.min_items.is_some_and(|least| count < least) {
            self.push(Diagnostic::error(path, "must not be empty").allowed("at least one entry, or leave it out"));
        }
        if let Some(most) = schema.max_items.filter(|most| count > *most) {
            self.error(path, format!("has {count} entries, more than the {most} allowed"));
        }
        let Some(JSONSchemaPropsOrArray::Schema(each)) = &schema.items else { return Some(node.to_json()) };
        // A list that is far too long is not walked to its end, and that is said. Wrong entries keep their place, for
        // the paths' sake.
        if items.len() > MAX_ITEMS {
            self.error(path, format!("only the first {MAX_ITEMS} of its {count} entries are looked at"));
        }
        let item = |(i, item)| self.value(item, each, &format!("{path}[{i}]")).unwrap_or_else(|| placeholder(each));
        Some(items.iter().take(MAX_ITEMS).enumerate().map(item).collect())
    }

    fn string(&mut self, node: &Node, schema: &JSONSchemaProps, path: &str) -> Option<Json> {
        let text = match &node.value {
            Value::Text(text) => text,
            Value::Number(_, raw) | Value::Bool(_, raw) => {
                self.error(path, format!("must be a string: write {}", quote(raw)));
                return None;
            }
            other => {
                self.error(path, format!("must be a string, not {}", other.kind()));
                return None;
            }
        };
        if let Some(allowed) = &schema.enum_ {
            let names: Vec<&str> = allowed.iter().filter_map(|value| value.0.as_str()).collect();
            if !names.contains(&text.as_str()) {
                let hint = nearest(text, names.iter().copied()).map(|name| format!("; did you mean {name}?"));
                let message = format!("{} is not one of the values{}", quote(text), hint.unwrap_or_default());
                self.push(Diagnostic::error(path, message).allowed(names.join(", ")));
                return None;
            }
        }
        if schema.min_length.is_some_and(|least| least > 0) && text.is_empty() {
            self.error(path, "must not be empty");
        }
        if let Some(most) = schema.max_length.filter(|most| text.chars().count() as u128 > most.unsigned_abs().into()) {
            self.error(path, format!("is longer than the {most} characters allowed"));
        }
        Some(Json::String(text.clone()))
    }

    fn integer(&mut self, node: &Node, schema: &JSONSchemaProps, path: &str) -> Option<Json> {
        let whole = match &node.value {
            Value::Number(number, _) => number.as_i64().or_else(|| number.as_f64().and_then(as_whole)),
            _ => None,
        };
        let Some(whole) = whole else {
            return self.not_a_number(node, path, "a whole number");
        };
        self.octal(node, path);
        let (least, most) = limits(schema);
        if whole < least || whole > most {
            self.push(Diagnostic::error(path, format!("{whole} is out of range")).allowed(range(schema)));
            return None;
        }
        Some(whole.into())
    }

    fn number(&mut self, node: &Node, path: &str) -> Option<Json> {
        match &node.value {
            Value::Number(number, _) => {
                self.octal(node, path);
                Some(Json::Number(number.clone()))
            }
            _ => self.not_a_number(node, path, "a number"),
        }
    }

    /// A leading zero: decimal here and in JSON's sense, octal to Kubernetes' reader of YAML 1.1.
    fn octal(&mut self, node: &Node, path: &str) {
        let Value::Number(number, raw) = &node.value else { return };
        let Some(there) = octal(raw).filter(|there| number.as_i64() != Some(*there)) else { return };
        let message = format!("{raw} is {number} here and {there} in Kubernetes");
        self.push(Diagnostic::warning(path, message).allowed(format!("{number} or {there}, without a leading zero")));
    }

    fn not_a_number(&mut self, node: &Node, path: &str, wanted: &str) -> Option<Json> {
        match &node.value {
            Value::Text(text) if text.parse::<i64>().is_ok() => {
                self.error(path, format!("must be {wanted}: write {text}, without quotes"));
            }
            Value::Text(text) => self.error(path, format!("must be {wanted}, not {}", quote(text))),
            Value::Number(_, raw) => self.error(path, format!("must be {wanted}, not {raw}")),
            other => self.error(path, format!("must be {wanted}, not {}", other.kind())),
        }
        None
    }

    fn boolean(&mut self, node: &Node, path: &str) -> Option<Json> {
        if let Value::Bool(value, _) = &node.value {
            return Some((*value).into());
        }
        self.push(
            Diagnostic::error(path, format!("must be a boolean, not {}", node.value.kind())).allowed("true, false"),
        );
        None
    }

    /// A whole number or text. A decimal number is taken as its text: only an API server minds.
    fn int_or_string(&mut self, node: &Node, path: &str) -> Option<Json> {
        match &node.value {
            Value::Text(text) => Some(Json::String(text.clone())),
            Value::Number(number, _) if number.as_i64().is_some_and(|whole| i32::try_from(whole).is_ok()) => {
                self.octal(node, path);
                Some(Json::Number(number.clone()))
            }
            Value::Number(_, raw) => {
                self.push(Diagnostic::warning(
                    path,
                    format!("Kubernetes takes only a string here: write {}", quote(raw)),
                ));
                Some(Json::String(raw.clone()))
            }
            other => {
                self.error(path, format!("must be a number or a string, not {}", other.kind()));
                None
            }
        }
    }
}

/// Entries of a list that are looked at; several times the longest that any schema allows.
const MAX_ITEMS: usize = 4_096;

/// `spec` + `maxReplicas`.
pub(crate) fn child(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// `metadata.annotations` + a key of its own making.
pub(crate) fn keyed(path: &str, key: &str) -> String {
    format!("{path}[{key}]")
}

#[allow(clippy::cast_possible_truncation, reason = "checked to be whole and within range")]
fn as_whole(value: f64) -> Option<i64> {
    (value.fract() == 0.0 && value.abs() < 9e15).then_some(value as i64)
}

/// The range of an integer, from its format and its limits.
#[allow(clippy::cast_possible_truncation, reason = "limits in the schema are small whole numbers")]
fn limits(schema: &JSONSchemaProps) -> (i64, i64) {
    let (least, most) = match schema.format.as_deref() {
        Some("int32") => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN, i64::MAX),
    };
    (schema.minimum.map_or(least, |least| least as i64), schema.maximum.map_or(most, |most| most as i64))
}

/// The value of a number with a leading zero in YAML 1.1, if that makes it octal (`08` is decimal there too).
fn octal(raw: &str) -> Option<i64> {
    let (sign, digits) = match raw.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, raw.strip_prefix('+').unwrap_or(raw)),
    };
    let digits = digits.strip_prefix('0')?.replace('_', "");
    i64::from_str_radix(&digits, 8).ok().map(|value| sign * value)
}

/// The range in words. Every whole number of a manifest is a count, so where the schema has no lower limit it is 0.
fn range(schema: &JSONSchemaProps) -> String {
    let (least, most) = limits(schema);
    let least = least.max(0);
    match (schema.minimum, schema.maximum) {
        (Some(_), None) => format!("{least} or more"),
        _ => format!("{least} to {most}"),
    }
}

/// What a field takes, in words, where that is short.
fn allowed(schema: &JSONSchemaProps) -> Option<String> {
    let values = schema.enum_.as_ref()?;
    Some(values.iter().filter_map(|value| value.0.as_str()).collect::<Vec<_>>().join(", "))
}

/// A value of the schema's type in place of a required one that is missing or wrong. Numbers are as large as they may
/// be, so that a missing upper bound is not below a lower one.
fn placeholder(schema: &JSONSchemaProps) -> Json {
    match schema.type_.as_deref() {
        Some("object") => {
            let empty = BTreeMap::new();
            let properties = schema.properties.as_ref().unwrap_or(&empty);
            let required = schema.required.iter().flatten();
            required
                .filter_map(|name| Some((name.clone(), placeholder(properties.get(name)?))))
                .collect::<Map<_, _>>()
                .into()
        }
        Some("array") => Json::Array(Vec::new()),
        Some("string") => match schema.enum_.as_ref().and_then(|values| values.last()) {
            Some(value) => value.0.clone(),
            None => Json::String(String::new()),
        },
        Some("integer") => limits(schema).1.into(),
        Some("number") => 1.into(),
        Some("boolean") => false.into(),
        _ => Json::Null,
    }
}
