//! The JSON of onbind notifications: a homeserver learns that an address was bound
//! to its user, and which invites were pending for it (section 16 of the
//! conformance list).

use std::fmt;

use serde_json::{Map, Value, json};

use super::ids::Mxid;
use super::threepid::ThreePid;

/// An invite that was pending until its address was bound.
#[derive(Clone, PartialEq, Eq)]
pub struct PendingInvite {
    /// The token of the invite.
    pub token: String,
    /// The room.
    pub room_id: String,
    /// The Matrix ID of the inviter.
    pub sender: String,
}

// Not derived: with the token, anyone can obtain the signature.
impl fmt::Debug for PendingInvite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingInvite").finish_non_exhaustive()
    }
}

/// The part of an invite to sign: the statement that the user owns the invited
/// address (ONB-05).
#[must_use]
pub fn signed_part(mxid: &Mxid, token: &str) -> Map<String, Value> {
    object([("mxid", json!(mxid)), ("token", json!(token))])
}

/// An invite in the notification (ONB-04); `signed` is its signed part.
#[must_use]
pub fn invite(
    threepid: &ThreePid,
    mxid: &Mxid,
    invite: &PendingInvite,
    signed: &Map<String, Value>,
) -> Value {
    json!({
        "medium": threepid.medium().as_str(),
        "address": threepid.address(),
        "mxid": mxid,
        "room_id": invite.room_id,
        "sender": invite.sender,
        "token": invite.token,
        "signed": signed,
    })
}

/// The notification, before it is signed (ONB-03).
#[must_use]
pub fn body(threepid: &ThreePid, mxid: &Mxid, invites: Vec<Value>) -> Map<String, Value> {
    object([
        ("medium", json!(threepid.medium().as_str())),
        ("address", json!(threepid.address())),
        ("mxid", json!(mxid)),
        ("invites", Value::Array(invites)),
    ])
}

fn object<const N: usize>(entries: [(&str, Value); N]) -> Map<String, Value> {
    entries
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ONB-03, ONB-04, ONB-05
    #[test]
    fn body_has_the_specified_fields() {
        let threepid = ThreePid::parse("email", "Alice@example.com").unwrap();
        let mxid = Mxid::parse("@alice:example.org").unwrap();
        let pending = PendingInvite {
            token: "abc123".to_owned(),
            room_id: "!r:example.org".to_owned(),
            sender: "@bob:example.org".to_owned(),
        };
        let signed = signed_part(&mxid, &pending.token);
        let invite = invite(&threepid, &mxid, &pending, &signed);
        let whole = Value::Object(body(&threepid, &mxid, vec![invite]));
        let expected = json!({
            "medium": "email", "address": "alice@example.com", "mxid": "@alice:example.org",
            "invites": [{
                "medium": "email", "address": "alice@example.com", "mxid": "@alice:example.org",
                "room_id": "!r:example.org", "sender": "@bob:example.org", "token": "abc123",
                "signed": {"mxid": "@alice:example.org", "token": "abc123"},
            }],
        });
        assert_eq!(whole, expected);
        assert_eq!(body(&threepid, &mxid, Vec::new())["invites"], json!([]));
    }
}
