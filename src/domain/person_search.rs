//! Whether a text or a JSON value names a person: alone, or as one word among others.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::ids::Mxid;
use super::person::Person;
use super::threepid::Medium;

/// The end of a text that was too long.
const CUT: char = '…';
/// Of a phone number that was cut, so many digits are enough.
const MIN_DIGITS: usize = 7;

impl Person {
    /// Whether a JSON value names an address or a user of the person.
    #[must_use]
    pub fn is_in(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.is_in_text(text),
            Value::Array(values) => values.iter().any(|value| self.is_in(value)),
            Value::Object(fields) => fields.values().any(|value| self.is_in(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    /// Whether a text names an address or a user of the person, also percent-encoded, or
    /// cut at its end.
    #[must_use]
    pub fn is_in_text(&self, text: &str) -> bool {
        if self.is_in_decoded(text) {
            return true;
        }
        text.contains('%') && self.is_in_decoded(&percent_decode_str(text).decode_utf8_lossy())
    }

    fn is_in_decoded(&self, text: &str) -> bool {
        let mut users = self.users.iter().map(Mxid::as_str);
        if users.any(|user| names(text, user, ':')) {
            return true;
        }
        // As a person writes it.
        let (folded, digits) = (text.to_lowercase(), without_separators(text));
        self.threepids.iter().any(|own| match own.medium() {
            Medium::Email => names(&folded, own.address(), '@'),
            Medium::Msisdn => {
                names_number(text, own.address()) || names_number(&digits, own.address())
            }
        })
    }
}

/// Whether a text has `name` as a word. `middle` is the character before its domain: a
/// name that was cut after it is still recognised.
fn names(text: &str, name: &str, middle: char) -> bool {
    let is_word = |(at, _): (usize, &str)| {
        let (before, rest) = text.split_at_checked(at).unwrap_or_default();
        let after = rest.strip_prefix(name).unwrap_or_default();
        starts_word(before) && ends_word(after)
    };
    text.match_indices(name).any(is_word) || is_cut(text, name, middle)
}

fn starts_word(before: &str) -> bool {
    !before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '%'))
}

/// Whether a domain ends here. A full stop may end a sentence, and a colon without a port
/// may follow a name.
fn ends_word(after: &str) -> bool {
    let mut rest = after.chars();
    match rest.next() {
        Some('.' | ':') => !rest.next().is_some_and(char::is_alphanumeric),
        Some(c) => !(c.is_alphanumeric() || matches!(c, '-' | '_')),
        None => true,
    }
}

/// Whether the text ends with the beginning of the name, up to `middle` at least.
fn is_cut(text: &str, name: &str, middle: char) -> bool {
    let Some((kept, (local, domain))) = text.strip_suffix(CUT).zip(name.split_once(middle)) else {
        return false;
    };
    let Some((before, part)) = kept.rsplit_once(middle) else {
        return false;
    };
    domain.starts_with(part) && before.strip_suffix(local).is_some_and(starts_word)
}

fn names_number(text: &str, number: &str) -> bool {
    let is_word = |(at, _): (usize, &str)| {
        let (before, rest) = text.split_at_checked(at).unwrap_or_default();
        let after = rest.strip_prefix(number).unwrap_or_default();
        !before.ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric)
    };
    if text.match_indices(number).any(is_word) {
        return true;
    }
    let Some(kept) = text.strip_suffix(CUT) else {
        return false;
    };
    let end = kept.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = kept.get(end.len()..).unwrap_or_default();
    digits.len() >= MIN_DIGITS
        && number.starts_with(digits)
        && !end.ends_with(char::is_alphanumeric)
}

/// The text without what stands between the digits of a phone number.
fn without_separators(text: &str) -> String {
    let is_separator = |c: char| c.is_whitespace() || matches!(c, '-' | '.' | '/' | '(' | ')');
    let mut kept = String::with_capacity(text.len());
    let mut separators = String::new();
    for c in text.chars() {
        if is_separator(c) && (kept.ends_with(|c: char| c.is_ascii_digit())) {
            separators.push(c);
            continue;
        }
        if c.is_ascii_digit() {
            separators.clear();
        } else {
            kept.push_str(&std::mem::take(&mut separators));
        }
        kept.push(c);
    }
    kept + &separators
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::threepid::ThreePid;

    fn person() -> Person {
        let mut person = Person::default();
        person.add_user(Mxid::parse("@a:b.example").unwrap());
        person.add_threepid(ThreePid::parse("email", "a.b@c.example").unwrap());
        person.add_threepid(ThreePid::parse("msisdn", "447700900077").unwrap());
        person
    }

    /// PRS-02
    #[test]
    fn person_is_found_in_json() {
        for (value, expected) in [
            (json!({"x": [{"mxid": "@a:b.example"}]}), true),
            (json!({"address": "a.b@c.example"}), true),
            (
                json!({"address": "aa.b@c.example", "n": 1, "b": true}),
                false,
            ),
        ] {
            assert_eq!(person().is_in(&value), expected, "{value}");
        }
    }

    /// PRS-02
    #[test]
    fn person_is_found_in_texts() {
        for text in [
            "Chat with a.b@c.example",
            "A.B@C.Example!",
            "<a.b@c.example>, or a.b@c.example.",
            "https://x/?to=a.b%40c.example&y",
            "https://matrix.to/#/@a:b.example",
            "https://matrix.to/#/%40a%3Ab.example?via=b.example",
            "@a:b.example: hello",
            "Chat with a.b@c.exa…",
            "With @a:…",
            "call +447700900077",
            "+44 (7700) 900-077 at 9",
            "447700900077 2 times",
            "+44 7700 900…",
            "{\"address\":\"a.b@c.example\",\"unread",
        ] {
            assert!(person().is_in_text(text), "{text}");
        }
    }

    /// PRS-02
    #[test]
    fn other_people_are_not_found_in_texts() {
        for text in [
            "xa.b@c.example",
            "x.a.b@c.example",
            "a.b@c.example.org",
            "a.b@c.example-x.org",
            "@a:b.example:8448",
            "@aa:b.example",
            "a.b…",
            "b@c.exa…",
            "a.b@c.example.o…",
            "4477009000770",
            "x447700900077",
            "447700…",
            "a.b%",
            "",
        ] {
            assert!(!person().is_in_text(text), "{text}");
        }
    }
}
