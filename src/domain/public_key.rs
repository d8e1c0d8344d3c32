//! The public key of another server that is known beforehand, not fetched.

use ed25519_dalek::VerifyingKey;
use serde_json::{Map, Value};

use super::ids::KeyId;
use super::{base64, signing};

/// An Ed25519 public key that is a point of the curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Reads base64 of either alphabet, with or without padding, or 64
    /// hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let bytes = hexadecimal(text).or_else(|| base64::decode_key(text))?;
        VerifyingKey::from_bytes(&bytes).ok().map(|_| Self(bytes))
    }

    /// The key itself.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether `object` bears a good signature of `name` by this key. The id of
    /// the key is whatever the signer calls it.
    #[must_use]
    pub fn signed(&self, name: &str, object: &Map<String, Value>) -> bool {
        let by_name = object.get("signatures").and_then(|all| all.get(name));
        by_name
            .and_then(Value::as_object)
            .is_some_and(|signatures| {
                // A signer has one key or two; a list of them makes only work.
                let ids = signatures.keys().take(MOST_SIGNATURES);
                ids.filter_map(|id| KeyId::parse(id).ok())
                    .any(|id| signing::verify(object, name, &id, &self.0))
            })
    }
}

const MOST_SIGNATURES: usize = 4;

fn hexadecimal(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let digits = text.as_bytes().chunks_exact(2);
    let bytes = digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    bytes.collect::<Option<Vec<_>>>()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::ids::ServerName;
    use crate::domain::signing::KeyPair;

    /// Of the specification's test seed.
    const KEY: &str = "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI";

    fn pair(id: &str) -> KeyPair {
        let line = format!("ed25519 {id} YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1");
        KeyPair::parse_line(&line).unwrap()
    }

    #[test]
    fn the_ways_to_write_a_key() {
        let hex: String = pair("1")
            .public()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        for text in [
            KEY,
            &format!("{KEY}="),
            &hex,
            &hex.to_uppercase(),
            &format!(" {KEY}\n"),
        ] {
            assert_eq!(
                PublicKey::parse(text).unwrap().as_bytes(),
                &pair("1").public()
            );
        }
        let no_point = base64::encode(&[2; 32]);
        for wrong in ["", "abc", &hex[1..], &format!("{KEY}A"), &no_point] {
            assert_eq!(PublicKey::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn int_03_the_registered_key_counts_under_any_id() {
        let key = PublicKey::parse(KEY).unwrap();
        let name = ServerName::parse("a.example").unwrap();
        for id in ["0", "a_xyz"] {
            let mut object = json!({"a": 1}).as_object().unwrap().clone();
            assert!(!key.signed("a.example", &object));
            pair(id).sign(&name, &mut object).unwrap();
            assert!(key.signed("a.example", &object));
            assert!(!key.signed("b.example", &object));
            object.insert("a".to_owned(), json!(2));
            assert!(!key.signed("a.example", &object));
        }
        let mut object = json!({"a": 1}).as_object().unwrap().clone();
        let other = KeyPair::from_seed(pair("0").id().clone(), &[7; 32]);
        other.sign(&name, &mut object).unwrap();
        assert!(!key.signed("a.example", &object));
    }
}
