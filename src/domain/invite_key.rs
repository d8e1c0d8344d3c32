//! The ephemeral key pair of an invite: the room gets the public key, and the
//! invited address the private key by mail.

use std::fmt;

use ed25519_dalek::SigningKey;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::ids::{KeyId, Mxid, ServerName};
use super::public_key::PublicKey;
use super::signing::KeyPair;
use super::{Invalid, base64};

/// The private key. Its memory is wiped, and `Debug` does not show it.
#[derive(Clone)]
pub struct InviteKey(Zeroizing<[u8; 32]>);

impl InviteKey {
    /// Creates a key from 32 random bytes.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(Zeroizing::new(seed))
    }

    /// Parses a key from a client: base64 in either alphabet, padded or not
    /// (SGN-07).
    ///
    /// # Errors
    /// It is not 32 bytes in base64 (SGN-08).
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        base64::decode_key(text)
            .map(Self::from_seed)
            .ok_or(Invalid("must be the key from the invitation, in base64"))
    }

    /// The key in unpadded URL-safe base64, as in the mailed link.
    #[must_use]
    pub fn encoded(&self) -> Zeroizing<String> {
        Zeroizing::new(base64::encode_url_safe(self.0.as_slice()))
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey::from_bytes(SigningKey::from_bytes(&self.0).verifying_key().to_bytes())
    }

    /// Signs the statement that `mxid` was invited, in the name of this server
    /// (SGN-02, SGN-03). The room accepts it as a proof.
    ///
    /// # Errors
    /// Never, since the object has a canonical form.
    pub fn sign(
        &self,
        name: &ServerName,
        mxid: &Mxid,
        sender: &str,
        token: &str,
    ) -> Result<Map<String, Value>, Invalid> {
        let pair = KeyPair::from_seed(KeyId::parse("ed25519:0")?, &self.0);
        let mut signed = Map::new();
        signed.insert("mxid".to_owned(), json!(mxid));
        signed.insert("sender".to_owned(), json!(sender));
        signed.insert("token".to_owned(), json!(token));
        pair.sign(name, &mut signed)?;
        Ok(signed)
    }
}

impl fmt::Debug for InviteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InviteKey(…)")
    }
}

impl Serialize for InviteKey {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        target.serialize_str(&self.encoded())
    }
}

impl<'de> Deserialize<'de> for InviteKey {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(source)?);
        Self::parse(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1";

    /// SGN-02, SGN-03
    #[test]
    fn signature_matches_the_vector() {
        let (name, mxid) = (
            ServerName::parse("id.example.org").unwrap(),
            Mxid::parse("@alice:example.org").unwrap(),
        );
        let signed = InviteKey::parse(SEED)
            .unwrap()
            .sign(&name, &mxid, "@bob:example.org", "abc123")
            .unwrap();
        let expected = json!({
            "mxid": "@alice:example.org", "sender": "@bob:example.org", "token": "abc123",
            "signatures": {"id.example.org": {"ed25519:0":
                "t4VMcQ4rGETAe01AqNKV9E9u9665KLezG5xFftj/z1c5dQA6fCRtwBopfqGMPx/xhiQ8Pixx3SnmV1v0d9KdAg"}},
        });
        assert_eq!(Value::Object(signed), expected);
    }

    /// SGN-07, SGN-08
    #[test]
    fn key_parses_in_either_alphabet() {
        let url_safe = SEED.replace('+', "-");
        for good in [
            SEED,
            &url_safe,
            &format!("{SEED}="),
            &SEED.replace('+', " "),
        ] {
            let key = InviteKey::parse(good).unwrap();
            assert_eq!(base64::decode_key(&key.encoded()), base64::decode_key(SEED));
            assert_eq!(
                key.public().to_base64(),
                "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI"
            );
        }
        for bad in ["", "x", "c2hvcnQ", &SEED.repeat(2), "ключ"] {
            assert!(InviteKey::parse(bad).is_err(), "{bad}");
        }
    }

    /// INV-14
    #[test]
    fn debug_and_errors_hide_the_key() {
        let key = InviteKey::parse(SEED).unwrap();
        assert_eq!(format!("{key:?}"), "InviteKey(…)");
        let bad = serde_json::from_str::<InviteKey>("\"hunter2\"").unwrap_err();
        assert!(!bad.to_string().contains("hunter2"));
    }
}
