//! Ed25519 public keys.

use ed25519_dalek::VerifyingKey;

use super::base64;

/// An Ed25519 public key.
///
/// The 32 bytes need not be a point of the curve: a key that is none is compared
/// and stored like any other, and verifies no signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// A key from its 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Decodes a key in base64 of either alphabet, with or without padding. A
    /// space counts as the plus sign that a client did not percent-encode
    /// (PUB-07).
    #[must_use]
    pub fn from_base64(text: &str) -> Option<Self> {
        base64::decode_key(text).map(Self)
    }

    /// Parses a key that an administrator configured: base64 as in
    /// [`Self::from_base64`], or 64 hexadecimal digits. Returns `None` also for
    /// bytes that are no point of the curve, since no signature would ever match
    /// them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let bytes = decode_hex(text).or_else(|| base64::decode_key(text))?;
        VerifyingKey::from_bytes(&bytes).ok().map(|_| Self(bytes))
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key in unpadded standard base64, as the Matrix API publishes it.
    #[must_use]
    pub fn to_base64(&self) -> String {
        base64::encode(&self.0)
    }
}

fn decode_hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect::<Option<Vec<_>>>()?
        .try_into()
        .ok()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use serde_json::json;

    use super::*;
    use crate::domain::ids::ServerName;
    use crate::domain::signing::{KeyPair, has_signature};

    /// The public key of the specification's test seed.
    const KEY: &str = "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI";

    fn pair(id: &str) -> KeyPair {
        let line = format!("ed25519 {id} YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1");
        KeyPair::parse_line(&line).unwrap()
    }

    #[test]
    fn parses_base64_and_hex_keys() {
        let mut hex = String::new();
        for byte in pair("1").public().as_bytes() {
            let _ = write!(hex, "{byte:02x}");
        }
        for text in [
            KEY,
            &format!("{KEY}="),
            &hex,
            &hex.to_uppercase(),
            &format!(" {KEY}\n"),
        ] {
            assert_eq!(PublicKey::parse(text), Some(pair("1").public()));
        }
        assert_eq!(pair("1").public().to_base64(), KEY);
        let not_a_point = base64::encode(&[2; 32]);
        for wrong in [
            "",
            "abc",
            hex.trim_start_matches('5'),
            &format!("{KEY}A"),
            &not_a_point,
        ] {
            assert_eq!(PublicKey::parse(wrong), None, "{wrong}");
        }
    }

    /// CRY-05
    #[test]
    fn bytes_off_the_curve_verify_nothing() {
        let key = PublicKey::from_base64(&base64::encode(&[2; 32])).unwrap();
        let name = ServerName::parse("a.example").unwrap();
        let mut object = json!({"a": 1}).as_object().unwrap().clone();
        pair("0").sign(&name, &mut object).unwrap();
        assert!(!has_signature(&object, "a.example", &key));
        assert_eq!(key, PublicKey::from_bytes([2; 32]));
    }

    /// INT-03
    #[test]
    fn registered_key_verifies_under_any_key_id() {
        let key = PublicKey::parse(KEY).unwrap();
        let name = ServerName::parse("a.example").unwrap();
        for id in ["0", "a_xyz"] {
            let mut object = json!({"a": 1}).as_object().unwrap().clone();
            assert!(!has_signature(&object, "a.example", &key));
            pair(id).sign(&name, &mut object).unwrap();
            assert!(has_signature(&object, "a.example", &key));
            assert!(!has_signature(&object, "b.example", &key));
            object.insert("a".to_owned(), json!(2));
            assert!(!has_signature(&object, "a.example", &key));
        }
        let mut object = json!({"a": 1}).as_object().unwrap().clone();
        let other = KeyPair::from_seed(pair("0").id().clone(), &[7; 32]);
        other.sign(&name, &mut object).unwrap();
        assert!(!has_signature(&object, "a.example", &key));
    }
}
