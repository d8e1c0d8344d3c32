//! The words of a relay or provider as a log may have them.
//!
//! A reply often quotes the recipient, and sometimes the message itself. What an
//! administrator needs of it is the rest.

use std::fmt::Write as _;

/// The longest text that is kept, in characters.
const MAX_CHARS: usize = 300;

/// What is read of a text. All that is shown is within it, whatever is masked.
const MAX_BYTES: usize = 16 * 1024;

/// More bytes than the longest text that is kept has, with its ellipsis.
const MAX_MASKED: usize = 4 * (MAX_CHARS + 1);

const ADDRESS: &str = "[address]";
const HIDDEN: &str = "[…]";

/// A run of letters and digits of this length is a token or an identifier.
const MIN_TOKEN: usize = 16;

/// What a reply must not show, because the message that it answers contains it.
#[derive(Clone, Copy, Default)]
pub struct Confidential<'a> {
    /// The local part of the recipient.
    pub local_part: &'a str,
    /// The whole message. A word with a digit that occurs in it is hidden.
    pub message: &'a [u8],
    /// Other texts that are hidden.
    pub secrets: &'a [String],
}

impl std::fmt::Debug for Confidential<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Confidential(…)")
    }
}

impl Confidential<'_> {
    /// The text without addresses and without what the message contains, printable
    /// and of limited length. Bytes that are not UTF-8 are shown as `\xE9`.
    #[must_use]
    pub fn mask(&self, text: &[u8]) -> String {
        let mut text = printable(text);
        for secret in self.secrets.iter().filter(|secret| secret.len() >= 4) {
            text = text.replace(secret.as_str(), HIDDEN);
        }
        let text = self.without_local_part(&without_addresses(&text));
        let mut masked = String::with_capacity(text.len());
        for word in text.split_inclusive(is_separator) {
            // The rest is not shown. Each word is searched for in the whole message.
            if masked.len() > MAX_MASKED {
                break;
            }
            let end = word.trim_end_matches(is_separator);
            masked.push_str(self.replacement(end).unwrap_or(end));
            masked.push_str(word.strip_prefix(end).unwrap_or_default());
        }
        shorten(&masked)
    }

    fn replacement(&self, word: &str) -> Option<&'static str> {
        if has_query(word) {
            return Some(HIDDEN);
        }
        if is_encoded_address(word) {
            return Some(ADDRESS);
        }
        let is_secret = word
            .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))
            .any(|part| self.is_secret(part));
        let is_listed = self.secrets.iter().any(|secret| secret == word);
        (is_secret || is_listed).then_some(HIDDEN)
    }

    /// Masks the local part of the recipient where it stands alone, in any case.
    fn without_local_part(&self, text: &str) -> String {
        let mut masked = String::with_capacity(text.len());
        let (mut rest, mut after_letter) = (text, false);
        while let Some(c) = rest.chars().next() {
            let found = (!after_letter)
                .then(|| strip_prefix_in_any_case(rest, self.local_part))
                .flatten()
                .filter(|after| !after.starts_with(char::is_alphanumeric));
            after_letter = c.is_alphanumeric();
            if let Some(after) = found {
                masked.push_str(ADDRESS);
                rest = after;
            } else {
                masked.push(c);
                rest = rest.strip_prefix(c).unwrap_or_default();
            }
        }
        masked
    }

    fn is_secret(&self, part: &str) -> bool {
        let has_digit = part.bytes().any(|byte| byte.is_ascii_digit());
        if part.len() >= MIN_TOKEN && (has_digit || is_mixed_case(part)) {
            return true;
        }
        has_digit && part.len() >= 4 && contains(self.message, part.as_bytes())
    }
}

/// What follows a prefix in a text; `None` if the text does not begin with it, or if
/// the prefix is empty.
fn strip_prefix_in_any_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let mut rest = text.chars();
    for expected in prefix.chars() {
        let c = rest.next()?;
        if c != expected && !c.to_lowercase().eq(expected.to_lowercase()) {
            return None;
        }
    }
    (!prefix.is_empty()).then_some(rest.as_str())
}

/// Capitals after small letters, as in random text. `MAILER-DAEMON` and `Unavailable`
/// are not.
fn is_mixed_case(part: &str) -> bool {
    let pairs = part.as_bytes().windows(2);
    pairs
        .filter(|pair| matches!(pair, [a, b] if a.is_ascii_lowercase() && b.is_ascii_uppercase()))
        .count()
        > 1
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len().max(1))
        .any(|part| part == needle)
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || "<>()[]{}\"',;".contains(c)
}

/// The query of a link may hold a token.
fn has_query(word: &str) -> bool {
    word.contains("://") && word.contains(['?', '#'])
}

/// Whether a word is an address without its `@`: the percent hack and percent
/// encoding (`a%40b.example`), quoted-printable (`a=40b.example`), SRS and VERP
/// (`a=b.example`), UUCP (`b.example!a`).
fn is_encoded_address(word: &str) -> bool {
    let is_name = |part: &str| part.contains(|c: char| c.is_alphanumeric());
    let is_srs = word
        .get(..3)
        .is_some_and(|start| start.eq_ignore_ascii_case("srs"))
        && word.contains('=');
    is_srs
        || ['%', '=', '!'].iter().any(|&sign| {
            word.split_once(sign).is_some_and(|(before, after)| {
                let is_domain = |part: &str| {
                    part.trim_end_matches('.').contains('.') && part.contains(char::is_alphabetic)
                };
                is_name(before) && is_name(after) && (is_domain(before) || is_domain(after))
            })
        })
}

/// Replaces everything around an `@`, and everything in angle brackets, since a
/// relay may quote a local part alone (`<alice>`).
fn without_addresses(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    let mut may_close = true;
    while let Some((at, sign)) = rest
        .char_indices()
        .find(|(_, c)| matches!(c, '@' | '＠' | '﹫' | '<'))
    {
        let (before, from) = rest.split_at(at);
        let after = from.strip_prefix(sign).unwrap_or_default();
        if sign == '<' {
            let path = may_close.then(|| split_path(after)).flatten();
            let Some((_path, after)) = path else {
                // There is no closing bracket, so none is searched for again.
                may_close = false;
                masked.push_str(before);
                masked.push('<');
                rest = after;
                continue;
            };
            masked.push_str(before);
            masked.push_str(ADDRESS);
            rest = after;
        } else {
            let kept = before.trim_end();
            masked.push_str(kept.get(..start_of_local_part(kept)).unwrap_or_default());
            masked.push_str(ADDRESS);
            rest = after.trim_start().trim_start_matches(is_domain_char);
        }
    }
    masked.push_str(rest);
    masked
}

/// The content of angle brackets, and what follows them. Quotes may contain a
/// bracket.
fn split_path(text: &str) -> Option<(&str, &str)> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            '>' if !is_quoted => return Some((text.get(..at)?, text.get(at + 1..)?)),
            _ => {}
        }
    }
    // An unclosed quote.
    text.split_once('>')
}

/// Where the local part begins that ends a text: after the last separator, or at
/// the opening quote.
fn start_of_local_part(text: &str) -> usize {
    if let Some(quoted) = text.strip_suffix('"') {
        let mut quotes = quoted.rmatch_indices('"').map(|(at, _)| at);
        let opening = quotes.find(|at| {
            !quoted
                .get(..*at)
                .is_some_and(|before| before.ends_with('\\'))
        });
        return opening.unwrap_or(0);
    }
    let separator = |c: char| c.is_whitespace() || "<>()[]{},;\"".contains(c);
    text.char_indices()
        .rfind(|(_, c)| separator(*c))
        .map_or(0, |(at, c)| at + c.len_utf8())
}

/// Of a domain, an address literal, or a further `@` of a source route.
fn is_domain_char(c: char) -> bool {
    c.is_alphanumeric() || "@.-_[]:%=+!".contains(c)
}

/// The text with its control characters and other invisible ones escaped, and its
/// white space as single blanks.
fn printable(text: &[u8]) -> String {
    let text = text.get(..MAX_BYTES).unwrap_or(text);
    let mut shown = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\t' | '\r' | '\n' | ' ' => shown.push(' '),
                '"' | '\'' | '\\' => shown.push(c),
                // Controls, formatting characters and unassigned ones.
                c => shown.extend(c.escape_debug()),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(shown, "\\x{byte:02X}");
        }
    }
    let words: Vec<&str> = shown.split(' ').filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::linear_tests::expect_linear;

    #[test]
    fn masking_takes_linear_time() {
        let message = "1234567 ".repeat(64);
        for piece in [
            "<", ">", "<\"", "@", "a@b ", "12345 ", "12345", "A", "\\", "%40",
        ] {
            // The message of an invite is as long as its texts, which a stranger chose.
            let make = |count: usize| (piece.repeat(count), message.repeat(count / 64));
            expect_linear("a reply that is masked", make, |(text, message)| {
                let confidential = Confidential {
                    local_part: "aaaa",
                    message: message.as_bytes(),
                    secrets: &["secret".to_owned()],
                };
                let _ = confidential.mask(text.as_bytes());
            });
        }
    }

    const MESSAGE: &[u8] = b"To: x\r\n\r\nYour code is 493021, or Qx7aB2. From 198.51.100.7\r\n";

    fn mask(text: &str) -> String {
        let confidential = Confidential {
            local_part: "Alice.b+tag",
            message: MESSAGE,
            secrets: &["hunter two".to_owned(), "me".to_owned()],
        };
        confidential.mask(text.as_bytes())
    }

    #[test]
    fn addresses_are_masked_in_every_form() {
        for (text, expected) in [
            (
                "<a@b.example>: Relay access denied",
                "[address]: Relay access denied",
            ),
            ("user a@b.example unknown", "user [address] unknown"),
            ("mailto:a@b.example?", "[address]?"),
            ("(a@b.example)", "([address])"),
            ("o'neil@b.example gone", "[address] gone"),
            ("\"john doe\"@b.example gone", "[address] gone"),
            ("<\"a>b\"@b.example> gone", "[address] gone"),
            ("\"a\\\"b c\"@b.example gone", "[address] gone"),
            ("a @ b.example gone", "[address] gone"),
            ("a@[192.0.2.1] gone", "[address] gone"),
            ("grün@bücher.example gone", "[address] gone"),
            ("a＠b.example gone", "[address] gone"),
            ("a%b.example@relay.example no", "[address] no"),
            ("a%40b.example no", "[address] no"),
            ("a%b.example no", "[address] no"),
            ("SRS0=Hh=TT=b.example=a no", "[address] no"),
            ("srs1=abc no", "[address] no"),
            ("bounce-a=b.example no", "[address] no"),
            ("b.example!a no", "[address] no"),
            ("@r.example:a@b.example no", "[address] no"),
            ("<alice> no", "[address] no"),
            ("a@b a@c", "[address] [address]"),
            ("User ALICE.B+TAG unknown", "User [address] unknown"),
            ("mailbox/alice.b+tag: full", "mailbox/[address]: full"),
            ("'Alice.B+Tag' is unknown", "'[address]' is unknown"),
            ("xalice.b+tag stays", "xalice.b+tag stays"),
            ("alice.bc stays", "alice.bc stays"),
            ("<open", "<open"),
        ] {
            assert_eq!(mask(text), expected, "{text}");
        }
    }

    #[test]
    fn what_the_message_contains_is_hidden() {
        for (text, expected) in [
            (
                "line \"code is 493021\" rejected",
                "line \"code is […]\" rejected",
            ),
            ("Qx7aB2 is spam", "[…] is spam"),
            ("abcdefghijklmnop0 no", "[…] no"),
            ("aBcDefghIjklmnopqrs no", "[…] no"),
            ("see https://id.example/x?token=1", "see […]"),
            (
                "see https://relay.example/help",
                "see https://relay.example/help",
            ),
            ("token=493021", "[…]"),
            ("me and hunter two are wrong", "[…] and […] are wrong"),
            ("500 lines, queue 4F3A2", "500 lines, queue 4F3A2"),
            (
                "Service unavailable; MAILER-DAEMON",
                "Service unavailable; MAILER-DAEMON",
            ),
        ] {
            assert_eq!(mask(text), expected, "{text}");
        }
    }

    #[test]
    fn text_is_printable_and_short() {
        let any = Confidential::default();
        assert_eq!(
            any.mask(b"caf\xE9 \0\x1b[1m  x"),
            "caf\\xE9 \\0\\u{1b}[1m x"
        );
        assert_eq!(
            any.mask("a\u{202e}b\u{200b}".as_bytes()),
            "a\\u{202e}b\\u{200b}"
        );
        assert_eq!(any.mask("Bücher 邮件".as_bytes()), "Bücher 邮件");
        let long = any.mask(&b"ab ".repeat(10_000));
        assert_eq!(long.chars().count(), MAX_CHARS + 1);
        assert_eq!(any.mask(b""), "");
    }

    proptest! {
        #[test]
        fn no_address_survives(before in "\\PC{0,10}", after in "\\PC{0,10}") {
            let text = format!("{before} alice.b+tag@host.example {after}");
            let masked = mask(&text);
            prop_assert!(!masked.contains("alice") && !masked.contains('@'), "{masked}");
        }
    }
}
