//! Finds the links in plain text.

use serde::Serialize;

/// A stretch of text.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Piece<'a> {
    pub text: &'a str,
    /// Whether it is an http or https URL.
    pub link: bool,
}

/// Splits a text into pieces; joined, they are the text.
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, link, after)) = next_link(rest) {
        pieces.push(Piece {
            text: before,
            link: false,
        });
        pieces.push(Piece {
            text: link,
            link: true,
        });
        rest = after;
    }
    pieces.push(Piece {
        text: rest,
        link: false,
    });
    pieces.retain(|piece| !piece.text.is_empty());
    pieces
}

fn next_link(text: &str) -> Option<(&str, &str, &str)> {
    let start = ["https://", "http://"]
        .iter()
        .filter_map(|scheme| text.find(scheme))
        .min()?;
    let (before, from_link) = text.split_at_checked(start)?;
    let ends = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"');
    let end = from_link.find(ends).unwrap_or(from_link.len());
    let (run, _) = from_link.split_at_checked(end)?;
    // Punctuation that ends a sentence or a bracket is rarely part of a link.
    let link = run.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '\'']);
    let (link, after) = from_link.split_at_checked(link.len())?;
    Some((before, link, after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn links(text: &str) -> Vec<&str> {
        let links = pieces(text).into_iter().filter(|piece| piece.link);
        links.map(|piece| piece.text).collect()
    }

    #[test]
    fn links_end_before_trailing_punctuation() {
        for (text, found) in [
            (
                "open\r\nhttps://a.example/x?y=1&z=%20\r\n",
                vec!["https://a.example/x?y=1&z=%20"],
            ),
            ("http://127.0.0.1:8090/a.", vec!["http://127.0.0.1:8090/a"]),
            (
                "(see https://a.example/x), or <http://b.example>",
                vec!["https://a.example/x", "http://b.example"],
            ),
            (
                "\"https://a.example\" javascript:alert(1) ftp://c",
                vec!["https://a.example"],
            ),
            ("no link", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(links(text), found, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_lost(text in "(.|\n|https?://|é){0,20}") {
            let whole: String = pieces(&text).iter().map(|piece| piece.text).collect();
            prop_assert_eq!(whole, text);
        }
    }
}
