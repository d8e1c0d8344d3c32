//! `sydent key`: generates signing keys, and changes the one that signs.

use std::path::PathBuf;

use clap::Subcommand;

use super::failure::Failure;
use super::key_rotation::Rotation;
use super::new_file::{FileAccess, create};
use super::new_key::{generate, version};
use super::stdout::print;

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Generate a signing key, as a line `ed25519 VERSION SEED`.
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
    /// Sign with another key, and keep the present one valid.
    ///
    /// Changes the file `server.signing_key_file`, of which the first key signs. Running
    /// servers go on with the keys that they have read at their start. With several
    /// instances, run `sydent key rotate --prepare` first, copy the file to all of them and
    /// restart them, so that all know the key before one of them signs with it; then do the
    /// same with `--activate`.
    Rotate(Rotation),
}

impl KeyCommand {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let (out, key_version) = match self {
            Self::Generate { out, key_version } => (out, key_version),
            Self::Rotate(rotation) => return rotation.run(),
        };
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
