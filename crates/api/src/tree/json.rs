//! JSON to [`Node`]s: one value after another, duplicate keys kept, nesting and size limited.

use super::{Broken, MAX_DEPTH, MAX_DOCUMENTS, MAX_NODES, Node, Value};
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use std::cell::Cell;
use std::fmt;

/// Every value of the text, up to the first mistake.
pub(super) fn parse(text: &str) -> (Vec<Node>, Option<Broken>) {
    let mut documents = Vec::new();
    let budget = Cell::new(MAX_NODES);
    let mut rest = serde_json::Deserializer::from_str(text);
    loop {
        if let Ok(()) = rest.end() {
            return (documents, None);
        }
        if documents.len() == MAX_DOCUMENTS {
            return (documents, Some(Broken::new(0, format!("more than {MAX_DOCUMENTS} documents"))));
        }
        match (Seed { budget: &budget, depth: 0 }).deserialize(&mut rest) {
            Ok(node) => documents.push(node),
            Err(error) => return (documents, Some(Broken::new(error.line(), without_place(&error.to_string())))),
        }
    }
}

/// The message without its "at line … column …", which is said elsewhere.
fn without_place(message: &str) -> String {
    message.rsplit_once(" at line ").map_or(message, |(before, _)| before).to_owned()
}

#[derive(Clone, Copy)]
struct Seed<'b> {
    budget: &'b Cell<usize>,
    depth: usize,
}

impl<'b> Seed<'b> {
    fn inner<E: Error>(self) -> Result<Seed<'b>, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format!("nested more than {MAX_DEPTH} levels deep")));
        }
        Ok(Seed { depth: self.depth + 1, ..self })
    }

    fn node<E: Error>(self, value: Value) -> Result<Node, E> {
        match self.budget.get().checked_sub(1) {
            Some(left) => self.budget.set(left),
            None => return Err(E::custom(format!("more than {MAX_NODES} values"))),
        }
        Ok(Node { value, line: 0 })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        self.node(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        self.node(Value::Bool(value, value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        self.node(Value::Number(value.into(), value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        self.node(Value::Number(value.into(), value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        let number = serde_json::Number::from_f64(value).ok_or_else(|| E::custom("number out of range"))?;
        let text = number.to_string();
        self.node(Value::Number(number, text))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        self.node(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let inner = self.inner()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        self.node(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let inner = self.inner()?;
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<String>()? {
            map.push((key, entries.next_value_seed(inner)?));
        }
        self.node(Value::Map(map))
    }
}
