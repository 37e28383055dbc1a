//! YAML to [`Node`]s: several documents, anchors and merge keys within a budget, plain scalars resolved as Kubernetes'
//! reader resolves them (YAML 1.1 booleans, so that an unquoted `on` is told apart from a string).

use super::{Broken, MAX_DEPTH, MAX_DOCUMENTS, MAX_NODES, MAX_TEXT_BYTES, Node, Value};
use serde_json::Number;
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Every document of the text, up to the first mistake.
pub(super) fn parse(text: &str) -> (Vec<Node>, Option<Broken>) {
    let mut composer =
        Composer { events: Parser::new_from_str(text), anchors: BTreeMap::new(), nodes: 0, text_bytes: 0, line: 0 };
    let mut documents = Vec::new();
    loop {
        match composer.document() {
            Ok(Some(_)) if documents.len() == MAX_DOCUMENTS => {
                return (documents, Some(Broken::new(composer.line, format!("more than {MAX_DOCUMENTS} documents"))));
            }
            Ok(Some(node)) => documents.push(node),
            Ok(None) => return (documents, None),
            Err(broken) => return (documents, Some(broken)),
        }
    }
}

struct Composer<'t> {
    events: Parser<'t, StrInput<'t>>,
    anchors: BTreeMap<usize, Anchored>,
    nodes: usize,
    text_bytes: usize,
    line: usize,
}

/// A node that aliases may repeat, with what one more copy of it costs.
struct Anchored {
    node: Node,
    nodes: usize,
    text_bytes: usize,
    height: usize,
}

impl<'t> Composer<'t> {
    /// The next event that carries data; none at the end.
    fn next(&mut self) -> Result<Option<(Event<'t>, Span)>, Broken> {
        loop {
            match self.events.next() {
                None => return Ok(None),
                Some(Err(error)) => return Err(Broken::new(error.marker().line(), error.info())),
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok((event, span))) => {
                    self.line = span.start.line();
                    return Ok(Some((event, span)));
                }
            }
        }
    }

    /// The next document's root.
    fn document(&mut self) -> Result<Option<Node>, Broken> {
        loop {
            match self.next()? {
                None | Some((Event::StreamEnd, _)) => return Ok(None),
                Some((Event::DocumentStart(..), _)) => self.anchors.clear(),
                Some((Event::StreamStart | Event::DocumentEnd, _)) => {}
                Some((event, span)) => return self.node(event, &span, 0).map(Some),
            }
        }
    }

    fn node(&mut self, event: Event<'t>, span: &Span, depth: usize) -> Result<Node, Broken> {
        let line = span.start.line();
        if depth > MAX_DEPTH {
            return Err(too_deep(line));
        }
        let (nodes, text_bytes) = (self.nodes, self.text_bytes);
        self.count(1, 0, line)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.count(0, text.len(), line)?;
                (scalar(text, style, tag.as_deref()), anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.sequence(depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.mapping(depth)?, anchor),
            Event::Alias(id) => return self.alias(id, line, depth),
            _ => return Err(Broken::new(line, "unexpected end of a document")),
        };
        let node = Node { value, line };
        if anchor != 0 {
            let height = height(&node);
            let cost = (self.nodes - nodes, self.text_bytes - text_bytes);
            // The kept copy counts too.
            self.count(cost.0, cost.1, line)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), nodes: cost.0, text_bytes: cost.1, height });
        }
        Ok(node)
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, Broken> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Some((Event::SequenceEnd, _)) => return Ok(Value::List(items)),
                Some((event, span)) => items.push(self.node(event, &span, depth + 1)?),
                None => return Err(Broken::new(self.line, "unexpected end of a list")),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, Broken> {
        let (mut entries, mut merged) = (Vec::new(), Vec::new());
        loop {
            let key = match self.next()? {
                Some((Event::MappingEnd, _)) => break,
                Some((event, span)) => self.node(event, &span, depth + 1)?,
                None => return Err(Broken::new(self.line, "unexpected end of a mapping")),
            };
            let Some((event, span)) = self.next()? else {
                return Err(Broken::new(self.line, "unexpected end of a mapping"));
            };
            let value = self.node(event, &span, depth + 1)?;
            match key.value {
                Value::Text(name) if name == "<<" => merge(value, &mut merged, &mut BTreeSet::new())?,
                Value::Text(name) | Value::Bool(_, name) | Value::Number(_, name) => entries.push((name, value)),
                other => return Err(Broken::new(key.line, format!("{} cannot be a key", other.kind()))),
            }
        }
        let own: BTreeSet<String> = entries.iter().map(|(name, _)| name.clone()).collect();
        entries.extend(merged.into_iter().filter(|(name, _)| !own.contains(name)));
        Ok(Value::Map(entries))
    }

    fn alias(&mut self, id: usize, line: usize, depth: usize) -> Result<Node, Broken> {
        let anchored = self.anchors.get(&id).ok_or_else(|| Broken::new(line, "an alias inside its own anchor"))?;
        if depth + anchored.height > MAX_DEPTH {
            return Err(too_deep(line));
        }
        let (nodes, text_bytes) = (anchored.nodes, anchored.text_bytes);
        self.count(nodes, text_bytes, line)?;
        let anchored = self.anchors.get(&id).ok_or_else(|| Broken::new(line, "an unknown alias"))?;
        Ok(Node { line, ..anchored.node.clone() })
    }

    /// Takes from the file's budget, before the memory is taken.
    fn count(&mut self, nodes: usize, text_bytes: usize, line: usize) -> Result<(), Broken> {
        self.nodes += nodes;
        self.text_bytes += text_bytes;
        if self.nodes > MAX_NODES {
            return Err(Broken::new(line, format!("more than {MAX_NODES} values, aliases expanded")));
        }
        if self.text_bytes > MAX_TEXT_BYTES {
            return Err(Broken::new(line, format!("more than {MAX_TEXT_BYTES} bytes of text, aliases expanded")));
        }
        Ok(())
    }
}

fn too_deep(line: usize) -> Broken {
    Broken::new(line, format!("nested more than {MAX_DEPTH} levels deep"))
}

/// The entries of `<<: *alias` or `<<: [*a, *b]`; an earlier one wins.
fn merge(value: Node, into: &mut Vec<(String, Node)>, known: &mut BTreeSet<String>) -> Result<(), Broken> {
    match value.value {
        Value::Map(entries) => {
            into.extend(entries.into_iter().filter(|(name, _)| known.insert(name.clone())));
            Ok(())
        }
        Value::List(items) => items.into_iter().try_for_each(|item| merge(item, into, known)),
        other => Err(Broken::new(value.line, format!("<< takes a mapping, not {}", other.kind()))),
    }
}

fn height(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => 1 + items.iter().map(height).max().unwrap_or(0),
        Value::Map(entries) => 1 + entries.iter().map(|(_, node)| height(node)).max().unwrap_or(0),
        _ => 0,
    }
}

/// What a scalar is: quoted and `!!str` ones are text, plain ones are resolved.
fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix() == "str");
    if style != ScalarStyle::Plain || is_text {
        return Value::Text(text.into_owned());
    }
    match &*text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Value::Bool(true, text.into_owned()),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            Value::Bool(false, text.into_owned())
        }
        plain => match number(plain) {
            Some(number) => Value::Number(number, text.into_owned()),
            None => Value::Text(text.into_owned()),
        },
    }
}

/// A plain number: decimal, `0x…`, `0o…`, or a float, with YAML 1.1's underscores anywhere behind the first digit;
/// infinities and NaN stay text, since JSON has none.
fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    let (text, digits) = (&*text.replace('_', ""), &*digits.replace('_', ""));
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            return u64::from_str_radix(digits, radix).ok().map(Into::into);
        }
    }
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if let Ok(whole) = unsigned.parse::<i64>() {
        return Some(whole.into());
    }
    if let Ok(whole) = unsigned.parse::<u64>() {
        return Some(whole.into());
    }
    if !digits.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte)) {
        return None;
    }
    unsigned.parse::<f64>().ok().and_then(Number::from_f64)
}
