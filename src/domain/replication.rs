//! What another identity server tells of the addresses bound there (INT-03).

use std::fmt;

use serde_json::{Map, Value};

use super::Invalid;
use super::association::Association;
use super::ids::{Mxid, ServerName};
use super::public_key::PublicKey;
use super::threepid::ThreePid;

/// The most associations in one push; Sydent sends at most 100.
pub const MOST: usize = 500;

/// An association as it came, under the number that its server gave it.
pub struct WithId {
    /// The number as it was written: digits.
    pub id: String,
    /// What is to be a signed association.
    pub value: Value,
}

// Written by hand: the value holds an address.
impl fmt::Debug for WithId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithId")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The associations of a push in the order of their numbers, which is that in
/// which they happened.
///
/// # Errors
/// A sentence where a number is none.
pub fn in_order(associations: Map<String, Value>) -> Result<Vec<WithId>, Invalid> {
    let mut numbered = Vec::with_capacity(associations.len());
    for (id, value) in associations {
        let digits = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
        let number = id.parse::<i64>().ok().filter(|_| digits);
        let number = number.ok_or(Invalid("the keys of sgAssocs must be whole numbers"))?;
        numbered.push((number, WithId { id, value }));
    }
    numbered.sort_by_key(|(number, _)| *number);
    Ok(numbered.into_iter().map(|(_, one)| one).collect())
}

/// A change that a peer has signed.
#[derive(Clone, PartialEq, Eq)]
pub enum Change {
    /// A 3PID is bound.
    Bound {
        /// What holds.
        association: Association,
        /// The same as the peer signed it, as JSON.
        signed: String,
    },
    /// A 3PID is not bound any more.
    Removed {
        /// Which.
        threepid: ThreePid,
        /// Since when, ms.
        ts: i64,
    },
}

impl Change {
    /// Reads an association and verifies that `peer` has signed it with that key.
    ///
    /// # Errors
    /// A sentence that says what is wrong, and holds nothing of it.
    pub fn read(value: Value, peer: &ServerName, key: &PublicKey) -> Result<Self, Invalid> {
        let Value::Object(mut object) = value else {
            return Err(Invalid("an association must be an object"));
        };
        if !key.signed(peer.as_str(), &object) {
            return Err(Invalid("an association must be signed by the peer's key"));
        }
        let text = |name| object.get(name).and_then(Value::as_str);
        let (medium, address) = text("medium")
            .zip(text("address"))
            .ok_or(Invalid("medium and address must be strings"))?;
        let threepid = ThreePid::parse(medium, address)?;
        let time = |name| {
            object
                .get(name)
                .and_then(Value::as_i64)
                .filter(|time| is_safe(*time))
        };
        let ts = time("ts").ok_or(NO_TIME)?;
        let mxid = match object.get("mxid") {
            Some(Value::Null) => return Ok(Self::Removed { threepid, ts }),
            Some(Value::String(mxid)) => Mxid::parse(mxid)?,
            _ => return Err(Invalid("mxid must be a string or null")),
        };
        let association = Association {
            threepid,
            mxid,
            ts,
            not_before: time("not_before").ok_or(NO_TIME)?,
            not_after: time("not_after").ok_or(NO_TIME)?,
        };
        keep_what_was_signed(&mut object, peer);
        Ok(Self::Bound {
            association,
            signed: Value::Object(object).to_string(),
        })
    }

    /// What was bound, or is not any more.
    #[must_use]
    pub fn threepid(&self) -> &ThreePid {
        match self {
            Self::Bound { association, .. } => &association.threepid,
            Self::Removed { threepid, .. } => threepid,
        }
    }
}

// Written by hand: the signed form holds the address.
impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bound { .. } => "Bound(…)",
            Self::Removed { .. } => "Removed(…)",
        })
    }
}

const NO_TIME: Invalid = Invalid("ts, not_before and not_after must be times in milliseconds");

/// The largest whole number that every reader of JSON takes.
fn is_safe(time: i64) -> bool {
    (0..1 << 53).contains(&time)
}

/// Drops what nobody vouches for: signatures that were not verified, and what
/// no signature covers.
fn keep_what_was_signed(object: &mut Map<String, Value>, peer: &ServerName) {
    object.remove("unsigned");
    if let Some(signatures) = object.get_mut("signatures").and_then(Value::as_object_mut) {
        signatures.retain(|name, _| name == peer.as_str());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::ids::KeyId;
    use crate::domain::signing::KeyPair;

    fn peer() -> ServerName {
        ServerName::parse("peer.example").unwrap()
    }

    fn pair() -> KeyPair {
        KeyPair::from_seed(KeyId::parse("ed25519:0").unwrap(), &[5; 32])
    }

    fn read(value: Value) -> Result<Change, Invalid> {
        let key = PublicKey::parse(&crate::domain::base64::encode(&pair().public())).unwrap();
        Change::read(value, &peer(), &key)
    }

    fn good() -> Value {
        json!({
            "medium": "email", "address": "Alice@Example.com", "mxid": "@alice:example.org",
            "ts": 5, "not_before": 6, "not_after": 7,
        })
    }

    fn signed(change: &[(&str, Value)]) -> Value {
        let Value::Object(mut object) = good() else {
            panic!("an object")
        };
        for (name, value) in change {
            object.insert((*name).to_owned(), value.clone());
        }
        pair().sign(&peer(), &mut object).unwrap();
        Value::Object(object)
    }

    #[test]
    fn int_03_numbers_count_as_numbers() {
        let ids = |value: Value| -> Result<Vec<String>, Invalid> {
            let Value::Object(object) = value else {
                panic!("an object")
            };
            Ok(in_order(object)?.into_iter().map(|one| one.id).collect())
        };
        let ordered = ids(json!({"10": 1, "9": 2, "0": 3, "100": 4})).unwrap();
        assert_eq!(ordered, ["0", "9", "10", "100"]);
        let numbered = in_order(json!({"1": "alice"}).as_object().unwrap().clone()).unwrap();
        assert_eq!(format!("{numbered:?}"), "[WithId { id: \"1\", .. }]");
        for wrong in ["", "-1", "+1", "1.0", " 1", "a", "9223372036854775808"] {
            assert!(ids(json!({wrong: 1})).is_err(), "{wrong}");
        }
    }

    #[test]
    fn int_03_what_is_bound_and_what_is_removed() {
        let Ok(Change::Bound {
            association,
            signed: text,
        }) = read(signed(&[]))
        else {
            panic!("it is bound")
        };
        assert_eq!(association.threepid.address(), "alice@example.com");
        assert_eq!(association.mxid.as_str(), "@alice:example.org");
        let times = (
            association.ts,
            association.not_before,
            association.not_after,
        );
        assert_eq!(times, (5, 6, 7));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), signed(&[]));

        let null = || Value::Null;
        let removal = signed(&[
            ("mxid", null()),
            ("not_before", null()),
            ("not_after", null()),
        ]);
        let removed = read(removal).unwrap();
        assert!(matches!(removed, Change::Removed { ts: 5, .. }));
        assert_eq!(removed.threepid().address(), "alice@example.com");
        assert!(!format!("{removed:?}").contains("alice"));
    }

    #[test]
    fn int_03_what_nobody_vouches_for_is_not_kept() {
        let mut more = signed(&[("more", json!("signed too"))]);
        more["unsigned"] = json!({"a": 1});
        more["signatures"]["other.example"] = json!({"ed25519:0": "x"});
        let Ok(Change::Bound { signed: text, .. }) = read(more) else {
            panic!("it is bound")
        };
        let kept: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(kept, signed(&[("more", json!("signed too"))]));
    }

    #[test]
    fn int_03_what_is_not_sane_is_refused() {
        for (name, value) in [
            ("medium", json!("twitter")),
            ("medium", json!(1)),
            ("address", json!("nobody")),
            ("address", json!(["a@b.example"])),
            ("mxid", json!("alice")),
            ("mxid", json!(false)),
            ("ts", json!("5")),
            ("ts", json!(null)),
            ("ts", json!(-1)),
            ("not_before", json!(null)),
            ("not_after", json!(true)),
        ] {
            assert!(
                read(signed(&[(name, value.clone())])).is_err(),
                "{name} {value}"
            );
        }
        let mut unsigned = signed(&[]);
        unsigned["ts"] = json!(8);
        for wrong in [good(), unsigned, json!(null), json!([]), json!("a")] {
            assert!(read(wrong).is_err());
        }
        let mut without = good();
        without.as_object_mut().unwrap().remove("mxid");
        pair()
            .sign(&peer(), without.as_object_mut().unwrap())
            .unwrap();
        assert!(read(without).is_err());
    }
}
