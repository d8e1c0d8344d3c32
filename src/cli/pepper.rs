//! `sydent pepper`: the lookup pepper.

use clap::Subcommand;

use super::config_file::ConfigFile;
use super::failure::Failure;
use super::stdout::print;
use crate::clock::Clock;
use crate::domain::Invalid;
use crate::domain::lookup::Pepper;
use crate::server::peppers;

#[derive(Debug, Subcommand)]
pub(super) enum PepperCommand {
    /// Replace the lookup pepper and hash all associations again.
    ///
    /// Servers may keep running on the database. They answer lookups with the old
    /// pepper until the rotation is complete, then all of them with the new one.
    /// Binds wait for single steps of the rotation, some milliseconds each.
    #[command(after_help = EXIT_CODES)]
    Rotate {
        /// Use this pepper instead of a random one (for tests and migrations):
        /// ASCII letters and digits.
        #[arg(long, value_name = "PEPPER", value_parser = pepper)]
        to: Option<Pepper>,
        #[command(flatten)]
        file: ConfigFile,
    },
}

const UNCHANGED: &str = "This pepper is the current one already; nothing was changed.";
const EXIT_CODES: &str = "\
Exit codes:
  0  The pepper was replaced
  1  It was the current one already, or the command failed. A rotation that has started is
     finished by the servers";

impl PepperCommand {
    pub(super) fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Rotate { to, file } => {
                let config = file.settings()?.into_config()?;
                let hashed = peppers::rotate(&config, &Clock::system(), to.clone())?
                    .ok_or_else(|| Failure::new(UNCHANGED))?;
                print(&format!(
                    "The pepper was rotated. Associations hashed with the new pepper: {hashed}.\n"
                ))
            }
        }
    }
}

fn pepper(text: &str) -> Result<Pepper, Invalid> {
    Pepper::parse(text)
}
