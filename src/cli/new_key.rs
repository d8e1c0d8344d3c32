//! A new signing key, as a line of a key file.

use zeroize::Zeroizing;

use super::failure::Failure;
use crate::domain::base64;
use crate::domain::ids::KeyId;
use crate::random::{self, RandomError};

/// Reads the version of a key ID.
///
/// # Errors
/// It has other characters than letters, digits and underscores.
pub(super) fn version(text: &str) -> Result<String, &'static str> {
    match KeyId::parse(&format!("ed25519:{text}")) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("must consist of letters, digits and underscores"),
    }
}

/// Generates the content of a key file with one key.
pub(super) fn generate(version: Option<&str>) -> Result<Zeroizing<String>, Failure> {
    random_key(version)
        .map_err(|error| Failure::new(format!("Cannot generate a signing key: {error}.")))
}

fn random_key(version: Option<&str>) -> Result<Zeroizing<String>, RandomError> {
    let version = match version {
        Some(version) => version.to_owned(),
        None => format!("a_{}", random::alphanumeric(4)?),
    };
    let mut seed = Zeroizing::new([0_u8; 32]);
    random::fill(seed.as_mut())?;
    let seed = Zeroizing::new(base64::encode(seed.as_ref()));
    Ok(Zeroizing::new(format!(
        "ed25519 {version} {}\n",
        seed.as_str()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::signing::KeyRing;

    #[test]
    fn generated_key_can_be_parsed() {
        for (version, id) in [(Some("0"), "ed25519:0"), (None, "ed25519:a_")] {
            let keys = KeyRing::parse(&generate(version).unwrap()).unwrap();
            assert!(keys.active().id().as_str().starts_with(id));
        }
        assert_ne!(generate(Some("0")).unwrap(), generate(Some("0")).unwrap());
    }

    #[test]
    fn key_version_grammar() {
        assert!(version("a_X9").is_ok());
        for bad in ["", "a b", "a:b", "é"] {
            assert!(version(bad).is_err(), "{bad}");
        }
    }
}
