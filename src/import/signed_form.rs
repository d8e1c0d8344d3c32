//! The signed associations of Sydent's database.

use serde_json::{Map, Value};

use crate::db::DbError;
use crate::domain::association::{Association, drop_invites};
use crate::domain::ids::ServerName;
use crate::domain::signing::{KeyRing, signed_text};
use crate::domain::threepid::ThreePid;

/// Keeps the signed form that Sydent stored if it has the same content and a valid
/// signature by this server under its present name; otherwise signs the association.
/// Valid signatures under a former name stay.
pub(super) fn reuse_or_sign(
    association: &Association,
    signed: Option<&str>,
    server_name: &ServerName,
    keys: &KeyRing,
) -> Result<String, DbError> {
    let key = keys.active();
    let content = association.to_object();
    let stored: Option<Map<String, Value>> = signed
        .and_then(|signed| serde_json::from_str(signed).ok())
        .filter(|stored| content_of(stored) == content);
    let mut object = match (signed, stored) {
        (Some(text), Some(stored)) if key.has_signed(server_name.as_str(), &stored) => {
            return Ok(text.to_owned());
        }
        (_, Some(mut stored)) => {
            let valid = valid_signatures(&stored, keys);
            stored.insert("signatures".to_owned(), Value::Object(valid));
            stored
        }
        (_, None) => content,
    };
    key.sign(server_name, &mut object)
        .map_err(|_invalid| DbError::Corrupt("association timestamp"))?;
    Ok(Value::Object(object).to_string())
}

fn content_of(signed: &Map<String, Value>) -> Map<String, Value> {
    let mut content = signed.clone();
    content.remove("signatures");
    content
}

/// The signatures of the active key, under any name.
fn valid_signatures(signed: &Map<String, Value>, keys: &KeyRing) -> Map<String, Value> {
    let key = keys.active();
    let by_name = signed.get("signatures").and_then(Value::as_object);
    by_name
        .into_iter()
        .flatten()
        .filter(|(name, _)| key.has_signed(name, signed))
        .map(|(name, by_key)| (name.clone(), by_key.clone()))
        .collect()
}

/// The signed form of an association that another server made, to store it, and
/// whether invites were removed from it.
///
/// # Errors
/// Why it is not the signed form of this association.
pub(super) fn check_replicated(
    association: &Association,
    signed: Option<&str>,
) -> Result<(String, bool), &'static str> {
    let text = signed.ok_or("not signed")?;
    let Ok(Value::Object(mut object)) = serde_json::from_str(text) else {
        return Err("its signed association is no JSON object");
    };
    let signatures = object.get("signatures").and_then(Value::as_object);
    if !signatures
        .is_some_and(|by_name| !by_name.is_empty() && by_name.values().all(Value::is_object))
    {
        return Err("its signed association has no signature");
    }
    if !states(&object, association) {
        return Err("its signed association states something else");
    }
    if signed_text(&object).is_err() {
        return Err("its signed association has no canonical JSON form");
    }
    Ok(if drop_invites(&mut object) {
        (Value::Object(object).to_string(), true)
    } else {
        (text.to_owned(), false)
    })
}

/// Whether the object states this association, in any spelling of the address.
fn states(object: &Map<String, Value>, association: &Association) -> bool {
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| object.get(name).and_then(Value::as_i64);
    ThreePid::parse(text("medium"), text("address")).as_ref() == Ok(&association.threepid)
        && text("mxid") == association.mxid.as_str()
        && number("ts") == Some(association.ts)
        && number("not_before") == Some(association.not_before)
        && number("not_after") == Some(association.not_after)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::ids::Mxid;

    fn keys(byte: u8) -> KeyRing {
        let seed = crate::domain::base64::encode(&[byte; 32]);
        KeyRing::parse(&format!("ed25519 0 {seed}")).unwrap()
    }

    fn association() -> Association {
        let threepid = ThreePid::parse("email", "alice@example.com").unwrap();
        let mxid = Mxid::parse("@alice:example.org").unwrap();
        Association::new(threepid, mxid, 5)
    }

    fn signed(name: &str, keys: &KeyRing, more: &[(&str, Value)]) -> Map<String, Value> {
        let mut object = association().to_object();
        for (key, value) in more {
            object.insert((*key).to_owned(), value.clone());
        }
        let name = ServerName::parse(name).unwrap();
        keys.active().sign(&name, &mut object).unwrap();
        object
    }

    fn text(object: &Map<String, Value>) -> String {
        Value::Object(object.clone()).to_string()
    }

    /// OPS-07
    #[test]
    fn only_valid_signatures_are_kept() {
        let own = keys(1);
        let name = ServerName::parse("id.test").unwrap();
        let reused = |stored: &Map<String, Value>| {
            let text = reuse_or_sign(&association(), Some(&text(stored)), &name, &own).unwrap();
            serde_json::from_str::<Map<String, Value>>(&text).unwrap()
        };
        let good = signed("id.test", &own, &[]);
        assert_eq!(reused(&good), good);
        // Made by another key, although under this name and key ID.
        let forged = signed("id.test", &keys(2), &[]);
        assert_eq!(reused(&forged), good);
        let former = signed("old.test", &own, &[]);
        let both = reused(&former);
        assert_eq!(
            both["signatures"]["old.test"],
            former["signatures"]["old.test"]
        );
        assert_eq!(both["signatures"]["id.test"], good["signatures"]["id.test"]);
        let invites = [("invites", json!([{"token": "secret"}]))];
        assert_eq!(reused(&signed("id.test", &own, &invites)), good);
    }

    /// OPS-07
    #[test]
    fn replicated_form_must_state_the_row() {
        let check =
            |object: &Map<String, Value>| check_replicated(&association(), Some(&text(object)));
        let good = signed("peer.test", &keys(2), &[]);
        assert_eq!(check(&good), Ok((text(&good), false)));
        let with_invites = signed("peer.test", &keys(2), &[("invites", json!([1]))]);
        let (kept, dropped) = check(&with_invites).unwrap();
        assert!(dropped && !kept.contains("invites"), "{kept}");
        for (key, value) in [
            ("mxid", json!("@eve:example.org")),
            ("ts", json!(6)),
            ("address", json!("bob@example.com")),
            ("signatures", json!({})),
            ("signatures", json!([])),
            ("more", json!(1.5)),
        ] {
            let mut other = good.clone();
            other.insert(key.to_owned(), value);
            assert!(check(&other).is_err(), "{key}");
        }
        for broken in ["", "[]", "{", "null", "{}"] {
            assert!(check_replicated(&association(), Some(broken)).is_err());
        }
        assert!(check_replicated(&association(), None).is_err());
    }
}
