//! Placeholders in commands and environment values. `{port}`, `{port:NAME}`, `{index}` and `{name}` are replaced;
//! any other braces stand as they are, since a command may well carry JSON.

/// A part of a command's argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<'t> {
    /// Text as it stands.
    Text(&'t str),
    /// The main port.
    MainPort,
    /// A named port.
    Port(&'t str),
    /// The replica's number.
    Index,
    /// The deployment's name.
    Name,
    /// One word in braces that is none of these: text as it stands, and perhaps a mistake.
    Unknown(&'t str),
}

/// The parts of an argument, in order; joined they are the argument again.
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some(open) = rest.find('{') {
        let Some(length) = rest[open..].find('}') else { break };
        let (inner, end) = (&rest[open + 1..open + length], open + length + 1);
        let word = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        let piece = match (inner, inner.split_once(':')) {
            ("port", _) => Piece::MainPort,
            ("index", _) => Piece::Index,
            ("name", _) => Piece::Name,
            (_, Some(("port", name))) if word(name) => Piece::Port(name),
            (inner, None) if word(inner) => Piece::Unknown(inner),
            // Not a placeholder at all: step over the one brace, for there may be one inside.
            _ => {
                found.push(Piece::Text(&rest[..=open]));
                rest = &rest[open + 1..];
                continue;
            }
        };
        if open > 0 {
            found.push(Piece::Text(&rest[..open]));
        }
        found.push(piece);
        rest = &rest[end..];
    }
    if !rest.is_empty() {
        found.push(Piece::Text(rest));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_found_between_text() {
        assert_eq!(
            pieces("--port={port},{port:metrics}-{index}/{name}"),
            [
                Piece::Text("--port="),
                Piece::MainPort,
                Piece::Text(","),
                Piece::Port("metrics"),
                Piece::Text("-"),
                Piece::Index,
                Piece::Text("/"),
                Piece::Name,
            ]
        );
        assert_eq!(pieces("{prot}"), [Piece::Unknown("prot")]);
    }

    #[test]
    fn json_in_a_command_stays_as_it_is() {
        let text = r#"{"a": {"b": 1}, "port": {port}}"#;
        let joined: String = pieces(text)
            .into_iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.to_owned(),
                Piece::MainPort => "8000".to_owned(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(joined, r#"{"a": {"b": 1}, "port": 8000}"#);
    }
}
