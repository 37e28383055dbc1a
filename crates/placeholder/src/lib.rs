//! Placeholders in commands and environment values of a local world. `{port}`, `{port:NAME}`, `{index}` and `{name}` are
//! replaced; what looks like one and is none of them is a mistake. Other braces stand as they are, since a command may well
//! carry JSON, a shell's `${variable}` or a template's `{{ }}`.
//!
//! `check` and the supervisor both read commands by this, so that neither accepts what the other does not.

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
    /// What looks like a placeholder and is none of these.
    Unknown(&'t str),
}

/// The parts of an argument, in order; joined they are the argument again.
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let (mut from, mut at) = (0, 0);
    while let Some(open) = text[at..].find('{').map(|offset| at + offset) {
        at = open + 1;
        // `${x}` is the shell's and `{{x}}` a template's.
        let escaped = matches!(text.as_bytes()[..open].last(), Some(b'$' | b'{'));
        let Some((inner, _)) = text[at..].split_once('}') else { break };
        if escaped || !is_placeholder(inner) {
            continue;
        }
        if from < open {
            found.push(Piece::Text(&text[from..open]));
        }
        found.push(match (inner, inner.split_once(':')) {
            ("port", _) => Piece::MainPort,
            ("index", _) => Piece::Index,
            ("name", _) => Piece::Name,
            (_, Some(("port", name))) if !name.is_empty() && !name.contains(':') => Piece::Port(name),
            _ => Piece::Unknown(inner),
        });
        at += inner.len() + 1;
        from = at;
    }
    if from < text.len() {
        found.push(Piece::Text(&text[from..]));
    }
    found
}

fn is_placeholder(inner: &str) -> bool {
    let part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_:".contains(&byte);
    inner.starts_with(|first: char| first.is_ascii_lowercase()) && inner.bytes().all(part)
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
        assert_eq!(pieces("{port:}{port:a:b}"), [Piece::Unknown("port:"), Piece::Unknown("port:a:b")]);
    }

    #[test]
    fn shell_variables_and_templates_stay_as_they_are() {
        for text in ["${port}", "{{port}}", "{% if x %}{{ x }}", "{HOME}", "{", "}{", "{}", "ä{ö}", "{port"] {
            assert_eq!(pieces(text), [Piece::Text(text)], "{text}");
        }
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
