//! `sydent key`: signing keys.

use std::path::PathBuf;

use clap::Subcommand;
use zeroize::Zeroizing;

use super::new_file::{FileAccess, create};
use super::{Failure, print};
use crate::domain::base64;
use crate::domain::ids::KeyId;
use crate::random;

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a signing key, as `ed25519 VERSION SEED`.
    ///
    /// To change keys, put the new line above the old ones: the first line
    /// signs, the others stay valid.
    Generate {
        /// The file to write, readable by its owner alone. An existing file is
        /// never overwritten. Without it the key goes to standard output.
        #[arg(long, short, value_name = "FILE")]
        out: Option<PathBuf>,
        /// The version in the key's id, `ed25519:VERSION`: letters, digits and
        /// underscores. Random when left out.
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
                eprintln!(
                    "Wrote a new signing key to {}. Keep a copy safe.",
                    path.display()
                );
            }
        }
        Ok(())
    }
}

fn version(text: &str) -> Result<String, &'static str> {
    match KeyId::parse(&format!("ed25519:{text}")) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("a version has letters, digits and underscores only"),
    }
}

/// A key file's content: one fresh key.
///
/// # Errors
/// When the operating system gives no randomness.
pub(super) fn generate(version: Option<&str>) -> Result<Zeroizing<String>, Failure> {
    let make = || {
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
    };
    make().map_err(|error: random::RandomError| Failure::new(format!("No key was made: {error}.")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::signing::KeyRing;

    #[test]
    fn a_new_key_is_one_that_the_server_reads() {
        for (version, id) in [(Some("0"), "ed25519:0"), (None, "ed25519:a_")] {
            let keys = KeyRing::parse(&generate(version).unwrap()).unwrap();
            assert!(keys.active().id().as_str().starts_with(id));
        }
        assert_ne!(generate(Some("0")).unwrap(), generate(Some("0")).unwrap());
    }

    #[test]
    fn versions() {
        assert!(version("a_X9").is_ok());
        for bad in ["", "a b", "a:b", "é"] {
            assert!(version(bad).is_err(), "{bad}");
        }
    }
}
