//! Placeholders in a command and its environment: finding them, and filling them in.
//!
//! Pure text. It must not know where ports come from.

use std::collections::{BTreeMap, BTreeSet};

use placeholder::{Piece, pieces};

use crate::spec::MAIN_PORT;

/// The placeholders there are, for messages.
pub(crate) const KNOWN: &str = "{port}, {port:NAME}, {index}, {name}";

/// What stands for the placeholders of one start of one replica.
pub(crate) struct Values<'a> {
    pub(crate) ports: &'a BTreeMap<String, u16>,
    pub(crate) index: u32,
    pub(crate) name: &'a str,
}

/// Fills in the placeholders of `text`; what is unknown stays as it is (validation has reported it).
pub(crate) fn expand(text: &str, values: &Values<'_>) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::MainPort => port(MAIN_PORT, values, &mut out),
            Piece::Port(name) => port(name, values, &mut out),
            Piece::Index => out.push_str(&values.index.to_string()),
            Piece::Name => out.push_str(values.name),
            Piece::Unknown(inner) => {
                out.push('{');
                out.push_str(inner);
                out.push('}');
            }
        }
    }
    out
}

fn port(name: &str, values: &Values<'_>, out: &mut String) {
    match values.ports.get(name) {
        Some(port) => out.push_str(&port.to_string()),
        None => out.push_str(name),
    }
}

/// Adds the port names that `text` uses to `names`.
pub(crate) fn port_names(text: &str, names: &mut BTreeSet<String>) {
    for piece in pieces(text) {
        match piece {
            Piece::MainPort => names.insert(MAIN_PORT.to_owned()),
            Piece::Port(name) => names.insert(name.to_owned()),
            _ => false,
        };
    }
}

/// The placeholders in `text` that are none of [`KNOWN`], without their braces.
pub(crate) fn unknown(text: &str) -> Vec<&str> {
    pieces(text)
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Unknown(inner) => Some(inner),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> String {
        let ports = BTreeMap::from([("http".to_owned(), 8001), ("grpc".to_owned(), 9002)]);
        expand(text, &Values { ports: &ports, index: 3, name: "chat-3" })
    }

    #[test]
    fn ports_index_and_name_are_filled_in() {
        assert_eq!(filled("--port={port} -g {port:grpc} {index}/{name}"), "--port=8001 -g 9002 3/chat-3");
        assert_eq!(filled("{port:http}{port}"), "80018001");
    }

    #[test]
    fn shell_variables_json_and_chat_templates_pass_through() {
        for text in
            ["${port}", r#"{"a": 1}"#, "{{port}}", "{% if x %}{{ x }}", "{HOME}", "{", "}{", "{}", "ä{ö}", "{port"]
        {
            assert_eq!(filled(text), text);
            assert_eq!(unknown(text), Vec::<&str>::new(), "{text}");
        }
    }

    #[test]
    fn a_misspelt_placeholder_is_found_and_left_alone() {
        assert_eq!(unknown("{prot} {port:} {port:a:b} {port}"), ["prot", "port:", "port:a:b"]);
        assert_eq!(filled("a{prot}b"), "a{prot}b");
    }

    #[test]
    fn port_names_are_collected_once() {
        let mut names = BTreeSet::new();
        port_names("{port} {port:grpc} {port:http}", &mut names);
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["grpc", "http"]);
    }
}
