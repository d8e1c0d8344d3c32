//! `sydent database`: what a server's database is, and changes of it as a whole.

mod copy;
mod status;

use clap::Subcommand;

use super::config_file::ConfigFile;
use super::failure::Failure;
use super::stdout::print;
use crate::clock::Clock;
use crate::domain::ids::ServerName;
use crate::server::databases;
use crate::server::sign_again::{SignAgainOutcome, sign_again};

#[derive(Debug, Subcommand)]
pub(super) enum DatabaseCommand {
    /// Show the schema, size and contents of the database.
    ///
    /// Changes nothing; servers may keep running.
    #[command(after_help = status::EXIT_CODES)]
    Status(status::Status),
    /// Migrate the database to the schema of this version.
    ///
    /// A server that starts does the same. Servers of the version before may keep running
    /// on PostgreSQL. Others that migrate at the same time wait.
    Migrate {
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Copy all data into another database, from SQLite to PostgreSQL or back.
    ///
    /// Stop all servers on both first. The target must be empty. Everything is read back
    /// and compared; if the command fails or is ended, nothing was copied.
    Copy(Box<copy::Copy>),
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
        match self {
            Self::Status(status) => status.run(),
            Self::Migrate { file } => migrate(file),
            Self::Copy(copy) => copy.run(),
            Self::Sign { former_name, file } => sign(former_name.as_ref(), file),
        }
    }
}

fn migrate(file: &ConfigFile) -> Result<(), Failure> {
    let config = file.settings()?.into_config()?;
    let applied = databases::migrate(&config, &Clock::system())?;
    if applied.is_empty() {
        return print("Nothing was changed: the schema is the one of this version.\n");
    }
    print(&format!("Migrations applied: {}.\n", applied.join(", ")))
}

fn sign(former_name: Option<&ServerName>, file: &ConfigFile) -> Result<(), Failure> {
    let config = file.settings()?.into_config()?;
    let name = &config.server.name;
    match sign_again(&config, former_name.cloned())? {
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
