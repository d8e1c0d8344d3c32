//! `sydent import`: migration from a Python Sydent.

mod sydent;
mod verify;

use clap::Subcommand;

use self::sydent::Sydent;
use self::verify::Verify;
use super::failure::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum ImportCommand {
    /// Import the configuration, signing key and database of a Python Sydent.
    ///
    /// Supports all versions of Sydent, which may keep running and is not modified. Imports
    /// either everything or nothing.
    Sydent(Sydent),
    /// Compare the responses of the old and the new server.
    ///
    /// Sends the same requests to a Python Sydent and to the server that its data was
    /// imported into.
    #[command(after_help = verify::EXIT_CODES)]
    Verify(Verify),
}

impl ImportCommand {
    pub(super) fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Sydent(sydent) => sydent.run(),
            Self::Verify(verify) => verify.run(),
        }
    }
}
