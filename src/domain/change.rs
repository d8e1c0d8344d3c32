//! Changes of associations, as other identity servers are told of them
//! (INT-03).

use serde_json::{Map, Value, json};

/// What became of the association of a 3PID with this server as its origin.
/// Times are ms since the epoch.
// No Debug: it holds an address.
#[derive(Clone, PartialEq, Eq)]
pub struct Change {
    /// Its number: later changes have greater ones.
    pub id: i64,
    /// The medium of the 3PID.
    pub medium: String,
    /// Its address.
    pub address: String,
    /// What holds now.
    pub what: What,
}

/// What holds of a 3PID.
#[derive(Clone, PartialEq, Eq)]
pub enum What {
    /// It belongs to a user.
    Stated {
        /// Whose it is.
        mxid: String,
        /// When that was stated.
        ts: i64,
        /// The first moment at which it holds.
        not_before: i64,
        /// The first moment at which it no longer holds.
        not_after: i64,
    },
    /// It was taken from its user.
    Removed {
        /// When.
        at: i64,
    },
    /// This server does not speak for it under its present name.
    NotOurs,
}

impl Change {
    /// The object that is to be signed, if there is anything to tell.
    #[must_use]
    pub fn to_object(&self) -> Option<Map<String, Value>> {
        let (mxid, ts, not_before, not_after) = match &self.what {
            What::Stated {
                mxid,
                ts,
                not_before,
                not_after,
            } => (Some(mxid), *ts, Some(*not_before), Some(*not_after)),
            What::Removed { at } => (None, *at, None, None),
            What::NotOurs => return None,
        };
        let object = json!({
            "medium": self.medium,
            "address": self.address,
            "mxid": mxid,
            "ts": ts,
            "not_before": not_before,
            "not_after": not_after,
        });
        match object {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    /// When it was made, ms.
    #[must_use]
    pub fn made_at(&self) -> Option<i64> {
        match &self.what {
            What::Stated { ts, .. } => Some(*ts),
            What::Removed { at } => Some(*at),
            What::NotOurs => None,
        }
    }
}

/// What a peer is sent: signed objects by the numbers of their changes.
#[must_use]
pub fn push(signed: impl IntoIterator<Item = (i64, Map<String, Value>)>) -> Value {
    let by_id: Map<String, Value> = signed
        .into_iter()
        .map(|(id, object)| (id.to_string(), Value::Object(object)))
        .collect();
    json!({ "sgAssocs": by_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(id: i64, what: What) -> Change {
        Change {
            id,
            medium: "email".to_owned(),
            address: "alice@example.com".to_owned(),
            what,
        }
    }

    #[test]
    fn int_03_what_was_stated_and_what_was_removed() {
        let stated = change(
            9,
            What::Stated {
                mxid: "@alice:example.org".to_owned(),
                ts: 1,
                not_before: 2,
                not_after: 3,
            },
        );
        let removed = change(10, What::Removed { at: 4 });
        let objects = [stated, removed].map(|change| (change.id, change.to_object().unwrap()));
        assert_eq!(
            push(objects),
            json!({"sgAssocs": {
                "9": {
                    "medium": "email", "address": "alice@example.com",
                    "mxid": "@alice:example.org", "ts": 1, "not_before": 2, "not_after": 3,
                },
                "10": {
                    "medium": "email", "address": "alice@example.com",
                    "mxid": null, "ts": 4, "not_before": null, "not_after": null,
                },
            }})
        );
    }

    #[test]
    fn nothing_is_told_of_what_this_server_does_not_speak_for() {
        assert!(change(1, What::NotOurs).to_object().is_none());
    }
}
