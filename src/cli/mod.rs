//! The command line: one file a command group.

mod client;
mod config;
mod demo;
mod generate;
mod key;
mod new_file;
mod relay;
mod serve;
mod threepid;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Problems, Settings, environment, is_setting};
use crate::server::ServerError;

/// A Matrix identity server: proves who owns an address, binds it to a Matrix
/// ID, and answers look-ups.
#[derive(Debug, Parser)]
#[command(name = "sydent", version, propagate_version = true)]
pub struct Cli {
    /// The configuration file. Every setting can also be given as an
    /// environment variable such as `SYDENT__SERVER__NAME`.
    #[arg(long, short, global = true, env = "SYDENT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server in the foreground until SIGTERM or Ctrl-C.
    Serve,
    /// Run a complete server on this machine, to try things out. It needs no
    /// configuration and sends no mail.
    Demo(demo::Demo),
    /// Write a configuration, or check one.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Make signing keys.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Bind an address to a user of a running server, without asking the
    /// address's owner.
    Bind(threepid::Binding),
    /// Remove the binding of an address to a user.
    Unbind(threepid::Binding),
    /// Show whom an address is bound to. The exit code is 1 if it is nobody.
    Lookup(threepid::ThreePid),
}

impl Cli {
    /// Does what was asked for; what goes wrong is printed to standard error.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let done = match &self.command {
            Command::Serve => serve::run(&self),
            Command::Demo(demo) => demo.run(),
            Command::Config(command) => command.run(&self),
            Command::Key(command) => command.run(),
            Command::Bind(binding) => binding.bind(&self),
            Command::Unbind(binding) => binding.unbind(&self),
            Command::Lookup(threepid) => threepid.lookup(&self),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                eprintln!("{failure}");
                ExitCode::FAILURE
            }
        }
    }

    /// The settings that the file and the environment give.
    ///
    /// # Errors
    /// When neither says anything, and when what they say cannot be read.
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        self.settings_if_given()?
            .ok_or_else(|| Failure::new(NO_CONFIG))
    }

    /// As [`settings`](Self::settings); `None` when neither says anything.
    ///
    /// # Errors
    /// When what they say cannot be read.
    pub(crate) fn settings_if_given(&self) -> Result<Option<Settings>, Failure> {
        let mut variables = environment()
            .filter(|(name, _)| is_setting(name))
            .peekable();
        if self.config.is_none() && variables.peek().is_none() {
            return Ok(None);
        }
        Ok(Some(Settings::load(self.config.as_deref(), variables)?))
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

const NO_CONFIG: &str = "No configuration is given. Name one with --config FILE or \
    SYDENT_CONFIG, or set SYDENT__… variables.\n`sydent config generate` writes one; \
    `sydent demo` runs a server that needs none.";

/// Why a command did not do what was asked for, in sentences.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(sentences: impl Into<String>) -> Self {
        Self(sentences.into())
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        Self(format!("{error}."))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self(format!("{error}."))
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        let heading = match problems.0.len() {
            1 => "The configuration has a problem:".to_owned(),
            many => format!("The configuration has {many} problems:"),
        };
        Self(format!("{heading}\n{problems}"))
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
