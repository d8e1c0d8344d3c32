//! The signing key of Sydent (CRY-09).

use zeroize::Zeroizing;

use crate::domain::signing::{KeyRing, verify};
use crate::domain::{Invalid, base64};

/// The content of a key file from `crypto.ed25519.signingkey` as it is written:
/// `ed25519 <version> <base64 seed>`, or the seed alone in hexadecimal digits,
/// which has the version 0. The id of the key stays.
///
/// # Errors
/// When it is neither, without showing it.
pub fn key_file(written: &str) -> Result<Zeroizing<String>, Invalid> {
    let written = written.trim();
    let line = if written.contains(char::is_whitespace) {
        Zeroizing::new(format!("{written}\n"))
    } else {
        let seed = Zeroizing::new(bytes_of(written).ok_or(Invalid(
            "the signing key must read: ed25519 <version> <base64 seed>, or be 64 hexadecimal digits",
        ))?);
        let coded = Zeroizing::new(base64::encode(seed.as_slice()));
        Zeroizing::new(format!("ed25519 0 {}\n", coded.as_str()))
    };
    KeyRing::parse(&line)?;
    Ok(line)
}

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    if digits.len() != 64 {
        return None;
    }
    let digits: Vec<u32> = digits
        .chars()
        .map(|digit| digit.to_digit(16))
        .collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    let byte = |pair: &[u32]| match pair {
        [high, low] => u8::try_from(high * 16 + low).ok(),
        _ => None,
    };
    pairs.map(byte).collect()
}

/// How many of the signatures by that name and the active key's id are good and
/// how many are not.
pub(super) fn check<'a>(
    signed: impl Iterator<Item = &'a str>,
    name: &str,
    keys: &KeyRing,
) -> (u64, u64) {
    let key = keys.active();
    let (mut good, mut bad) = (0, 0);
    for text in signed {
        let Ok(object) = serde_json::from_str::<serde_json::Map<_, _>>(text) else {
            continue;
        };
        let by_name = object.get("signatures").and_then(|all| all.get(name));
        if by_name
            .and_then(|keys| keys.get(key.id().as_str()))
            .is_none()
        {
            continue;
        }
        if verify(&object, name, key.id(), &key.public()) {
            good += 1;
        } else {
            bad += 1;
        }
    }
    (good, bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1";

    #[test]
    fn cry_09_both_forms_of_a_key_are_read_and_keep_their_id() {
        let new = key_file(&format!("ed25519 a_b1 {SEED}")).unwrap();
        assert_eq!(*new, format!("ed25519 a_b1 {SEED}\n"));
        let hex = "6090c103d5e7af6b15a970fd563ed75549e6159719ae5c3c31dee4316fb75c0d";
        let old = KeyRing::parse(&key_file(hex).unwrap()).unwrap();
        assert_eq!(old.active().id().as_str(), "ed25519:0");
        let same = KeyRing::parse(&new).unwrap();
        assert_eq!(old.active().public(), same.active().public());
    }

    #[test]
    fn cry_09_what_is_no_key_is_refused_without_being_shown() {
        for bad in ["", "abc", SEED, "ed25519 0", "rsa 0 AAAA", &"g".repeat(64)] {
            let refusal = key_file(bad).unwrap_err().to_string();
            assert!(bad.is_empty() || !refusal.contains(bad), "{refusal}");
        }
    }
}
