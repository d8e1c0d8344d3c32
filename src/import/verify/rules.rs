//! How an answer of the new server compares with the old one's.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::changes::Expected;
use crate::domain::base64;
use crate::domain::ids::KeyId;
use crate::domain::signing;
use crate::domain::threepid::ThreePid;

/// What a server answered.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; `null` when it was no JSON.
    pub body: Value,
}

/// How two answers compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They say the same.
    Equal,
    /// The new one says what the guide promises, which the old one did not.
    Corrected(Correction),
    /// They differ, for a reason that is no such promise.
    Different(&'static str),
}

/// What is corrected on the way from one server to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Correction {
    /// The address is written in its folded form.
    Folded,
    /// The address is found in whatever spelling.
    Found,
    /// Of several bindings of one address the newest counts.
    Newest,
    /// A removal counts for every spelling.
    Removed,
    /// What the import could not use.
    LeftBehind,
    /// Sydent had no pepper that could be taken over.
    Pepper,
    /// Sydent knows its key under one id only, whatever the key's id is.
    KeyId,
}

impl Correction {
    /// What became different, as people read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Folded => "the address is written in lower case, and signed so",
            Self::Found => "the address is found, however it was written",
            Self::Newest => "of several bindings of the address the newest counts",
            Self::Removed => "the address was removed, and is gone in every spelling",
            Self::LeftBehind => "it is no address or no user, and was left behind",
            Self::Pepper => "the database had no usable pepper, so there is a new one",
            Self::KeyId => "the key is found under its id",
        }
    }
}

const OLD_ONLY: &str = "the new server refuses what the old one answers";
const NEW_ONLY: &str = "the new server answers what the old one refuses";
const FAILED: &str = "a server failed";

/// Answers that must be the same in every word.
#[must_use]
pub fn same(old: &Answer, new: &Answer) -> Verdict {
    match (old.status, new.status) {
        (200, 200) if old.body == new.body => Verdict::Equal,
        (200, 200) => Verdict::Different("the answers differ"),
        (500.., _) | (_, 500..) => Verdict::Different(FAILED),
        (200, _) => Verdict::Different(OLD_ONLY),
        (_, 200) => Verdict::Different(NEW_ONLY),
        (old, new) if old == new => Verdict::Equal,
        _ => Verdict::Different("they refuse for different reasons"),
    }
}

/// Answers where the old server refuses whatever is asked, for whatever reason.
#[must_use]
pub fn off(old: &Answer, new: &Answer) -> Verdict {
    match (old.status, new.status) {
        (400..500, 400..500) => Verdict::Equal,
        _ => same(old, new),
    }
}

/// `pubkey/{id}`, where the old server's key is known to be `key`.
#[must_use]
pub fn key_by_id(old: &Answer, new: &Answer, key: &[u8; 32]) -> Verdict {
    let is_key = |answer: &Answer| {
        let found = answer.body.get("public_key").and_then(Value::as_str);
        answer.status == 200 && found.and_then(base64::decode_key).as_ref() == Some(key)
    };
    match (is_key(old), is_key(new)) {
        (true, true) => Verdict::Equal,
        (false, true) if old.status == 404 => Verdict::Corrected(Correction::KeyId),
        (_, false) => Verdict::Different("the new server does not have the key"),
        _ => Verdict::Different("the old server has another key"),
    }
}

/// `hash_details`; `known` says that the old database had a usable pepper.
#[must_use]
pub fn hash_details(old: &Answer, new: &Answer, known: bool) -> Verdict {
    if (old.status, new.status) != (200, 200) {
        return same(old, new);
    }
    let algorithms = |answer: &Answer| -> BTreeSet<String> {
        let list = answer.body.get("algorithms").and_then(Value::as_array);
        let names = list.into_iter().flatten().filter_map(Value::as_str);
        names.map(str::to_owned).collect()
    };
    if !algorithms(old).is_subset(&algorithms(new)) {
        return Verdict::Different("the new server does not know each algorithm");
    }
    match (old.body.get("lookup_pepper"), new.body.get("lookup_pepper")) {
        (old, new) if old == new => Verdict::Equal,
        (_, Some(_)) if !known => Verdict::Corrected(Correction::Pepper),
        _ => Verdict::Different("the pepper is another, so that stored hashes are worth nothing"),
    }
}

/// The signed association of v1, where the database makes one expect something
/// and the key is the old server's.
#[must_use]
pub fn signed(old: &Answer, new: &Answer, expected: &Expected, key: &[u8; 32]) -> Verdict {
    if (old.status, new.status) != (200, 200) {
        return same(old, new);
    }
    if old.body == new.body {
        return Verdict::Equal;
    }
    let (old, new) = (stated(&old.body), stated(&new.body));
    match (old, new) {
        (None, None) => Verdict::Equal,
        (Some(_), None) => missing(expected),
        (_, Some(new)) if !is_as_expected(new, expected) => match old {
            Some(old) if text(old) == text(new) => signatures(old, new, key),
            Some(_) => Verdict::Different("they state different things"),
            None => Verdict::Different(EXTRA),
        },
        (None, Some(new)) if good(new, key).is_empty() => Verdict::Different(UNSIGNED),
        (None, Some(_)) => Verdict::Corrected(Correction::Found),
        (Some(old), Some(new)) => match signatures(old, new, key) {
            Verdict::Equal if text(old) == text(new) => Verdict::Equal,
            Verdict::Equal if differ_in_spelling(old, new) => {
                Verdict::Corrected(Correction::Folded)
            }
            Verdict::Equal => Verdict::Corrected(Correction::Newest),
            bad => bad,
        },
    }
}

const EXTRA: &str = "the new server finds somebody where the old one finds nobody";
const UNSIGNED: &str = "a signature is missing or not good";

/// What is stated, or none for nobody.
fn stated(body: &Value) -> Option<&Map<String, Value>> {
    body.as_object()
        .filter(|object| object.contains_key("mxid"))
}

fn text(object: &Map<String, Value>) -> Map<String, Value> {
    let mut bare = object.clone();
    bare.remove("signatures");
    bare
}

fn differ_in_spelling(old: &Map<String, Value>, new: &Map<String, Value>) -> bool {
    let without = |object: &Map<String, Value>| {
        let mut bare = text(object);
        bare.remove("address");
        bare
    };
    without(old) == without(new)
}

fn is_as_expected(new: &Map<String, Value>, expected: &Expected) -> bool {
    let Expected::Bound(association) = expected else {
        return false;
    };
    let text = |name: &str| new.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| new.get(name).and_then(Value::as_i64);
    // What another server signed is handed on as it wrote it.
    let threepid = ThreePid::parse(text("medium"), text("address"));
    threepid.as_ref() == Ok(&association.threepid)
        && text("mxid") == association.mxid.as_str()
        && number("ts") == Some(association.ts)
        && number("not_before") == Some(association.not_before)
        && number("not_after") == Some(association.not_after)
}

/// Whether the new statement is signed at least as the old one is.
fn signatures(old: &Map<String, Value>, new: &Map<String, Value>, key: &[u8; 32]) -> Verdict {
    let is_same = text(old) == text(new);
    let (ours, found) = (good(old, key), good(new, key));
    let kept = |(name, id): &(String, String)| {
        let signature = |of: &Map<String, Value>| of.get("signatures")?.get(name)?.get(id).cloned();
        !is_same || signature(old) == signature(new)
    };
    let mut others = all(old).into_iter().filter(|pair| !found.contains(pair));
    if !found.is_empty() && ours.is_subset(&found) && others.all(|pair| kept(&pair)) {
        Verdict::Equal
    } else {
        Verdict::Different(UNSIGNED)
    }
}

/// Who signed, and with which of their keys.
fn all(object: &Map<String, Value>) -> BTreeSet<(String, String)> {
    let by_server = object.get("signatures").and_then(Value::as_object);
    let mut all = BTreeSet::new();
    for (name, by_key) in by_server.into_iter().flatten() {
        for id in by_key.as_object().into_iter().flat_map(Map::keys) {
            all.insert((name.clone(), id.clone()));
        }
    }
    all
}

/// Those of [`all`] whose signature that key made.
pub(super) fn good(object: &Map<String, Value>, key: &[u8; 32]) -> BTreeSet<(String, String)> {
    let mut good = all(object);
    good.retain(|(name, id)| {
        KeyId::parse(id).is_ok_and(|id| signing::verify(object, name, &id, key))
    });
    good
}

/// Which users an address has at the old server, which may name several, and
/// which it has at the new one.
#[must_use]
pub fn named(old: &[&str], new: Option<&str>, expected: &Expected) -> Verdict {
    let old: BTreeSet<&str> = old.iter().copied().collect();
    let Some(new) = new else {
        return if old.is_empty() {
            Verdict::Equal
        } else {
            missing(expected)
        };
    };
    if old.len() == 1 && old.contains(new) {
        return Verdict::Equal;
    }
    let is_right = matches!(expected, Expected::Bound(it) if it.mxid.as_str() == new);
    match (is_right, old.is_empty()) {
        (true, true) => Verdict::Corrected(Correction::Found),
        (true, false) => Verdict::Corrected(Correction::Newest),
        (false, true) => Verdict::Different(EXTRA),
        (false, false) => Verdict::Different("they name different users"),
    }
}

fn missing(expected: &Expected) -> Verdict {
    match expected {
        Expected::Removed => Verdict::Corrected(Correction::Removed),
        Expected::LeftBehind => Verdict::Corrected(Correction::LeftBehind),
        Expected::Bound(_) | Expected::Nobody => {
            Verdict::Different("the new server finds nobody where the old one finds somebody")
        }
    }
}

/// The users of a bulk look-up of v1, by medium and address in lower case, as
/// Sydent compares addresses: it answers in the spelling that it stored.
#[must_use]
pub fn users_in_bulk(body: &Value) -> HashMap<(String, String), Vec<&str>> {
    let mut users: HashMap<_, Vec<&str>> = HashMap::new();
    let list = body.get("threepids").and_then(Value::as_array);
    for entry in list.into_iter().flatten() {
        let texts = entry.as_array().map(|parts| {
            let texts = parts.iter().filter_map(Value::as_str);
            texts.collect::<Vec<_>>()
        });
        if let Some([medium, address, mxid]) = texts.as_deref() {
            let threepid = ((*medium).to_owned(), address.to_ascii_lowercase());
            users.entry(threepid).or_default().push(mxid);
        }
    }
    users
}

/// The users of a look-up by hash.
#[must_use]
pub fn users_in_mappings(body: &Value) -> HashMap<&str, &str> {
    let mappings = body.get("mappings").and_then(Value::as_object);
    let pairs = mappings.into_iter().flatten();
    pairs
        .filter_map(|(hash, mxid)| Some((hash.as_str(), mxid.as_str()?)))
        .collect()
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
