//! Changes of associations, as this server pushes them to other identity
//! servers (INT-03).

use serde_json::{Map, Value, json};

use super::association::CLOCK_SKEW_MS;

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
    /// What all servers together say about the 3PID, if others said something.
    pub answer: Option<ChangeKind>,
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

/// The field that marks an object as no statement of its signer: it only repeats
/// what several servers together say, for servers that do not compare their
/// statements as `domain::merge` does.
pub const RESTATES: &str = "restates";

/// The field of a push that says that its sender compares statements, as this server
/// does. Whether a peer is a Python Sydent is known by its absence, at each push: a
/// server may be replaced under the same name.
pub const COMPARES: &str = "compares";

/// An object to sign, and the key in a push under which it is sent.
pub type Numbered = (String, Map<String, Value>);

impl Change {
    /// The objects to sign and push, in their order; none if this server does not
    /// push the change.
    ///
    /// A Python Sydent removes the bindings of all servers when one removes its own,
    /// never deletes the older bindings of an address otherwise, and forgets removals.
    /// So after this server's own statement, the answer of all servers follows a
    /// removal: a Sydent has exactly that one then. Sydent orders the keys of a push
    /// as numbers and keeps the order of equal ones, so all have the number of the
    /// change, with leading zeros.
    #[must_use]
    pub fn to_objects(&self) -> Vec<Numbered> {
        if self.kind == ChangeKind::NotOurs {
            return Vec::new();
        }
        let own = self.object(&self.kind, false);
        let mut objects = Vec::with_capacity(3);
        match &self.answer {
            None => objects.push(own),
            Some(answer) => {
                let is_own = *answer == self.kind;
                if !is_own {
                    objects.push(own.clone());
                }
                // A removal of this server is enough.
                if matches!(self.kind, ChangeKind::Bound { .. }) {
                    let at = answer.changed_at().unwrap_or_default();
                    objects.push(self.object(&ChangeKind::Removed { at }, true));
                }
                if is_own {
                    objects.push(own);
                } else if matches!(answer, ChangeKind::Bound { .. }) {
                    objects.push(self.object(answer, true));
                }
            }
        }
        let zeros = |index: usize| "0".repeat(index);
        let last = objects.len().saturating_sub(1);
        let numbered = objects.into_iter().enumerate();
        numbered
            .map(|(index, object)| {
                let key = format!("{}{}", zeros(last.saturating_sub(index)), self.id);
                (key, object)
            })
            .collect()
    }

    fn object(&self, kind: &ChangeKind, restates: bool) -> Map<String, Value> {
        let (mxid, ts, not_before, not_after) = match kind {
            ChangeKind::Bound {
                mxid,
                ts,
                not_before,
                not_after,
            } => {
                // A Sydent whose clock is behind does not find what is not valid yet.
                let not_before = not_before.saturating_sub(CLOCK_SKEW_MS).max(0);
                (Some(mxid), *ts, Some(not_before), Some(*not_after))
            }
            ChangeKind::Removed { at } => (None, *at, None, None),
            ChangeKind::NotOurs => (None, 0, None, None),
        };
        let object = json!({
            "medium": self.medium,
            "address": self.address,
            "mxid": mxid,
            "ts": ts,
            "not_before": not_before,
            "not_after": not_after,
        });
        let mut object = match object {
            Value::Object(object) => object,
            _ => Map::new(),
        };
        if restates {
            object.insert(RESTATES.to_owned(), true.into());
        }
        object
    }

    /// When the change happened; `None` if this server does not push it.
    #[must_use]
    pub fn changed_at(&self) -> Option<i64> {
        self.kind.changed_at()
    }
}

impl ChangeKind {
    fn changed_at(&self) -> Option<i64> {
        match self {
            Self::Bound { ts, .. } => Some(*ts),
            Self::Removed { at } => Some(*at),
            Self::NotOurs => None,
        }
    }
}

/// The body of a push: signed objects by their keys.
#[must_use]
pub fn push_body(signed: impl IntoIterator<Item = Numbered>) -> Value {
    let by_id: Map<String, Value> = signed
        .into_iter()
        .map(|(key, object)| (key, Value::Object(object)))
        .collect();
    json!({ "sgAssocs": by_id, COMPARES: true })
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
            answer: None,
        }
    }

    /// The key of an object, what it says, and whether it only restates.
    type Said = (&'static str, Option<&'static str>, i64, bool);

    fn bound(mxid: &str, ts: i64) -> ChangeKind {
        ChangeKind::Bound {
            mxid: mxid.to_owned(),
            ts,
            not_before: CLOCK_SKEW_MS + 2,
            not_after: 3,
        }
    }

    /// INT-03
    #[test]
    fn push_contains_bindings_and_removals() {
        let bound = change(9, bound("@alice:example.org", 1));
        let removed = change(10, ChangeKind::Removed { at: 4 });
        let objects = [bound, removed].map(|change| change.to_objects());
        assert_eq!(
            push_body(objects.concat()),
            json!({"compares": true, "sgAssocs": {
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

    /// INT-03
    #[test]
    fn answer_of_all_servers_is_restated() {
        let removed = |at| ChangeKind::Removed { at };
        let (own, other) = (bound("@a:hs", 1), bound("@b:hs", 2));
        let cases: [(ChangeKind, ChangeKind, Vec<Said>); 6] = [
            (
                own.clone(),
                own.clone(),
                vec![("07", None, 1, true), ("7", Some("@a:hs"), 1, false)],
            ),
            (
                own.clone(),
                other.clone(),
                vec![
                    ("007", Some("@a:hs"), 1, false),
                    ("07", None, 2, true),
                    ("7", Some("@b:hs"), 2, true),
                ],
            ),
            (
                own.clone(),
                removed(2),
                vec![("07", Some("@a:hs"), 1, false), ("7", None, 2, true)],
            ),
            (removed(1), removed(1), vec![("7", None, 1, false)]),
            (removed(1), removed(2), vec![("7", None, 1, false)]),
            (
                removed(1),
                other,
                vec![("07", None, 1, false), ("7", Some("@b:hs"), 2, true)],
            ),
        ];
        for (kind, answer, expected) in cases {
            let change = Change {
                answer: Some(answer),
                ..change(7, kind)
            };
            let objects = change.to_objects();
            let said: Vec<_> = objects
                .iter()
                .map(|(key, object)| {
                    let ts = object["ts"].as_i64().unwrap();
                    let restates = object.contains_key(RESTATES);
                    (key.as_str(), object["mxid"].as_str(), ts, restates)
                })
                .collect();
            assert_eq!(said, expected, "{objects:?}");
        }
    }

    #[test]
    fn foreign_changes_are_not_pushed() {
        assert!(change(1, ChangeKind::NotOurs).to_objects().is_empty());
    }
}
