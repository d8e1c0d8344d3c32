//! The command line: one file a command group.

mod client;
mod config;
mod config_file;
mod demo;
mod generate;
mod import;
mod import_sydent;
mod import_verify;
mod key;
mod new_file;
mod peers;
mod pepper;
mod relay;
mod serve;
mod templates;
mod termination;
mod threepid;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Problems;
use crate::server::ServerError;

/// A Matrix identity server: proves who owns an address, binds it to a Matrix
/// ID, and answers look-ups.
#[derive(Debug, Parser)]
#[command(name = "sydent", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server in the foreground until SIGTERM or Ctrl-C.
    Serve(config_file::ConfigFile),
    /// Run a complete server on this machine, to try things out. It needs no
    /// configuration and sends no mail.
    Demo(demo::Demo),
    /// Write a configuration, or check one.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Make signing keys.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Take over an existing server.
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Show how far other servers have heard of the bindings of this one.
    Peers(peers::Peers),
    /// Replace the pepper of hashed look-ups.
    #[command(subcommand)]
    Pepper(pepper::PepperCommand),
    /// Check the templates of mails and pages, or look at them.
    #[command(subcommand)]
    Templates(templates::TemplatesCommand),
    /// Bind an address to a user of a running server, without asking the
    /// address's owner.
    Bind(threepid::Binding),
    /// Remove the binding of an address to a user.
    Unbind(threepid::Binding),
    /// Show whom an address is bound to. The exit code is 1 if it is nobody,
    /// and 2 if that cannot be found out.
    Lookup(threepid::ThreePid),
}

impl Cli {
    /// Does what was asked for; what goes wrong is printed to standard error.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let done = match &self.command {
            Command::Serve(config) => serve::run(config),
            Command::Demo(demo) => demo.run(),
            Command::Config(command) => command.run(),
            Command::Key(command) => command.run(),
            Command::Import(command) => command.run(),
            Command::Peers(peers) => peers.run(),
            Command::Pepper(command) => command.run(),
            Command::Templates(command) => command.run(),
            Command::Bind(binding) => binding.bind(),
            Command::Unbind(binding) => binding.unbind(),
            Command::Lookup(threepid) => threepid.lookup(),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                eprintln!("{failure}");
                ExitCode::from(failure.exit_code)
            }
        }
    }
}

/// Writes to standard output. A reader that has seen enough (`| head`) is no
/// failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(format!(
            "Standard output cannot be written: {error}."
        ))),
        _ => Ok(()),
    }
}

/// Why a command did not do what was asked for, in sentences.
#[derive(Debug, thiserror::Error)]
#[error("{sentences}")]
pub(crate) struct Failure {
    sentences: String,
    exit_code: u8,
}

impl Failure {
    pub(crate) fn new(sentences: impl Into<String>) -> Self {
        Self {
            sentences: sentences.into(),
            exit_code: 1,
        }
    }

    /// The same with the exit code 2, where 1 is an answer.
    pub(crate) fn into_trouble(self) -> Self {
        Self {
            exit_code: 2,
            ..self
        }
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        Self::new(format!("{error}."))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(format!("{error}."))
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        let heading = match problems.0.len() {
            1 => "The configuration has a problem:".to_owned(),
            many => format!("The configuration has {many} problems:"),
        };
        Self::new(format!("{heading}\n{problems}"))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
