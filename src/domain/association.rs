//! Associations between a 3PID and a Matrix ID.

use serde_json::{Map, Value, json};

use super::ids::Mxid;
use super::threepid::ThreePid;

/// How long an association is valid: 100 years of 365 days, in milliseconds.
pub const LIFETIME_MS: i64 = 3_153_600_000_000;

/// How far the clocks of servers that share a database or a mesh may differ, ms:
/// an association that one of them has created must be found by the others at once
/// (BND-10), although its `not_before` may be in their future.
pub const CLOCK_SKEW_MS: i64 = 600_000;

/// The statement that a 3PID belongs to a user. Times are milliseconds since the
/// epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Association {
    /// The 3PID that is bound.
    pub threepid: ThreePid,
    /// The Matrix ID to which it is bound.
    pub mxid: Mxid,
    /// When the association was created.
    pub ts: i64,
    /// The first moment at which it is valid.
    pub not_before: i64,
    /// The first moment at which it is no longer valid.
    pub not_after: i64,
}

impl Association {
    /// Creates an association that is made at and valid from `now` (BND-05).
    #[must_use]
    pub fn new(threepid: ThreePid, mxid: Mxid, now: i64) -> Self {
        Self {
            threepid,
            mxid,
            ts: now,
            not_before: now,
            not_after: now.saturating_add(LIFETIME_MS),
        }
    }

    /// The object to sign. It has exactly the keys of the specification (BND-02).
    #[must_use]
    pub fn to_object(&self) -> Map<String, Value> {
        let object = json!({
            "medium": self.threepid.medium().as_str(),
            "address": self.threepid.address(),
            "mxid": self.mxid,
            "ts": self.ts,
            "not_before": self.not_before,
            "not_after": self.not_after,
        });
        match object {
            Value::Object(object) => object,
            _ => Map::new(),
        }
    }
}

/// Removes the invites that a Python Sydent adds to associations: once a user
/// with invites has bound an address, it adds them to all that it signs later,
/// also for other users. The signatures cover them and go too.
///
/// Returns whether there were any.
pub fn drop_invites(signed: &mut Map<String, Value>) -> bool {
    let had_invites = signed.remove("invites").is_some();
    if had_invites {
        signed.insert("signatures".to_owned(), Value::Object(Map::new()));
    }
    had_invites
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BND-02, BND-05
    #[test]
    fn object_has_the_specified_keys_and_times() {
        let threepid = ThreePid::parse("email", "Alice@Example.com").unwrap();
        let mxid = Mxid::parse("@alice:example.org").unwrap();
        let object = Association::new(threepid, mxid, 1_428_825_849_161).to_object();
        assert_eq!(
            Value::Object(object),
            json!({
                "medium": "email", "address": "alice@example.com", "mxid": "@alice:example.org",
                "ts": 1_428_825_849_161_i64, "not_before": 1_428_825_849_161_i64,
                "not_after": 4_582_425_849_161_i64,
            })
        );
    }

    #[test]
    fn invites_are_dropped_with_the_signatures() {
        let mut signed =
            json!({"mxid": "@a:b", "invites": [{"token": "x"}], "signatures": {"a": {}}});
        let object = signed.as_object_mut().unwrap();
        assert!(drop_invites(object));
        assert!(!drop_invites(object));
        assert_eq!(signed, json!({"mxid": "@a:b", "signatures": {}}));
    }
}
