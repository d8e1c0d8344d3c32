//! `sydent database`: changes the database of a server that is not running.

use clap::Subcommand;

use super::config_file::ConfigFile;
use super::failure::Failure;
use super::stdout::print;
use crate::domain::ids::ServerName;
use crate::server::sign_again::{SignAgainOutcome, sign_again};

#[derive(Debug, Subcommand)]
pub(super) enum DatabaseCommand {
    /// Sign all associations of this server again, with the name and the active key of
    /// the configuration.
    ///
    /// For a server that is renamed, or whose key was lost or must not be used any more.
    /// Stop all servers on the database first, and take a backup.
    #[command(after_help = EXIT_CODES)]
    Sign {
        /// The name that the database was used with, if server.name is another one now.
        #[arg(long, value_name = "NAME")]
        former_name: Option<ServerName>,
        #[command(flatten)]
        file: ConfigFile,
    },
}

const EXIT_CODES: &str = "\
Exit codes:
  0  The associations were signed
  1  There was nothing to change, or the command failed; nothing was changed";

impl DatabaseCommand {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let Self::Sign { former_name, file } = self;
        let config = file.settings()?.into_config()?;
        let name = &config.server.name;
        match sign_again(&config, former_name.clone())? {
            SignAgainOutcome::Signed(count) => print(&format!(
                "The database belongs to the server {name}. Associations signed again: {count}.\n"
            )),
            SignAgainOutcome::UpToDate => Err(Failure::new(format!(
                "Nothing was changed: the database belongs to the server {name}, and its active \
                 key has signed every association."
            ))),
            SignAgainOutcome::OtherName(other) => Err(Failure::new(format!(
                "Nothing was changed: the database belongs to the server {other}. To make it that \
                 of {name}, use --former-name {other}."
            ))),
        }
    }
}
