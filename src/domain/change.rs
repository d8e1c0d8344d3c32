//! Changes of associations, as this server pushes them to other identity
//! servers (INT-03).

use serde_json::{Map, Value, json};

/// The latest change of a 3PID whose association originates at this server.
/// Times are milliseconds since the epoch.
// No Debug, since it contains an address.
#[derive(Clone, PartialEq, Eq)]
pub struct Change {
    /// The id of the change; later changes have greater ids.
    pub id: i64,
    /// The medium of the 3PID.
    pub medium: String,
    /// The address of the 3PID.
    pub address: String,
    /// What changed.
    pub kind: ChangeKind,
}

/// What changed for a 3PID.
#[derive(Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was bound to a user.
    Bound {
        /// The Matrix ID of the user.
        mxid: String,
        /// When it was bound.
        ts: i64,
        /// The first moment at which the association is valid.
        not_before: i64,
        /// The first moment at which it is no longer valid.
        not_after: i64,
    },
    /// The association was removed.
    Removed {
        /// When.
        at: i64,
    },
    /// The association does not originate at this server under its present name,
    /// so this server does not push it.
    NotOurs,
}

impl Change {
    /// The object to sign and push; `None` if this server does not push the
    /// change.
    #[must_use]
    pub fn to_object(&self) -> Option<Map<String, Value>> {
        let (mxid, ts, not_before, not_after) = match &self.kind {
            ChangeKind::Bound {
                mxid,
                ts,
                not_before,
                not_after,
            } => (Some(mxid), *ts, Some(*not_before), Some(*not_after)),
            ChangeKind::Removed { at } => (None, *at, None, None),
            ChangeKind::NotOurs => return None,
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

    /// When the change happened; `None` if this server does not push it.
    #[must_use]
    pub fn changed_at(&self) -> Option<i64> {
        match &self.kind {
            ChangeKind::Bound { ts, .. } => Some(*ts),
            ChangeKind::Removed { at } => Some(*at),
            ChangeKind::NotOurs => None,
        }
    }
}

/// The body of a push: signed objects by the ids of their changes.
#[must_use]
pub fn push_body(signed: impl IntoIterator<Item = (i64, Map<String, Value>)>) -> Value {
    let by_id: Map<String, Value> = signed
        .into_iter()
        .map(|(id, object)| (id.to_string(), Value::Object(object)))
        .collect();
    json!({ "sgAssocs": by_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(id: i64, kind: ChangeKind) -> Change {
        Change {
            id,
            medium: "email".to_owned(),
            address: "alice@example.com".to_owned(),
            kind,
        }
    }

    /// INT-03
    #[test]
    fn push_contains_bindings_and_removals() {
        let bound = change(
            9,
            ChangeKind::Bound {
                mxid: "@alice:example.org".to_owned(),
                ts: 1,
                not_before: 2,
                not_after: 3,
            },
        );
        let removed = change(10, ChangeKind::Removed { at: 4 });
        let objects = [bound, removed].map(|change| (change.id, change.to_object().unwrap()));
        assert_eq!(
            push_body(objects),
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
    fn foreign_changes_are_not_pushed() {
        assert!(change(1, ChangeKind::NotOurs).to_object().is_none());
    }
}
