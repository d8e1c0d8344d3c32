//! Signing keys, and signing and verifying JSON (Matrix specification, appendices,
//! "Signing JSON").

use std::fmt;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde_json::{Map, Value};

use super::ids::{KeyId, ServerName};
use super::public_key::PublicKey;
use super::{Invalid, base64, canonical_json};

/// An Ed25519 key pair with its id.
pub struct KeyPair {
    id: KeyId,
    key: SigningKey,
}

impl KeyPair {
    /// Creates a key pair from its seed.
    #[must_use]
    pub fn from_seed(id: KeyId, seed: &[u8; 32]) -> Self {
        Self {
            id,
            key: SigningKey::from_bytes(seed),
        }
    }

    /// Parses a line of a key file: `ed25519 <version> <unpadded base64 seed>`.
    ///
    /// # Errors
    /// The line is malformed. The sentence names the invalid part without quoting
    /// it.
    pub fn parse_line(line: &str) -> Result<Self, Invalid> {
        let mut words = line.split_ascii_whitespace();
        let (Some("ed25519"), Some(version), Some(seed), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Invalid(
                "a line of a key file must be: ed25519 <version> <base64 seed>",
            ));
        };
        let id = KeyId::parse(&format!("ed25519:{version}"))?;
        let seed = base64::decode_key(seed)
            .ok_or(Invalid("the seed of a key must be 32 bytes in base64"))?;
        Ok(Self::from_seed(id, &seed))
    }

    /// The key id.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey::from_bytes(self.key.verifying_key().to_bytes())
    }

    /// Signs an object and adds the signature to those that it has.
    ///
    /// # Errors
    /// The object has no canonical form.
    pub fn sign(&self, name: &ServerName, object: &mut Map<String, Value>) -> Result<(), Invalid> {
        let signature = self.key.sign(signed_text(object)?.as_bytes());
        let encoded = Value::String(base64::encode(&signature.to_bytes()));
        let by_server = entry(object, "signatures")?;
        let by_key = entry(by_server, name.as_str())?;
        by_key.insert(self.id.to_string(), encoded);
        Ok(())
    }

    /// Whether `object` has a valid signature of the server `name` by this key, under any
    /// key id.
    ///
    /// As [`has_signature`], but faster for one that was made as RFC 8032 says: it depends on
    /// the key and the text only, and to sign again takes less time than to verify.
    #[must_use]
    pub fn has_signed(&self, name: &str, object: &Map<String, Value>) -> bool {
        let by_key = signatures_of(object, name);
        let Some(by_key) = by_key.filter(|by_key| !by_key.is_empty()) else {
            return false;
        };
        let Ok(text) = signed_text(object) else {
            return false;
        };
        let signature = base64::encode(&self.key.sign(text.as_bytes()).to_bytes());
        let is_same = |(id, value): (&String, &Value)| {
            value.as_str() == Some(signature.as_str()) && KeyId::parse(id).is_ok()
        };
        by_key.iter().take(MAX_SIGNATURES).any(is_same)
            || has_signature(object, name, &self.public())
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The keys of this server: the active one, and retired ones whose signatures are
/// still valid (CRY-10).
#[derive(Debug)]
pub struct KeyRing {
    active: KeyPair,
    retired: Vec<KeyPair>,
}

impl KeyRing {
    /// Parses a key file with one key per line: the first one is active, the others
    /// are retired. Empty lines and lines that begin with `#` are skipped.
    ///
    /// # Errors
    /// The file has no key, a malformed line, or two keys with the same id.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let mut keys = Vec::new();
        for line in text.lines().map(str::trim) {
            if !line.is_empty() && !line.starts_with('#') {
                let key = KeyPair::parse_line(line)?;
                if keys.iter().any(|known: &KeyPair| known.id == key.id) {
                    return Err(Invalid("the key file has two keys with the same id"));
                }
                keys.push(key);
            }
        }
        let mut keys = keys.into_iter();
        let active = keys.next().ok_or(Invalid("the key file has no key"))?;
        Ok(Self {
            active,
            retired: keys.collect(),
        })
    }

    /// The key that signs.
    #[must_use]
    pub fn active(&self) -> &KeyPair {
        &self.active
    }

    /// The key with this id, active or retired.
    #[must_use]
    pub fn by_id(&self, id: &KeyId) -> Option<&KeyPair> {
        std::iter::once(&self.active)
            .chain(&self.retired)
            .find(|key| key.id == *id)
    }

    /// The public keys of all valid keys with their ids, the active one first.
    #[must_use]
    pub fn public_keys(&self) -> Vec<(KeyId, PublicKey)> {
        std::iter::once(&self.active)
            .chain(&self.retired)
            .map(|key| (key.id.clone(), key.public()))
            .collect()
    }
}

/// Whether `object` has a valid signature of the server `name` by this key.
#[must_use]
pub fn verify(object: &Map<String, Value>, name: &str, id: &KeyId, key: &PublicKey) -> bool {
    let signature = object
        .get("signatures")
        .and_then(|by_server| by_server.get(name)?.get(id.as_str())?.as_str());
    signature.is_some_and(|signature| {
        signed_text(object).is_ok_and(|text| verify_text(&text, signature, key))
    })
}

/// Whether `object` has a valid signature of the server `name` by this key, under
/// any key id: peers do not agree on the ids of each other's keys.
#[must_use]
pub fn has_signature(object: &Map<String, Value>, name: &str, key: &PublicKey) -> bool {
    signatures_of(object, name).is_some_and(|by_key| {
        by_key
            .keys()
            .take(MAX_SIGNATURES)
            .filter_map(|id| KeyId::parse(id).ok())
            .any(|id| verify(object, name, &id, key))
    })
}

fn signatures_of<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Map<String, Value>> {
    object.get("signatures")?.get(name)?.as_object()
}

/// Whether one of these keys has signed the object in `text` under this name.
#[must_use]
pub fn is_signed_by_any(text: &str, name: &str, keys: &[PublicKey]) -> bool {
    let object: Option<Map<String, Value>> = serde_json::from_str(text).ok();
    object.is_some_and(|object| keys.iter().any(|key| has_signature(&object, name, key)))
}

/// Signatures of one server that are verified. A server signs with one key, or
/// with two during a key change; each further one only costs time.
const MAX_SIGNATURES: usize = 4;

/// Whether `signature`, in base64, is a valid signature of a text by this key.
#[must_use]
pub fn verify_text(text: &str, signature: &str, key: &PublicKey) -> bool {
    let signature = base64::decode(signature).and_then(|bytes| Signature::from_slice(&bytes).ok());
    let key = VerifyingKey::from_bytes(key.as_bytes()).ok();
    key.zip(signature)
        .is_some_and(|(key, signature)| key.verify_strict(text.as_bytes(), &signature).is_ok())
}

/// The text that the signatures of an object sign: its canonical form without
/// `signatures` and `unsigned`.
///
/// # Errors
/// The object has no canonical form.
pub fn signed_text(object: &Map<String, Value>) -> Result<String, Invalid> {
    let mut signed = object.clone();
    signed.remove("signatures");
    signed.remove("unsigned");
    canonical_json::encode_object(&signed)
}

fn entry<'a>(
    object: &'a mut Map<String, Value>,
    key: &str,
) -> Result<&'a mut Map<String, Value>, Invalid> {
    object
        .entry(key)
        .or_insert_with(|| Value::Object(Map::new()))
        .as_object_mut()
        .ok_or(Invalid("signatures must be an object of objects"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SEED: &str = "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1";

    fn pair() -> KeyPair {
        KeyPair::parse_line(&format!("ed25519 1 {SEED}")).unwrap()
    }

    fn signature(object: Value) -> String {
        let name = ServerName::parse("domain").unwrap();
        let Value::Object(mut object) = object else {
            panic!("an object")
        };
        pair().sign(&name, &mut object).unwrap();
        assert!(verify(&object, "domain", pair().id(), &pair().public()));
        object["signatures"]["domain"]["ed25519:1"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// CRY-04
    #[test]
    fn signatures_match_the_vectors() {
        assert_eq!(
            pair().public().to_base64(),
            "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI"
        );
        for (object, expected) in [
            (
                json!({}),
                "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ",
            ),
            (
                json!({"one":1,"two":"Two"}),
                "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw",
            ),
            (
                json!({"mxid":"@alice:example.org","token":"abc123"}),
                "bcYkW6mDNbs7yv/GNpvyxql/P1EWGcNiIy9tJllJQkc8cTsboPenZpQ9FOF1STsNTwsslwo4B1NjYcmSx9IGDw",
            ),
            (
                json!({"mxid":"@alice:example.org","sender":"@bob:example.org","token":"abc123"}),
                "t4VMcQ4rGETAe01AqNKV9E9u9665KLezG5xFftj/z1c5dQA6fCRtwBopfqGMPx/xhiQ8Pixx3SnmV1v0d9KdAg",
            ),
            (
                json!({"address":"louise@bobs.burgers","medium":"email","mxid":"@ears:matrix.org","not_after":4_582_425_849_161_i64,"not_before":1_428_825_849_161_i64,"ts":1_428_825_849_161_i64}),
                "h2QHOGcKSH3OHlhuLi0NnWhbHQpEzIUJt6aGNgXu0gPqmwpamdYpzCT3RwfsoLmR2NzO/fZWrV18G7ypGR08AQ",
            ),
        ] {
            assert_eq!(signature(object), expected);
        }
    }

    /// CRY-04
    #[test]
    fn sign_keeps_other_signatures_and_unsigned() {
        let name = ServerName::parse("here").unwrap();
        let mut object =
            json!({"a": 1, "unsigned": {"x": 1.5}, "signatures": {"there": {"ed25519:0": "x"}}})
                .as_object()
                .unwrap()
                .clone();
        pair().sign(&name, &mut object).unwrap();
        assert_eq!(object["signatures"]["there"]["ed25519:0"], "x");
        assert_eq!(object["unsigned"]["x"], 1.5);
    }

    /// CRY-05
    #[test]
    fn invalid_signatures_are_rejected() {
        let name = ServerName::parse("domain").unwrap();
        let mut object = json!({"a": 1}).as_object().unwrap().clone();
        pair().sign(&name, &mut object).unwrap();
        let other = KeyPair::from_seed(pair().id().clone(), &[7; 32]);
        assert!(pair().has_signed("domain", &object));
        assert!(!other.has_signed("domain", &object));
        assert!(!pair().has_signed("elsewhere", &object));
        assert!(!verify(&object, "domain", pair().id(), &other.public()));
        assert!(!verify(&object, "elsewhere", pair().id(), &pair().public()));
        object.insert("a".to_owned(), json!(2));
        assert!(!verify(&object, "domain", pair().id(), &pair().public()));
        assert!(!pair().has_signed("domain", &object));
        object.insert(
            "signatures".to_owned(),
            json!({"domain": {"ed25519:1": "!"}}),
        );
        assert!(!verify(&object, "domain", pair().id(), &pair().public()));
    }

    /// CRY-10
    #[test]
    fn key_file_holds_active_and_retired_keys() {
        let ring =
            KeyRing::parse(&format!("# keys\n\ned25519 new {SEED}\ned25519 0 {SEED}\n")).unwrap();
        let ids: Vec<_> = ring
            .public_keys()
            .into_iter()
            .map(|(id, _)| id.to_string())
            .collect();
        assert_eq!(ids, ["ed25519:new", "ed25519:0"]);
        assert_eq!(ring.active().id().as_str(), "ed25519:new");
        for (id, known) in [
            ("ed25519:new", true),
            ("ed25519:0", true),
            ("ed25519:1", false),
        ] {
            let id = KeyId::parse(id).unwrap();
            assert_eq!(
                ring.by_id(&id).map(|key| key.id() == &id),
                known.then_some(true)
            );
        }
    }

    /// CRY-11
    #[test]
    fn errors_and_debug_hide_the_seed() {
        for bad in [
            String::new(),
            format!("rsa 0 {SEED}"),
            format!("ed25519 0 {SEED} more"),
            format!("ed25519 a:b {SEED}"),
            "ed25519 0 c2hvcnQ".to_owned(),
            format!("ed25519 0 {SEED}\ned25519 0 {SEED}"),
        ] {
            let error = KeyRing::parse(&bad).unwrap_err().to_string();
            assert!(
                !error.contains(SEED) && !error.contains("c2hvcnQ"),
                "{error}"
            );
        }
        assert!(!format!("{:?}", pair()).contains(SEED));
    }
}
