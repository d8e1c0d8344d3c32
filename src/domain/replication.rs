//! Pushes from other identity servers: changes of the associations there
//! (INT-03).

use std::fmt;

use serde_json::{Map, Value};

use super::association::{Association, drop_invites};
use super::change::RESTATES;
use super::ids::{Mxid, ServerName};
use super::merge::{Binding, Statement};
use super::public_key::PublicKey;
use super::signing::has_signature;
use super::threepid::ThreePid;
use super::{Invalid, canonical_json};

/// The maximum number of associations in one push; Sydent sends at most 100, and
/// this server at most 100 changes of three objects each.
pub const MAX_ASSOCIATIONS: usize = 500;

/// An association as it was received, with the id that the peer gave it.
pub struct WithId {
    /// The id as it was received: digits.
    pub id: String,
    /// The same as a number.
    pub number: i64,
    /// The association; not yet verified.
    pub value: Value,
}

// Not derived: the value contains an address.
impl fmt::Debug for WithId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithId")
            .field("id", &self.id)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// What a peer pushes.
#[derive(Debug)]
pub struct Push {
    /// The associations, in the order in which they apply.
    pub changes: Vec<WithId>,
    /// Whether the peer compares statements, as this server does.
    pub sender_compares: bool,
}

/// Sorts the associations of a push by their ids, which is the order of the
/// changes. Equal numbers stay in the order of their texts.
///
/// # Errors
/// An id is not a whole number.
pub fn sort_by_id(associations: Map<String, Value>) -> Result<Vec<WithId>, Invalid> {
    let mut sorted = Vec::with_capacity(associations.len());
    for (id, value) in associations {
        let has_digits_only = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
        let number = id
            .parse::<i64>()
            .ok()
            .filter(|_| has_digits_only)
            .ok_or(Invalid("the keys of sgAssocs must be whole numbers"))?;
        sorted.push(WithId { id, number, value });
    }
    sorted.sort_by_key(|entry| entry.number);
    Ok(sorted)
}

/// A change that a peer has signed.
#[derive(Clone, PartialEq, Eq)]
pub enum PeerChange {
    /// A 3PID was bound.
    Bound {
        /// The association.
        association: Association,
        /// The association as the peer signed it, in JSON.
        signed: String,
    },
    /// The association of a 3PID was removed.
    Removed {
        /// The 3PID.
        threepid: ThreePid,
        /// When, in milliseconds since the epoch.
        ts: i64,
    },
    /// Nothing: the peer repeats what several servers together say, for servers
    /// that do not compare their statements.
    Restated,
}

/// The changes of a push whose signatures were verified.
#[derive(Debug)]
pub struct VerifiedPush {
    /// The valid changes, each with the number that the peer gave it.
    pub changes: Vec<(i64, PeerChange)>,
    /// The ids of those that are not valid.
    pub skipped: Vec<String>,
    /// Whether the peer compares what several servers state.
    pub sender_compares: bool,
}

/// Why a change of a peer cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The peer has not signed it with its key.
    #[error("an association must be signed by the peer's key")]
    Unsigned,
    /// The content is not valid.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

impl PeerChange {
    /// Verifies that `peer` has signed an association with `key`, and parses it.
    ///
    /// # Errors
    /// The signature or a field is invalid. The sentence does not quote the
    /// association.
    pub fn verify(value: Value, peer: &ServerName, key: &PublicKey) -> Result<Self, Rejection> {
        let Value::Object(object) = value else {
            return Err(Invalid("an association must be an object").into());
        };
        if has_signature(&object, peer.as_str(), key) {
            return Ok(Self::read(object, peer)?);
        }
        let mut content = object;
        content.remove("signatures");
        content.remove("unsigned");
        // Says nothing about the key: nobody can sign it in a form that all verify.
        canonical_json::encode_object(&content)
            .map_err(|_error| Invalid("an association must have a canonical JSON form"))?;
        Err(Rejection::Unsigned)
    }

    fn read(mut object: Map<String, Value>, peer: &ServerName) -> Result<Self, Invalid> {
        if object.get(RESTATES) == Some(&Value::Bool(true)) {
            return Ok(Self::Restated);
        }
        let string = |name| object.get(name).and_then(Value::as_str);
        let (medium, address) = string("medium")
            .zip(string("address"))
            .ok_or(Invalid("medium and address must be strings"))?;
        let threepid = ThreePid::parse(medium, address)?;
        let ts = timestamp(&object, "ts")?;
        let mxid = match object.get("mxid") {
            Some(Value::Null) => return Ok(Self::Removed { threepid, ts }),
            Some(Value::String(mxid)) => Mxid::parse(mxid)?,
            _ => return Err(Invalid("mxid must be a string or null")),
        };
        let association = Association {
            threepid,
            mxid,
            ts,
            not_before: timestamp(&object, "not_before")?,
            not_after: timestamp(&object, "not_after")?,
        };
        remove_unverified(&mut object, peer);
        // Once a user with invites has bound an address, a Sydent adds them to all
        // associations that it signs later, also for other users.
        drop_invites(&mut object);
        Ok(Self::Bound {
            association,
            signed: Value::Object(object).to_string(),
        })
    }

    /// The 3PID that was bound or removed.
    #[must_use]
    pub fn threepid(&self) -> Option<&ThreePid> {
        match self {
            Self::Bound { association, .. } => Some(&association.threepid),
            Self::Removed { threepid, .. } => Some(threepid),
            Self::Restated => None,
        }
    }

    /// What the peer says with it under this number.
    #[must_use]
    pub fn statement(&self, peer: &ServerName, number: i64) -> Option<Statement> {
        let (ts, binding) = match self {
            Self::Bound { association, .. } => {
                let binding = Binding {
                    mxid: association.mxid.to_string(),
                    not_before: association.not_before,
                    not_after: association.not_after,
                };
                (association.ts, Some(binding))
            }
            Self::Removed { ts, .. } => (*ts, None),
            Self::Restated => return None,
        };
        Some(Statement {
            origin: peer.to_string(),
            number,
            ts,
            counts_at: ts,
            binding,
        })
    }
}

// Not derived: the signed form contains the address.
impl fmt::Debug for PeerChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bound { .. } => "Bound(…)",
            Self::Removed { .. } => "Removed(…)",
            Self::Restated => "Restated",
        })
    }
}

/// Reads a time below 2^53, which every JSON parser represents exactly.
fn timestamp(object: &Map<String, Value>, name: &str) -> Result<i64, Invalid> {
    object
        .get(name)
        .and_then(Value::as_i64)
        .filter(|time| (0..1 << 53).contains(time))
        .ok_or(Invalid(
            "ts, not_before and not_after must be times in milliseconds",
        ))
}

/// Removes what is not verified: signatures of other servers, and `unsigned`,
/// which no signature covers.
fn remove_unverified(object: &mut Map<String, Value>, peer: &ServerName) {
    object.remove("unsigned");
    if let Some(signatures) = object.get_mut("signatures").and_then(Value::as_object_mut) {
        signatures.retain(|name, _| name == peer.as_str());
    }
}

#[cfg(test)]
#[path = "replication_tests.rs"]
mod tests;
