//! Passwords, and URLs that may contain one.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};
use zeroize::Zeroizing;

use super::url_mask;

/// Replaces a secret in output.
pub(super) const MASK: &str = "[secret]";

/// A secret text. `Debug` and `Serialize` show a mask, and dropping it wipes the
/// memory.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text itself; never log or print it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

/// The login at a mail relay or an SMS provider.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// A URL that may contain a password. `Debug` and `Serialize` mask only the password,
/// since an administrator needs to see the rest.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct SecretUrl(Secret);

impl SecretUrl {
    /// The URL with its password; never log or print it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The URL with its password masked. A URL that cannot be parsed is masked as a
    /// whole.
    fn masked(&self) -> String {
        if self.expose().starts_with("sqlite:") {
            return self.expose().to_owned();
        }
        url_mask::masked(self.expose(), MASK).unwrap_or_else(|| MASK.to_owned())
    }
}

impl From<String> for SecretUrl {
    fn from(text: String) -> Self {
        Self(Secret::from(text))
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl Serialize for SecretUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.masked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_expose_shows_the_secret() {
        let secret = Secret::from("hunter2".to_owned());
        assert_eq!(
            format!("{secret:?} {:?}", Some(&secret)),
            "[secret] Some([secret])"
        );
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"[secret]\"");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn url_is_shown_without_its_password() {
        for (written, shown) in [
            ("sqlite:sydent.db", "sqlite:sydent.db"),
            (
                "postgres://id:hunter2@db/sydent",
                "postgres://id:[secret]@db/sydent",
            ),
            ("postgres://id@db/sydent", "postgres://id@db/sydent"),
            (
                "postgres:///sydent?host=/run/postgresql",
                "postgres:///sydent?host=/run/postgresql",
            ),
            (
                "postgres://db/x?password=hunter2",
                "postgres://db/x?[secret]",
            ),
            (
                "postgres://db/x?p%61ssword=hunter2",
                "postgres://db/x?[secret]",
            ),
            (
                "postgres://id:hunter2@a:1,b:2/x",
                "postgres://id:[secret]@a:1,b:2/x",
            ),
            (
                "postgres://db/x?oauth_client_%73ecret=hunter2",
                "postgres://db/x?[secret]",
            ),
            (
                "postgres://db/x?scram_client_key=hunter2",
                "postgres://db/x?[secret]",
            ),
            // Without an escape the password seems to end early.
            (
                "postgres://id:1234/hunter2@db/x",
                "postgres://[secret]@db/x",
            ),
            ("postgres://id:12?hunter2@db/x", "postgres://[secret]@db/x"),
            ("postgres://id:12@hunter2@db/x", "[secret]"),
            ("postgres://id:12@db/x?user=hunter@2", "[secret]"),
            ("postgres://id:hunter2", "[secret]"),
            ("host=db password=hunter2", "[secret]"),
            ("hunter2", "[secret]"),
        ] {
            let url = SecretUrl::from(written.to_owned());
            assert_eq!(format!("{url:?}"), shown);
            assert_eq!(serde_json::to_string(&url).unwrap(), format!("\"{shown}\""));
        }
    }
}
