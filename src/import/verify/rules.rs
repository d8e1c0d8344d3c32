//! Compares a response of the old server with the one of the new server.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::changes::Expected;
use crate::domain::ids::KeyId;
use crate::domain::public_key::PublicKey;
use crate::domain::signing;
use crate::domain::threepid::ThreePid;

/// The response of a server.
pub(crate) struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; `null` if it was not JSON.
    pub body: Value,
}

/// The result of comparing two responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// They are equivalent.
    Equal,
    /// They differ as docs/from-sydent.md says.
    Corrected(Correction),
    /// They differ for another reason.
    Different(&'static str),
}

impl Verdict {
    /// The verdict on two responses about the same subject: a difference counts
    /// before a correction, and that before equality.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Equal | Self::Corrected(_), Self::Different(_)) | (Self::Equal, _) => other,
            _ => self,
        }
    }
}

/// A difference that the import makes on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Correction {
    /// The address is returned in its folded form.
    Folded,
    /// The address is found in any spelling.
    Found,
    /// Of several bindings of an address the newest one is used.
    Newest,
    /// A removal applies to all spellings of the address.
    Removed,
    /// The address or its binding is invalid.
    NotImported,
    /// Sydent has no valid pepper.
    Pepper,
    /// Sydent serves its key only as `ed25519:0`, even if the key has another ID.
    KeyId,
}

impl Correction {
    /// The text for the report.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Folded => "the address is now in lower case and signed again",
            Self::Found => "the address is now found in any spelling",
            Self::Newest => "the newest of several bindings of the address is used",
            Self::Removed => "the removal now applies to all spellings of the address",
            Self::NotImported => "invalid address or Matrix ID, which was not imported",
            Self::Pepper => "the old database has no valid pepper, so a new one was generated",
            Self::KeyId => "the key is now served under the ID that its signatures have",
        }
    }
}

const ONLY_OLD_SUCCEEDS: &str = "only the old server accepts the request";
const ONLY_NEW_SUCCEEDS: &str = "only the new server accepts the request";
const SERVER_ERROR: &str = "a server failed (status 500 or above)";
const ONLY_OLD_FINDS: &str = "only the old server finds a user";
const ONLY_NEW_FINDS: &str = "only the new server finds a user";
const SIGNATURE: &str = "a signature is missing or invalid";

/// Compares responses whose bodies must be equal.
#[must_use]
pub(crate) fn compare_exactly(old: &Answer, new: &Answer) -> Verdict {
    match (old.status, new.status) {
        (200, 200) if old.body == new.body => Verdict::Equal,
        (200, 200) => Verdict::Different("the response bodies differ"),
        (500.., _) | (_, 500..) => Verdict::Different(SERVER_ERROR),
        (200, _) => Verdict::Different(ONLY_OLD_SUCCEEDS),
        (_, 200) => Verdict::Different(ONLY_NEW_SUCCEEDS),
        (old, new) if old == new => Verdict::Equal,
        _ => Verdict::Different("both servers reject the request, with different statuses"),
    }
}

/// Compares responses of an endpoint that the old server has switched off: both
/// servers must reject the request, with any status from 400 to 499.
#[must_use]
pub(crate) fn compare_rejections(old: &Answer, new: &Answer) -> Verdict {
    match (old.status, new.status) {
        (400..500, 400..500) => Verdict::Equal,
        _ => compare_exactly(old, new),
    }
}

/// Compares responses of `pubkey/{id}`, where the old server's key is `key`.
#[must_use]
pub(crate) fn compare_key(old: &Answer, new: &Answer, key: &PublicKey) -> Verdict {
    match (has_key(old, key), has_key(new, key)) {
        (true, true) => Verdict::Equal,
        (false, true) if old.status == 404 => Verdict::Corrected(Correction::KeyId),
        (_, false) => Verdict::Different("the new server does not serve the old server's key"),
        _ => Verdict::Different("the old server serves another key under this ID"),
    }
}

fn has_key(answer: &Answer, key: &PublicKey) -> bool {
    let public_key = answer.body.get("public_key").and_then(Value::as_str);
    answer.status == 200 && public_key.and_then(PublicKey::from_base64).as_ref() == Some(key)
}

/// Compares responses of `hash_details`. `has_pepper` is whether the old database
/// has a valid pepper.
#[must_use]
pub(crate) fn compare_hash_details(old: &Answer, new: &Answer, has_pepper: bool) -> Verdict {
    if (old.status, new.status) != (200, 200) {
        return compare_exactly(old, new);
    }
    if !algorithms(old).is_subset(&algorithms(new)) {
        return Verdict::Different("the new server lacks an algorithm of the old one");
    }
    match (old.body.get("lookup_pepper"), new.body.get("lookup_pepper")) {
        (old, new) if old == new => Verdict::Equal,
        (_, Some(_)) if !has_pepper => Verdict::Corrected(Correction::Pepper),
        _ => Verdict::Different("the peppers differ, so hashes that clients stored do not match"),
    }
}

fn algorithms(answer: &Answer) -> BTreeSet<&str> {
    let list = answer.body.get("algorithms").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// Compares the signed associations of a v1 lookup with each other and with what
/// is expected. `key` is the old server's key.
#[must_use]
pub(crate) fn compare_signed(
    old: &Answer,
    new: &Answer,
    expected: &Expected,
    key: &PublicKey,
) -> Verdict {
    if old.status >= 500 && new.status == 200 && *expected == Expected::NotImported {
        // Sydent fails on a signed association that it cannot read.
        return match association(&new.body) {
            None => Verdict::Corrected(Correction::NotImported),
            Some(_) => Verdict::Different(ONLY_NEW_FINDS),
        };
    }
    if (old.status, new.status) != (200, 200) {
        return compare_exactly(old, new);
    }
    if old.body == new.body {
        return Verdict::Equal;
    }
    let (old, new) = (association(&old.body), association(&new.body));
    match (old, new) {
        (None, None) => Verdict::Equal,
        (Some(_), None) => judge_missing(expected),
        (_, Some(new)) if !is_as_expected(new, expected) => match old {
            Some(old) if unsigned(old) == unsigned(new) => compare_signatures(old, new, key),
            Some(_) => Verdict::Different("the signed associations differ"),
            None => Verdict::Different(ONLY_NEW_FINDS),
        },
        (None, Some(new)) if valid_signers(new, key).is_empty() => Verdict::Different(SIGNATURE),
        (None, Some(_)) => Verdict::Corrected(Correction::Found),
        (Some(old), Some(new)) => match compare_signatures(old, new, key) {
            Verdict::Equal if unsigned(old) == unsigned(new) => Verdict::Equal,
            Verdict::Equal if differs_only_in_address(old, new) => {
                Verdict::Corrected(Correction::Folded)
            }
            Verdict::Equal => Verdict::Corrected(Correction::Newest),
            different => different,
        },
    }
}

/// The association in the body, which is an empty object if there is none.
fn association(body: &Value) -> Option<&Map<String, Value>> {
    body.as_object()
        .filter(|object| object.contains_key("mxid"))
}

fn unsigned(signed: &Map<String, Value>) -> Map<String, Value> {
    let mut object = signed.clone();
    object.remove("signatures");
    object
}

fn differs_only_in_address(old: &Map<String, Value>, new: &Map<String, Value>) -> bool {
    let [old, new] = [old, new].map(|signed| {
        let mut object = unsigned(signed);
        object.remove("address");
        object
    });
    old == new
}

fn is_as_expected(new: &Map<String, Value>, expected: &Expected) -> bool {
    let Expected::Bound(association) = expected else {
        return false;
    };
    let text = |name: &str| new.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| new.get(name).and_then(Value::as_i64);
    // Parsed, because the spelling of a replicated association, which another
    // server has signed, stays.
    let threepid = ThreePid::parse(text("medium"), text("address"));
    threepid.as_ref() == Ok(&association.threepid)
        && text("mxid") == association.mxid.as_str()
        && number("ts") == Some(association.ts)
        && number("not_before") == Some(association.not_before)
        && number("not_after") == Some(association.not_after)
}

/// The new association must have a valid signature by `key`. If the content is the
/// same, it must have all those of the old one, and other signatures must be the
/// same too: only the key of another server can check those.
fn compare_signatures(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    key: &PublicKey,
) -> Verdict {
    let is_same_content = unsigned(old) == unsigned(new);
    let (valid_old, valid_new) = (valid_signers(old, key), valid_signers(new, key));
    let others_are_kept = signers(old)
        .iter()
        .filter(|signer| !valid_new.contains(signer))
        .all(|signer| !is_same_content || signature(old, signer) == signature(new, signer));
    let own_are_kept = !is_same_content || valid_old.is_subset(&valid_new);
    if !valid_new.is_empty() && own_are_kept && others_are_kept {
        Verdict::Equal
    } else {
        Verdict::Different(SIGNATURE)
    }
}

fn signature<'a>(
    signed: &'a Map<String, Value>,
    (name, id): &(String, String),
) -> Option<&'a Value> {
    signed.get("signatures")?.get(name)?.get(id)
}

/// The server name and key ID of each signature.
fn signers(signed: &Map<String, Value>) -> BTreeSet<(String, String)> {
    let by_server = signed.get("signatures").and_then(Value::as_object);
    let mut signers = BTreeSet::new();
    for (name, by_key) in by_server.into_iter().flatten() {
        for id in by_key.as_object().into_iter().flat_map(Map::keys) {
            signers.insert((name.clone(), id.clone()));
        }
    }
    signers
}

/// The server name and key ID of each signature that `key` made.
pub(super) fn valid_signers(
    signed: &Map<String, Value>,
    key: &PublicKey,
) -> BTreeSet<(String, String)> {
    let mut signers = signers(signed);
    signers.retain(|(name, id)| {
        KeyId::parse(id).is_ok_and(|id| signing::verify(signed, name, &id, key))
    });
    signers
}

/// Compares the user of an address on the new server with the users on the old
/// one, which may return several.
#[must_use]
pub(crate) fn compare_users(old: &[&str], new: Option<&str>, expected: &Expected) -> Verdict {
    let old: BTreeSet<&str> = old.iter().copied().collect();
    let Some(new) = new else {
        return if old.is_empty() {
            Verdict::Equal
        } else {
            judge_missing(expected)
        };
    };
    if old.len() == 1 && old.contains(new) {
        return Verdict::Equal;
    }
    let is_expected = matches!(
        expected,
        Expected::Bound(association) if association.mxid.as_str() == new
    );
    match (is_expected, old.is_empty()) {
        (true, true) => Verdict::Corrected(Correction::Found),
        (true, false) => Verdict::Corrected(Correction::Newest),
        (false, true) => Verdict::Different(ONLY_NEW_FINDS),
        (false, false) => Verdict::Different("the servers find different users"),
    }
}

/// The verdict if only the old server finds a user.
fn judge_missing(expected: &Expected) -> Verdict {
    match expected {
        Expected::Removed => Verdict::Corrected(Correction::Removed),
        Expected::NotImported => Verdict::Corrected(Correction::NotImported),
        Expected::Bound(_) | Expected::Unbound => Verdict::Different(ONLY_OLD_FINDS),
    }
}

/// The users in the response of a v1 bulk lookup, by medium and address. Addresses
/// are in lower case, because Sydent ignores case and returns the stored spelling.
#[must_use]
pub(crate) fn users_in_bulk(body: &Value) -> HashMap<(String, String), Vec<&str>> {
    let mut users: HashMap<_, Vec<&str>> = HashMap::new();
    let entries = body.get("threepids").and_then(Value::as_array);
    for entry in entries.into_iter().flatten() {
        let texts: Vec<&str> = entry
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if let &[medium, address, mxid] = texts.as_slice() {
            let threepid = (medium.to_owned(), address.to_ascii_lowercase());
            users.entry(threepid).or_default().push(mxid);
        }
    }
    users
}

/// The users in the response of a hashed lookup, by hash.
#[must_use]
pub(crate) fn users_in_mappings(body: &Value) -> HashMap<&str, &str> {
    let mappings = body.get("mappings").and_then(Value::as_object);
    mappings
        .into_iter()
        .flatten()
        .filter_map(|(hash, mxid)| Some((hash.as_str(), mxid.as_str()?)))
        .collect()
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
