//! The objects that tell a homeserver of a binding and of the invites that
//! waited for it (section 16 of the conformance list).

use std::fmt;

use serde_json::{Map, Value, json};

use super::ids::Mxid;
use super::threepid::ThreePid;

/// An invite that waited for the binding of its address.
#[derive(Clone, PartialEq, Eq)]
pub struct PendingInvite {
    /// Its token.
    pub token: String,
    /// The room.
    pub room_id: String,
    /// Who sent it.
    pub sender: String,
}

// Written by hand: who has the token can have it signed.
impl fmt::Debug for PendingInvite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingInvite").finish_non_exhaustive()
    }
}

/// What is signed of an invite: that the user is the one whom it was for
/// (ONB-05).
#[must_use]
pub fn signed_part(mxid: &Mxid, token: &str) -> Map<String, Value> {
    object([("mxid", json!(mxid)), ("token", json!(token))])
}

/// An invite as a homeserver reads it (ONB-04); `signed` is its signed part.
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

/// The whole notice, to be signed (ONB-03).
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
    let owned = entries
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    owned.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn onb_03_onb_04_onb_05_what_a_notice_has() {
        let threepid = ThreePid::parse("email", "Alice@example.com").unwrap();
        let mxid = Mxid::parse("@alice:example.org").unwrap();
        let waiting = PendingInvite {
            token: "abc123".to_owned(),
            room_id: "!r:example.org".to_owned(),
            sender: "@bob:example.org".to_owned(),
        };
        let signed = signed_part(&mxid, &waiting.token);
        let invite = invite(&threepid, &mxid, &waiting, &signed);
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
