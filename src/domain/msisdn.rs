//! Phone numbers in their canonical form.

use std::fmt;

use super::Invalid;

/// A phone number as E.164 digits without the plus sign: 1 to 15 digits, the
/// first not zero (IDN-05).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CanonicalMsisdn(String);

impl CanonicalMsisdn {
    /// Takes a number that is canonical already.
    ///
    /// # Errors
    /// A sentence when it is not.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        if digits && (1..=15).contains(&text.len()) && !text.starts_with('0') {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid(
                "must be a phone number in international form, digits only, without +",
            ))
        }
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for CanonicalMsisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CanonicalMsisdn(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idn_05_canonical_numbers() {
        assert!(CanonicalMsisdn::parse("447700900001").is_ok());
        for bad in [
            "",
            "+447700900001",
            "07700900001",
            "4477 00",
            "1234567890123456",
            "１２３",
        ] {
            assert!(CanonicalMsisdn::parse(bad).is_err(), "{bad}");
        }
    }
}
