//! Placeholders in a command and its environment: finding them, and filling them in.
//!
//! Pure text. It must not know where ports come from.

use std::collections::{BTreeMap, BTreeSet};

use crate::spec::MAIN_PORT;

/// The placeholders there are, for messages.
pub(crate) const KNOWN: &str = "{port}, {port:NAME}, {index}, {name}";

/// What stands for the placeholders of one start of one replica.
pub(crate) struct Values<'a> {
    pub(crate) ports: &'a BTreeMap<String, u16>,
    pub(crate) index: u32,
    pub(crate) name: &'a str,
}

#[derive(Debug, PartialEq)]
enum Piece<'a> {
    Text(&'a str),
    Port(&'a str),
    Index,
    Name,
    Unknown(&'a str),
}

/// Fills in the placeholders of `text`; what is unknown stays as it is (validation has reported it).
pub(crate) fn expand(text: &str, values: &Values<'_>) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Port(name) => match values.ports.get(name) {
                Some(port) => out.push_str(&port.to_string()),
                None => out.push_str(name),
            },
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

/// Adds the port names that `text` uses to `names`.
pub(crate) fn port_names(text: &str, names: &mut BTreeSet<String>) {
    for piece in pieces(text) {
        if let Piece::Port(name) = piece {
            names.insert(name.to_owned());
        }
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

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut text_from, mut at) = (0, 0);
    while let Some(open) = text[at..].find('{').map(|offset| at + offset) {
        at = open + 1;
        // `${x}` is the shell's and `{{x}}` a template's.
        let escaped = matches!(text.as_bytes()[..open].last(), Some(b'$' | b'{'));
        let Some((inner, _)) = text[at..].split_once('}') else { break };
        if escaped || !is_placeholder(inner) {
            continue;
        }
        if text_from < open {
            pieces.push(Piece::Text(&text[text_from..open]));
        }
        pieces.push(match inner.split_once(':') {
            None if inner == "port" => Piece::Port(MAIN_PORT),
            None if inner == "index" => Piece::Index,
            None if inner == "name" => Piece::Name,
            Some(("port", name)) if !name.is_empty() && !name.contains(':') => Piece::Port(name),
            _ => Piece::Unknown(inner),
        });
        at += inner.len() + 1;
        text_from = at;
    }
    if text_from < text.len() {
        pieces.push(Piece::Text(&text[text_from..]));
    }
    pieces
}

fn is_placeholder(inner: &str) -> bool {
    let part = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'_' | b':');
    inner.bytes().next().is_some_and(|c| c.is_ascii_lowercase()) && inner.bytes().all(part)
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
