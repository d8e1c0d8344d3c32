//! What must stay unknown to others: session ids, client secrets, validation
//! tokens, access tokens. None of them shows itself in `Debug`.

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
            /// The secret itself: for the database and the message that
            /// carries it, never for a log.
            #[must_use]
            pub fn expose(&self) -> &str {
                &self.0
            }

            /// Compares in a time that does not depend on where the two differ.
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
    /// The secret that a client chose for its validation session: 1 to 255
    /// characters of `[0-9a-zA-Z.=_-]` (SES-01).
    ClientSecret,
    /// The id of a validation session; the same alphabet and length (SES-02).
    Sid,
    /// What the owner of an address reads in the message that was sent there:
    /// at most 255 code points (SES-04).
    Token,
    /// What names an invitation in its room: 1 to 255 characters of
    /// `[0-9a-zA-Z.=_-]` (INV-11). Who has it can have it signed.
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
    /// Reads a client secret.
    ///
    /// # Errors
    /// A sentence when length or alphabet are wrong.
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
    /// Reads a session id.
    ///
    /// # Errors
    /// A sentence when length or alphabet are wrong.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if is_opaque(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid("must be the sid that requestToken answered"))
        }
    }
}

impl InviteToken {
    /// Reads the token of an invitation.
    ///
    /// # Errors
    /// A sentence when length or alphabet are wrong: no invitation has it.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if is_opaque(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid("must be the token of an invitation"))
        }
    }
}

impl Token {
    /// Reads a validation token as somebody submits it.
    ///
    /// # Errors
    /// A sentence when it is empty or longer than any token can be.
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

/// What is stored of an access token: its SHA-256 in unpadded URL-safe base64
/// (AUTH-15). A token is random and long, so that its hash gives nothing away,
/// and is found by it without a comparison that could be timed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenHash(String);

impl TokenHash {
    /// The hash of an access token.
    #[must_use]
    pub fn of(access_token: &str) -> Self {
        let digest = Sha256::digest(access_token.as_bytes());
        Self(base64::encode_url_safe(digest.as_slice()))
    }

    /// The hash as it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_opaque(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".=_-".contains(&byte);
    (1..=255).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ses_01_client_secret_grammar() {
        for good in ["a", "A.b=c_d-9", &"x".repeat(255)] {
            assert!(ClientSecret::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "sec\n", "a b", "é", "a\0", &"x".repeat(256)] {
            assert!(ClientSecret::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ses_04_tokens_count_code_points() {
        assert!(Token::parse(&"é".repeat(255)).is_ok());
        assert!(Token::parse(&"é".repeat(256)).is_err());
        assert!(Token::parse("").is_err());
    }

    #[test]
    fn auth_15_the_stored_form_of_an_access_token() {
        // echo -n abc | openssl sha256 -binary | basenc --base64url
        assert_eq!(
            TokenHash::of("abc").as_str(),
            "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"
        );
    }

    #[test]
    fn secrets_do_not_show_themselves() {
        let secret = ClientSecret::parse("hunter2").unwrap();
        assert_eq!(format!("{secret:?}"), "ClientSecret(…)");
        assert!(secret.matches(&ClientSecret::parse("hunter2").unwrap()));
        assert!(!secret.matches(&ClientSecret::parse("hunter3").unwrap()));
    }
}
