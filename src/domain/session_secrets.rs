//! How the database holds client secrets and validation tokens: as keyed hashes
//! (RFC 2104), which reveal neither.

use std::fmt;

use hmac::Mac as _;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::database_key::DatabaseKey;
use super::secret::{ClientSecret, Sid, Token};
use super::threepid::Medium;
use super::{Invalid, base64};

/// The key of a database for these hashes.
#[derive(Clone)]
pub struct HashKey(DatabaseKey);

/// A client secret or a token, hashed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretHash(String);

/// The hashes of the tokens of a session: each message has a token of its own, since
/// the token of an earlier one is not known any more. The last few are accepted,
/// because an earlier message may arrive late or be opened later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenHashes(Vec<SecretHash>);

/// How many tokens of a session are accepted: as many as there are messages at once by
/// the default limits. A code of six digits is shorter, and each further one makes a
/// guess more likely to be right.
const fn max_tokens(medium: Medium) -> usize {
    match medium {
        Medium::Email => 5,
        Medium::Msisdn => 3,
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(…)")
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

impl HashKey {
    /// A key of these random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(DatabaseKey::new(bytes))
    }

    /// Reads a stored key.
    ///
    /// # Errors
    /// It does not have 32 bytes in base64.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        DatabaseKey::parse(text).map(Self)
    }

    /// The form in which it is stored.
    #[must_use]
    pub fn to_base64(&self) -> Zeroizing<String> {
        self.0.to_base64()
    }

    /// The hash of a client secret, by which its session is found.
    #[must_use]
    pub fn client_secret(&self, secret: &ClientSecret) -> SecretHash {
        self.hash(&["client secret", secret.expose()])
    }

    /// The hash of a token. It depends on the client secret, which the database does
    /// not hold: somebody who has read the database, key included, cannot find a
    /// code of six digits by trying all of them.
    #[must_use]
    pub fn token(&self, sid: &Sid, secret: &ClientSecret, token: &Token) -> SecretHash {
        self.hash(&["token", sid.expose(), secret.expose(), token.expose()])
    }

    fn hash(&self, parts: &[&str]) -> SecretHash {
        let mut mac = self.0.mac();
        for part in parts {
            // The lengths keep the parts apart.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        SecretHash(base64::encode_url_safe(&mac.finalize().into_bytes()))
    }
}

impl SecretHash {
    /// Wraps a hash from the database.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The form in which it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Compares in constant time (SES-20).
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl TokenHashes {
    /// The hash of the only token.
    #[must_use]
    pub fn new(token: SecretHash) -> Self {
        Self(vec![token])
    }

    /// Reads what is stored: hashes with spaces between them.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        let hashes = text.split(' ').map(str::to_owned);
        Self(hashes.map(SecretHash::from_stored).collect())
    }

    /// The form in which they are stored.
    #[must_use]
    pub fn to_stored(&self) -> String {
        let hashes: Vec<&str> = self.0.iter().map(SecretHash::as_str).collect();
        hashes.join(" ")
    }

    /// Adds the token of a further message.
    pub fn add(&mut self, token: SecretHash, medium: Medium) {
        self.0.push(token);
        let surplus = self.0.len().saturating_sub(max_tokens(medium));
        self.0.drain(..surplus);
    }

    /// Whether it is one of them. Compares with all, each in constant time.
    #[must_use]
    pub fn contains(&self, token: &SecretHash) -> bool {
        self.0
            .iter()
            .fold(false, |found, hash| hash.matches(token) | found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> HashKey {
        HashKey::new([7; 32])
    }

    fn secret(text: &str) -> ClientSecret {
        ClientSecret::parse(text).unwrap()
    }

    /// HMAC-SHA-256 computed with Python's hmac module.
    #[test]
    fn hashes_match_the_vectors() {
        assert_eq!(
            key().client_secret(&secret("abc")).as_str(),
            "pPG8Dc1zk9iIuTthXAd5naNMs34HxVEjt4y72ACUVeE"
        );
        let sid = Sid::parse("sid").unwrap();
        let token = Token::parse("123456").unwrap();
        assert_eq!(
            key().token(&sid, &secret("abc"), &token).as_str(),
            "-8VJ4WJY-2moRPX2r-EpylLnXIGChNnD4-_2LmGNxyo"
        );
    }

    #[test]
    fn token_hash_depends_on_all_parts() {
        let hash = |key: &HashKey, sid: &str, secret: &str, token: &str| {
            key.token(
                &Sid::parse(sid).unwrap(),
                &ClientSecret::parse(secret).unwrap(),
                &Token::parse(token).unwrap(),
            )
        };
        let one = hash(&key(), "ab", "cd", "ef");
        assert!(one.matches(&hash(&key(), "ab", "cd", "ef")));
        for other in [
            hash(&HashKey::new([8; 32]), "ab", "cd", "ef"),
            hash(&key(), "abc", "d", "ef"),
            hash(&key(), "ab", "c", "def"),
            hash(&key(), "ab", "cd", "e"),
        ] {
            assert!(!one.matches(&other));
        }
    }

    #[test]
    fn the_last_tokens_are_kept() {
        let hash = |n: usize| SecretHash::from_stored(n.to_string());
        for (medium, kept) in [(Medium::Email, "2 3 4 5 6"), (Medium::Msisdn, "4 5 6")] {
            let mut hashes = TokenHashes::new(hash(0));
            (1..7).for_each(|n| hashes.add(hash(n), medium));
            assert_eq!(hashes.to_stored(), kept);
            assert_eq!(TokenHashes::from_stored(kept), hashes);
            assert!(hashes.contains(&hash(4)) && !hashes.contains(&hash(1)));
        }
    }

    #[test]
    fn key_survives_its_stored_form() {
        let stored = key().to_base64();
        assert!(HashKey::parse(&stored).unwrap().0 == key().0);
        assert!(HashKey::parse("AAAA").is_err());
        assert_eq!(format!("{:?}", key()), "HashKey(…)");
    }
}
