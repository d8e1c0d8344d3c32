//! Secrets: session ids, client secrets, validation tokens, invite tokens, and
//! hashes of access tokens. `Debug` does not show a secret.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Invalid, base64};

macro_rules! secret_text {
    ($($(#[$doc:meta])* $name:ident),*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        parse_from_string!($name);

        impl $name {
            /// The secret: for the database and the message to its owner,
            /// never for a log.
            #[must_use]
            pub fn expose(&self) -> &str {
                &self.0
            }

            /// Compares in constant time.
            #[must_use]
            pub fn matches(&self, other: &Self) -> bool {
                self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )*};
}

secret_text!(
    /// The secret that a client chooses for its validation session: 1 to 255
    /// characters of `[0-9a-zA-Z.=_-]` (SES-01).
    ClientSecret,
    /// The id of a validation session, of the same alphabet and length (SES-02).
    Sid,
    /// The validation token that is sent to the address: at most 255 code
    /// points (SES-04).
    Token,
    /// The token of an invite in its room: 1 to 255 characters of
    /// `[0-9a-zA-Z.=_-]` (INV-11). With it, anyone can obtain the signature.
    InviteToken
);

// For the response to the client that owns the session or sends the invite.
impl Serialize for Sid {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        target.serialize_str(&self.0)
    }
}

impl Serialize for InviteToken {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        target.serialize_str(&self.0)
    }
}

impl ClientSecret {
    /// Parses a client secret.
    ///
    /// # Errors
    /// Length or alphabet are invalid.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if is_opaque(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid(
                "must be 1 to 255 characters out of a-z, A-Z, 0-9 and .=_-",
            ))
        }
    }
}

impl Sid {
    /// Parses a session id.
    ///
    /// # Errors
    /// Length or alphabet are invalid.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if is_opaque(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid("must be the sid that requestToken returned"))
        }
    }
}

impl InviteToken {
    /// Parses the token of an invite.
    ///
    /// # Errors
    /// Length or alphabet are invalid.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if is_opaque(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid("must be the token of an invitation"))
        }
    }
}

impl Token {
    /// Parses a submitted validation token.
    ///
    /// # Errors
    /// It is empty or too long.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if (1..=255).contains(&text.chars().count()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid(
                "must be the code from the message, 1 to 255 characters",
            ))
        }
    }
}

/// The stored form of an access token: its SHA-256 in unpadded URL-safe base64
/// (AUTH-15). Tokens are long and random, so the hash does not reveal them, and
/// finding a token by its hash needs no comparison in constant time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenHash(String);

impl TokenHash {
    /// Hashes an access token.
    #[must_use]
    pub fn new(access_token: &str) -> Self {
        let digest = Sha256::digest(access_token.as_bytes());
        Self(base64::encode_url_safe(digest.as_slice()))
    }

    /// The hash in base64.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_opaque(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".=_-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SES-01
    #[test]
    fn client_secret_grammar() {
        for good in ["a", "A.b=c_d-9", &"x".repeat(255)] {
            assert!(ClientSecret::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "sec\n", "a b", "é", "a\0", &"x".repeat(256)] {
            assert!(ClientSecret::parse(bad).is_err(), "{bad:?}");
        }
    }

    /// SES-04
    #[test]
    fn token_length_counts_code_points() {
        assert!(Token::parse(&"é".repeat(255)).is_ok());
        assert!(Token::parse(&"é".repeat(256)).is_err());
        assert!(Token::parse("").is_err());
    }

    /// AUTH-15
    #[test]
    fn access_token_hash_matches_the_vector() {
        // echo -n abc | openssl sha256 -binary | basenc --base64url
        assert_eq!(
            TokenHash::new("abc").as_str(),
            "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"
        );
    }

    #[test]
    fn debug_hides_secrets() {
        let secret = ClientSecret::parse("hunter2").unwrap();
        assert_eq!(format!("{secret:?}"), "ClientSecret(…)");
        assert!(secret.matches(&ClientSecret::parse("hunter2").unwrap()));
        assert!(!secret.matches(&ClientSecret::parse("hunter3").unwrap()));
    }
}
