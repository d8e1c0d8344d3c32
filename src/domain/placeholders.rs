//! Texts with `{placeholders}`.

/// A piece of such a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Literal text.
    Text(&'a str),
    /// The name of a placeholder: lower-case letters and underscores. Braces
    /// around anything else are literal text.
    Name(&'a str),
}

/// Splits a text into its pieces.
#[must_use]
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, name, after)) = next_name(rest) {
        pieces.extend([Piece::Text(before), Piece::Name(name)]);
        rest = after;
    }
    pieces.push(Piece::Text(rest));
    pieces
}

/// Replaces each placeholder with its value.
#[must_use]
pub fn fill(text: &str, value: impl Fn(&str) -> String) -> String {
    pieces(text)
        .into_iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.to_owned(),
            Piece::Name(name) => value(name),
        })
        .collect()
}

/// The first placeholder that is not one of `known`.
#[must_use]
pub fn unknown<'a>(text: &'a str, known: &[&str]) -> Option<&'a str> {
    pieces(text).into_iter().find_map(|piece| match piece {
        Piece::Name(name) if !known.contains(&name) => Some(name),
        _ => None,
    })
}

/// Whether the text has a placeholder of this name.
#[must_use]
pub fn has(text: &str, name: &str) -> bool {
    pieces(text).contains(&Piece::Name(name))
}

fn next_name(text: &str) -> Option<(&str, &str, &str)> {
    text.match_indices('{').find_map(|(at, _brace)| {
        let (before, from_brace) = text.split_at_checked(at)?;
        let (name, after) = from_brace.strip_prefix('{')?.split_once('}')?;
        is_name(name).then_some((before, name, after))
    })
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn placeholders_are_filled_and_other_braces_kept() {
        let shout = |name: &str| name.to_uppercase();
        for (text, filled) in [
            ("{token} is it", "TOKEN is it"),
            (r#"{"to": "{to}"}"#, r#"{"to": "TO"}"#),
            ("{{a}}", "{A}"),
            ("{A} {} { b} {c", "{A} {} { b} {c"),
            ("", ""),
        ] {
            assert_eq!(fill(text, shout), filled);
        }
        assert_eq!(unknown("{a}{b}", &["a"]), Some("b"));
        assert_eq!(unknown("{a}", &["a"]), None);
        assert!(has("x{a}", "a") && !has("x", "a"));
    }

    proptest! {
        #[test]
        fn unreplaced_text_is_unchanged(text in "([{}a-z_é ]){0,20}") {
            prop_assert_eq!(fill(&text, |name| format!("{{{name}}}")), text);
        }
    }
}
