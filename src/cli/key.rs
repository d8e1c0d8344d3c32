//! `sydent key`: generates signing keys.

use std::path::PathBuf;

use clap::Subcommand;

use super::failure::Failure;
use super::new_file::{FileAccess, create};
use super::new_key::{generate, version};
use super::stdout::print;

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
