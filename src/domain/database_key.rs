//! The random keys of a database.

use std::fmt;

use hmac::{Hmac, KeyInit as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{Invalid, base64};

/// A key of 32 random bytes, for keyed hashes (HMAC-SHA-256, RFC 2104).
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseKey(Zeroizing<[u8; 32]>);

impl fmt::Debug for DatabaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseKey(…)")
    }
}

impl DatabaseKey {
    /// A key of these random bytes.
    #[must_use]
    pub fn new(random: [u8; 32]) -> Self {
        Self(Zeroizing::new(random))
    }

    /// Reads a stored key.
    ///
    /// # Errors
    /// It does not have 32 bytes in base64.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        base64::decode_key(text)
            .map(Self::new)
            .ok_or(Invalid("must be 32 bytes in base64"))
    }

    /// The form in which it is stored.
    #[must_use]
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(base64::encode(self.0.as_slice()))
    }

    /// The start of a keyed hash.
    #[must_use]
    pub fn mac(&self) -> Hmac<Sha256> {
        // HMAC takes a key of any length; this one has a fixed one.
        let key = hmac::digest::Key::<Hmac<Sha256>>::from(padded(&self.0));
        Hmac::<Sha256>::new(&key)
    }
}

/// The key filled with zeros to the block of SHA-256, as RFC 2104 says.
fn padded(key: &[u8; 32]) -> [u8; 64] {
    let mut block = [0; 64];
    let (start, _) = block.split_at_mut(32);
    start.copy_from_slice(key);
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_survives_its_stored_form() {
        let key = DatabaseKey::new([7; 32]);
        assert!(DatabaseKey::parse(&key.to_base64()).unwrap() == key);
        assert!(DatabaseKey::parse("AAAA").is_err());
        assert_eq!(format!("{key:?}"), "DatabaseKey(…)");
    }
}
