//! Invitations of addresses to rooms: the fields of a request (section 15 of the
//! conformance list).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::Invalid;
use super::shown_text::{one_line, shorten};

/// The id of a room. Its format is not validated: ids of newer room versions
/// contain no server name, and only the homeserver knows its rooms (INV-04).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct RoomId(String);

parse_from_string!(RoomId);

impl RoomId {
    /// Parses a room id: 1 to 255 bytes without control characters.
    ///
    /// # Errors
    /// It is anything else.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if !(1..=255).contains(&text.len()) || text.contains(char::is_control) {
            return Err(Invalid("must be a room id, 1 to 255 bytes"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The room id, unchanged.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The field with the URL of the web client of a homeserver (INV-05).
pub const WEB_CLIENT: &str = "org.matrix.web_client_location";

/// Parameters of the request that are not fields of the invitation.
const PARAMETERS: [&str; 6] = [
    "medium",
    "address",
    "room_id",
    "sender",
    "access_token",
    "brand",
];

/// Limits of fields that this server does not know: their number, and the
/// lengths of their names in bytes and of their values in characters.
const MAX_UNKNOWN_FIELDS: usize = 30;
const MAX_NAME: usize = 64;
const MAX_VALUE: usize = 500;

/// The fields of a request that describe the room and the sender, limited in
/// number and length. `Debug` shows only their number, since clients choose
/// their names.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InviteFields(BTreeMap<String, String>);

impl fmt::Debug for InviteFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InviteFields({} …)", self.0.len())
    }
}

impl InviteFields {
    /// Keeps the valid fields of a request. Homeservers send empty strings and
    /// unchecked content of room events, so a value that is malformed or not a
    /// string counts as absent (INV-03).
    pub fn from_request<'a>(fields: impl Iterator<Item = (&'a str, &'a Value)>) -> Self {
        let mut valid = BTreeMap::new();
        let mut unknown = 0;
        for (name, value) in fields {
            let Some(value) = value.as_str() else {
                continue;
            };
            let normalized = match name {
                _ if PARAMETERS.contains(&name) => None,
                "sender_display_name" => one_line(value).map(|name| shorten(&name, 20, 19)),
                "room_name" => one_line(value).map(|name| shorten(&name, 30, 25)),
                "room_avatar_url" | "sender_avatar_url" => avatar_url(value),
                "room_alias" => room_alias(value),
                "room_type" | "room_join_rules" => {
                    one_line(value).filter(|value| value.len() <= 255)
                }
                WEB_CLIENT => web_client(value),
                _ if unknown == MAX_UNKNOWN_FIELDS || !is_field_name(name) => None,
                _ => {
                    unknown += 1;
                    one_line(value).map(|value| shorten(&value, MAX_VALUE, MAX_VALUE))
                }
            };
            if let Some(value) = normalized {
                valid.insert(name.to_owned(), value);
            }
        }
        Self(valid)
    }

    /// The value of a field, if the request had a valid one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All fields by name.
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

/// Parses the URL of a web client and removes trailing slashes. `None` unless it
/// is an http or https URL without login, query and fragment.
#[must_use]
pub fn web_client(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let is_valid = matches!(url.scheme(), "http" | "https")
        && text.len() <= 1024
        && !text.contains(|c: char| c.is_control() || c.is_whitespace())
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    is_valid.then(|| url.as_str().trim_end_matches('/').to_owned())
}

fn avatar_url(value: &str) -> Option<String> {
    let url = Url::parse(value).ok()?;
    let is_valid = matches!(url.scheme(), "mxc" | "http" | "https")
        && value.len() <= 1024
        && is_one_line(value);
    is_valid.then(|| value.to_owned())
}

fn room_alias(value: &str) -> Option<String> {
    let is_valid =
        value.len() <= 255 && value.starts_with('#') && value.contains(':') && is_one_line(value);
    is_valid.then(|| value.to_owned())
}

/// Whether templates can use the field under this name.
fn is_field_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(&byte))
}

fn is_one_line(value: &str) -> bool {
    one_line(value).as_deref() == Some(value)
}

#[cfg(test)]
#[path = "invite_tests.rs"]
mod tests;
