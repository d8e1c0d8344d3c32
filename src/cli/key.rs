//! `sydent key`: generates signing keys.

use std::path::PathBuf;

use clap::Subcommand;
use zeroize::Zeroizing;

use super::failure::Failure;
use super::new_file::{FileAccess, create};
use super::stdout::print;
use crate::domain::base64;
use crate::domain::ids::KeyId;
use crate::random::{self, RandomError};

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Generate a signing key, as a line `ed25519 VERSION SEED`.
    ///
    /// To rotate the key, insert the new line above the old ones in the key file:
    /// the server signs with the key of the first line and keeps the others valid.
    Generate {
        /// The file to write, with mode 0600; must not exist [default: standard
        /// output].
        #[arg(long, short, value_name = "FILE")]
        out: Option<PathBuf>,
        /// The version in the key ID `ed25519:VERSION`: letters, digits and
        /// underscores [default: random].
        #[arg(long, value_name = "VERSION", value_parser = version)]
        key_version: Option<String>,
    },
}

impl KeyCommand {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let Self::Generate { out, key_version } = self;
        let line = generate(key_version.as_deref())?;
        match out {
            None => print(&line)?,
            Some(path) => {
                create(path, &line, FileAccess::Owner)?;
                eprintln!("Wrote a new signing key to {}. Back it up.", path.display());
            }
        }
        Ok(())
    }
}

fn version(text: &str) -> Result<String, &'static str> {
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
