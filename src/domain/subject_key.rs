//! Keyed hashes of 3PIDs and users: they stand where a row or a log line must be
//! recognised again without saying who it is about.
//!
//! A hash without a key would be reversed by trial: there are few phone numbers.

use std::fmt;

use hmac::Mac as _;
use zeroize::Zeroizing;

use super::database_key::DatabaseKey;
use super::ids::Mxid;
use super::secret::Sid;
use super::threepid::ThreePid;
use super::{Invalid, base64};

/// The key of a database for these hashes.
#[derive(Clone, PartialEq, Eq)]
pub struct SubjectKey(DatabaseKey);

impl SubjectKey {
    /// A key of random bytes.
    #[must_use]
    pub fn from_random(random: [u8; 32]) -> Self {
        Self(DatabaseKey::new(random))
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// It is not 32 bytes in base64.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        DatabaseKey::parse(text).map(Self)
    }

    /// The stored form.
    #[must_use]
    pub fn to_base64(&self) -> Zeroizing<String> {
        self.0.to_base64()
    }

    /// The keyed hash of a 3PID.
    #[must_use]
    pub fn threepid(&self, threepid: &ThreePid) -> String {
        self.address(threepid.medium().as_str(), threepid.address())
    }

    /// The same of a stored 3PID in canonical form.
    #[must_use]
    pub fn address(&self, medium: &str, address: &str) -> String {
        self.hash(&["3pid", medium, address])
    }

    /// The keyed hash of a user.
    #[must_use]
    pub fn user(&self, user: &Mxid) -> String {
        self.hash(&["user", user.as_str()])
    }

    /// The keyed hash of a validation session.
    #[must_use]
    pub fn session(&self, sid: &Sid) -> String {
        self.hash(&["session", sid.expose()])
    }

    /// A keyed hash, shortened for a line of a log: 96 bits.
    #[must_use]
    pub fn pseudonym(hash: &str) -> String {
        hash.chars().take(16).collect()
    }

    /// HMAC-SHA-256 of the parts, none of which contains a zero byte.
    fn hash(&self, parts: &[&str]) -> String {
        let mut mac = self.0.mac();
        for part in parts {
            mac.update(part.as_bytes());
            mac.update(&[0]);
        }
        base64::encode_url_safe(mac.finalize().into_bytes().as_slice())
    }
}

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyed_hash_depends_on_key_and_kind() {
        let key = SubjectKey::from_random([1; 32]);
        let alice = ThreePid::parse("email", "alice@example.org").unwrap();
        let user = Mxid::parse("@alice:example.org").unwrap();
        let hash = key.threepid(&alice);
        assert_eq!(hash, key.address("email", "alice@example.org"));
        // HMAC-SHA-256 computed with Python's hmac module.
        assert_eq!(hash, "G6Z-m3HUi4IGrg1gd5LkpzFbv9otd6AlVERaI7N1mw8");
        let other = SubjectKey::from_random([2; 32]);
        for different in [
            other.threepid(&alice),
            key.address("msisdn", "alice@example.org"),
            key.user(&user),
        ] {
            assert_ne!(hash, different);
        }
        let read = SubjectKey::parse(&key.to_base64()).unwrap();
        assert_eq!(read.threepid(&alice), hash);
        assert!(SubjectKey::parse("AAAA").is_err());
        assert_eq!(format!("{key:?}"), "SubjectKey(…)");
    }
}
