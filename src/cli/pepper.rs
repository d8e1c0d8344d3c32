//! `sydent pepper`: the pepper of hashed look-ups.

use clap::Subcommand;

use super::config_file::ConfigFile;
use super::{Failure, print};
use crate::clock::Clock;
use crate::domain::Invalid;
use crate::domain::lookup::Pepper;
use crate::server::peppers;

#[derive(Debug, Subcommand)]
pub(super) enum PepperCommand {
    /// Replace the pepper, and hash every association with the new one.
    ///
    /// Servers may run on the database meanwhile. They answer look-ups with the
    /// old pepper until everything is done, and then all of them with the new
    /// one; who binds an address meanwhile waits, and after a while is told to
    /// try again.
    Rotate {
        /// The new pepper, for tests and moves: ASCII letters and digits. When
        /// left out, a random one.
        #[arg(long, value_name = "PEPPER", value_parser = pepper)]
        to: Option<Pepper>,
        #[command(flatten)]
        file: ConfigFile,
    },
}

impl PepperCommand {
    pub(super) fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Rotate { to, file } => {
                let config = file.settings()?.into_config()?;
                let hashed = peppers::rotate(&config, &Clock::system(), to.clone())?;
                print(&format!(
                    "The pepper was replaced. Associations that were hashed anew: {hashed}.\n"
                ))
            }
        }
    }
}

fn pepper(text: &str) -> Result<Pepper, Invalid> {
    Pepper::parse(text)
}
