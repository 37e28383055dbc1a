//! Lists of objects, as `kubectl get -o yaml` prints them: each item stands for a document of its own.

use super::kinds::Kind;
use super::load::Placed;
use crate::diagnostics::Diagnostic;
use crate::tree::{MAX_DOCUMENTS, Node, Value};

/// The objects of a file.
#[derive(Debug, Default)]
pub(super) struct Expanded {
    /// Documents that are not empty, and items in the place of their lists.
    pub(super) documents: Vec<Node>,
    /// What is wrong with the lists themselves.
    pub(super) wrong: Vec<Placed>,
    /// Whether there was a list: an empty one is a file without objects, and not an empty file.
    pub(super) lists: bool,
    full: bool,
}

pub(super) fn expand(documents: Vec<Node>) -> Expanded {
    let mut expanded = Expanded::default();
    for document in documents.into_iter().filter(|document| document.value != Value::Null) {
        expanded.take(document);
    }
    expanded
}

impl Expanded {
    /// Lists may hold lists; how deep is bounded by the nesting of the file.
    fn take(&mut self, node: Node) {
        let listed = node.get("kind").and_then(Node::text).is_some_and(is_list);
        match node.value {
            Value::Map(entries) if listed => self.list(node.line, entries),
            value if self.documents.len() < MAX_DOCUMENTS => self.documents.push(Node { value, line: node.line }),
            _ if self.full => {}
            _ => {
                self.full = true;
                let message = format!("holds more than {MAX_DOCUMENTS} objects; those from here on are not read");
                self.wrong.push((node.line, Diagnostic::error("items", message)));
            }
        }
    }

    fn list(&mut self, line: usize, entries: Vec<(String, Node)>) {
        self.lists = true;
        let mut seen = false;
        for (_, items) in entries.into_iter().filter(|(key, _)| key == "items") {
            if std::mem::replace(&mut seen, true) {
                self.wrong.push((items.line, Diagnostic::error("items", "is given twice")));
            }
            match items.value {
                Value::List(items) => items.into_iter().for_each(|item| self.take(item)),
                Value::Null => {}
                other => {
                    let message = format!("must be a list, not {}", other.kind());
                    self.wrong.push((items.line, Diagnostic::error("items", message)));
                }
            }
        }
        if !seen {
            self.wrong.push((line, Diagnostic::error("items", "is required: a list holds its objects there")));
        }
    }
}

/// `List`, or the list of one of our kinds, which API servers answer with.
fn is_list(kind: &str) -> bool {
    kind.strip_suffix("List").is_some_and(|of| of.is_empty() || Kind::ALL.iter().any(|kind| kind.name() == of))
}
