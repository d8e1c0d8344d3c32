//! Reads and checks Sydent's signing key (CRY-09).

use zeroize::Zeroizing;

use crate::domain::signing::KeyRing;
use crate::domain::{Invalid, base64};

/// The content of the key file for `crypto.ed25519.signingkey`, which is
/// `ed25519 <version> <base64 seed>`, or only the seed in hexadecimal digits,
/// which has the version 0. The key keeps its ID.
///
/// # Errors
/// When it is neither. The error does not contain the value.
pub(crate) fn key_file(value: &str) -> Result<Zeroizing<String>, Invalid> {
    let value = value.trim();
    let line = if value.contains(char::is_whitespace) {
        Zeroizing::new(format!("{value}\n"))
    } else {
        let seed = Zeroizing::new(decode_hex_seed(value).ok_or(Invalid(
            "the signing key must be `ed25519 <version> <base64 seed>` or 64 hexadecimal digits",
        ))?);
        let seed = Zeroizing::new(base64::encode(seed.as_slice()));
        Zeroizing::new(format!("ed25519 0 {}\n", seed.as_str()))
    };
    KeyRing::parse(&line)?;
    Ok(line)
}

fn decode_hex_seed(digits: &str) -> Option<Vec<u8>> {
    if digits.len() != 64 {
        return None;
    }
    let digits: Vec<u32> = digits
        .chars()
        .map(|digit| digit.to_digit(16))
        .collect::<Option<_>>()?;
    digits
        .chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(high * 16 + low).ok(),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1";

    /// CRY-09
    #[test]
    fn both_key_formats_are_read_with_their_id() {
        let new = key_file(&format!("ed25519 a_b1 {SEED}")).unwrap();
        assert_eq!(*new, format!("ed25519 a_b1 {SEED}\n"));
        let hex = "6090c103d5e7af6b15a970fd563ed75549e6159719ae5c3c31dee4316fb75c0d";
        let old = KeyRing::parse(&key_file(hex).unwrap()).unwrap();
        assert_eq!(old.active().id().as_str(), "ed25519:0");
        let same = KeyRing::parse(&new).unwrap();
        assert_eq!(old.active().public(), same.active().public());
    }

    /// CRY-09
    #[test]
    fn invalid_key_is_rejected_and_not_shown() {
        for bad in ["", "abc", SEED, "ed25519 0", "rsa 0 AAAA", &"g".repeat(64)] {
            let error = key_file(bad).unwrap_err().to_string();
            assert!(bad.is_empty() || !error.contains(bad), "{error}");
        }
    }
}
