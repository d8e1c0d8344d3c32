//! Phone numbers in canonical form.

use std::fmt;

use super::Invalid;

/// A phone number in E.164 format without the plus sign: 1 to 15 digits, the
/// first not zero (IDN-05).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CanonicalMsisdn(String);

impl CanonicalMsisdn {
    /// Parses a number in canonical form.
    ///
    /// # Errors
    /// It is not in canonical form.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let has_digits_only = text.bytes().all(|byte| byte.is_ascii_digit());
        if has_digits_only && (1..=15).contains(&text.len()) && !text.starts_with('0') {
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

    /// IDN-05
    #[test]
    fn canonical_number_grammar() {
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
