//! Third-party identifiers: a medium and an address in canonical form.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Invalid;
use super::email::CanonicalEmail;
use super::msisdn::CanonicalMsisdn;

/// The kinds of 3PID (IDN-06).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Medium {
    /// An email address.
    Email,
    /// A phone number.
    Msisdn,
}

parse_from_string!(Medium);

impl From<Medium> for &'static str {
    fn from(medium: Medium) -> Self {
        medium.as_str()
    }
}

impl Medium {
    /// Parses a medium; lower case only.
    ///
    /// # Errors
    /// There is no such medium.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "email" => Ok(Self::Email),
            "msisdn" => Ok(Self::Msisdn),
            _ => Err(Invalid("must be email or msisdn")),
        }
    }

    /// The name of the medium in the specification.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Msisdn => "msisdn",
        }
    }
}

/// A 3PID. `Debug` shows the medium but not the address.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum ThreePid {
    /// An email address.
    Email(CanonicalEmail),
    /// A phone number.
    Msisdn(CanonicalMsisdn),
}

impl ThreePid {
    /// Parses a medium and an address, and folds the address.
    ///
    /// # Errors
    /// One of the two is invalid; the sentence says which.
    pub fn parse(medium: &str, address: &str) -> Result<Self, Invalid> {
        Ok(match Medium::parse(medium)? {
            Medium::Email => Self::Email(CanonicalEmail::parse(address)?),
            Medium::Msisdn => Self::Msisdn(CanonicalMsisdn::parse(address)?),
        })
    }

    /// The medium.
    #[must_use]
    pub fn medium(&self) -> Medium {
        match self {
            Self::Email(_) => Medium::Email,
            Self::Msisdn(_) => Medium::Msisdn,
        }
    }

    /// The canonical address.
    #[must_use]
    pub fn address(&self) -> &str {
        match self {
            Self::Email(email) => email.as_str(),
            Self::Msisdn(number) => number.as_str(),
        }
    }

    /// Another form of the address that people type and hash: an email address with
    /// its domain in A-labels. `None` if it has none.
    #[must_use]
    pub fn other_form(&self) -> Option<String> {
        match self {
            Self::Email(email) => email.ascii_form(),
            Self::Msisdn(_) => None,
        }
    }
}

impl fmt::Debug for ThreePid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ThreePid({}, …)", self.medium().as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// IDN-06
    #[test]
    fn only_email_and_msisdn_are_media() {
        assert!(ThreePid::parse("email", "a@b.com").is_ok());
        assert!(ThreePid::parse("msisdn", "447700900001").is_ok());
        for medium in ["", "Email", "EMAIL", "twitter", "email "] {
            assert!(ThreePid::parse(medium, "a@b.com").is_err(), "{medium}");
        }
    }

    #[test]
    fn debug_hides_the_address() {
        let shown = format!(
            "{:?}",
            ThreePid::parse("email", "alice@example.com").unwrap()
        );
        assert_eq!(shown, "ThreePid(email, …)");
    }
}
