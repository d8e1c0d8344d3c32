//! Invitations of addresses to rooms: what a request may say about one
//! (section 15 of the conformance list).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::Invalid;

/// The id of a room. Hardly checked: newer rooms have no server in it, and the
/// homeserver is the one who knows its rooms (INV-04).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct RoomId(String);

parse_from_string!(RoomId);

impl RoomId {
    /// Reads a room id: not empty, at most 255 bytes, no control characters.
    ///
    /// # Errors
    /// A sentence when it is something else.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let odd = |c: char| c.is_control();
        if text.is_empty() || text.len() > 255 || text.chars().any(odd) {
            return Err(Invalid("must be a room id, 1 to 255 bytes"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The id as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The field by which a homeserver says where its users' client is (INV-05).
pub const WEB_CLIENT: &str = "org.matrix.web_client_location";

/// Fields that every request has, and those that are no part of an invitation.
const NOT_OPTIONAL: [&str; 6] = [
    "medium",
    "address",
    "room_id",
    "sender",
    "access_token",
    "brand",
];

/// More than this of fields that nobody knows is not kept.
const MORE_FIELDS: usize = 30;
const LONGEST_NAME: usize = 64;
const LONGEST_VALUE: usize = 500;

/// What a request says about the room and the sender, brought into bounds. Its
/// `Debug` shows nothing: a name may be anything.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InviteFields(BTreeMap<String, String>);

impl fmt::Debug for InviteFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InviteFields({} …)", self.0.len())
    }
}

impl InviteFields {
    /// Takes what is good of a request's fields. Homeservers send empty strings
    /// and whatever a room's events hold: what is not a string or is malformed
    /// counts as absent (INV-03).
    pub fn of<'a>(fields: impl Iterator<Item = (&'a str, &'a Value)>) -> Self {
        let mut kept = BTreeMap::new();
        let mut more = 0;
        for (name, value) in fields {
            let Some(value) = value.as_str() else {
                continue;
            };
            let bounded = match name {
                _ if NOT_OPTIONAL.contains(&name) => None,
                "sender_display_name" => text(value).map(|name| shortened(&name, 20, 19)),
                "room_name" => text(value).map(|name| shortened(&name, 30, 25)),
                "room_avatar_url" | "sender_avatar_url" => avatar(value),
                "room_alias" => alias(value),
                "room_type" | "room_join_rules" => text(value).filter(|value| value.len() <= 255),
                WEB_CLIENT => web_client(value),
                _ if more == MORE_FIELDS || !is_name(name) => None,
                _ => {
                    more += 1;
                    text(value).map(|value| shortened(&value, LONGEST_VALUE, LONGEST_VALUE))
                }
            };
            if let Some(value) = bounded {
                kept.insert(name.to_owned(), value);
            }
        }
        Self(kept)
    }

    /// A field that was given and good.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All that was given and good, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether the room is a space.
    #[must_use]
    pub fn is_space(&self) -> bool {
        self.get("room_type") == Some("m.space")
    }
}

/// Reads where a web client is, without a slash at its end.
#[must_use]
pub fn web_client(text: &str) -> Option<String> {
    let odd = |c: char| c.is_control() || c.is_whitespace();
    let url = Url::parse(text).ok()?;
    let fine = matches!(url.scheme(), "http" | "https")
        && text.len() <= 1024
        && !text.chars().any(odd)
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    fine.then(|| url.as_str().trim_end_matches('/').to_owned())
}

fn avatar(value: &str) -> Option<String> {
    let url = Url::parse(value).ok()?;
    let fine = matches!(url.scheme(), "mxc" | "http" | "https") && value.len() <= 1024;
    (fine && text(value).as_deref() == Some(value)).then(|| value.to_owned())
}

fn alias(value: &str) -> Option<String> {
    let fine = value.len() <= 255 && value.starts_with('#') && value.contains(':');
    (fine && text(value).as_deref() == Some(value)).then(|| value.to_owned())
}

/// A name that templates can use.
fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_.".contains(&byte);
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(letter)
}

/// The text in one line, without what hides or turns other text; `None` when
/// nothing is left.
fn text(value: &str) -> Option<String> {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
    };
    let shown: String = value
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !hidden(*c))
        .collect();
    let words: Vec<&str> = shown.split_whitespace().collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// At most `most` characters; of a longer text `cut` and an ellipsis (INV-21).
fn shortened(text: &str, most: usize, cut: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut beginning: String = text.chars().take(cut).collect();
    beginning.push('…');
    beginning
}

/// The text so that no mail program makes a link of it (MSG-07): `evil.example`
/// becomes `evil[.]example`.
#[must_use]
pub fn defanged(text: &str) -> String {
    let mut tame = String::with_capacity(text.len() + 8);
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let after = rest.peek().copied().unwrap_or(' ');
        // Dots that a browser takes for one in a host name.
        let dot = matches!(c, '.' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}' | '\u{2024}');
        if dot && before.is_alphanumeric() && after.is_alphabetic() {
            tame.push_str("[.]");
        } else if matches!(c, ':' | '\u{ff1a}') && matches!(after, '/' | '\u{ff0f}') {
            tame.push_str("[:]");
        } else {
            tame.push(c);
        }
        before = c;
    }
    tame
}

#[cfg(test)]
#[path = "invite_tests.rs"]
mod tests;
