//! The command line: one file per command.

mod accounts;
mod client;
mod config;
mod config_file;
mod database;
mod demo;
mod export;
mod failure;
mod generate;
mod import;
mod key;
mod key_rotation;
mod new_file;
mod new_key;
mod openapi;
mod peer_flags;
mod peers;
mod pepper;
mod person;
mod progress_bar;
mod relay;
mod serve;
mod signals;
mod stdout;
mod templates;
mod termination;
mod threepid;
mod typed;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::failure::Failure;
use self::signals::Signals;
use self::stdout::shown_lines;

/// A Matrix identity server: validates email addresses and phone numbers, binds
/// them to Matrix IDs, and answers lookups.
#[derive(Debug, Parser)]
#[command(name = "sydent", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server in the foreground until SIGTERM or Ctrl-C.
    #[command(after_help = serve::SIGNALS)]
    Serve(config_file::ConfigFile),
    /// Run a demo server on 127.0.0.1 that needs no configuration.
    ///
    /// It is complete, but sends nothing: it shows emails and SMS on a web page.
    Demo(demo::Demo),
    /// Generate or check a configuration.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Generate signing keys, or change the one that signs.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Migrate from a Python Sydent.
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Go back to a Python Sydent.
    #[command(subcommand)]
    Export(export::ExportCommand),
    /// List accounts, revoke their access tokens, and block users and homeservers.
    ///
    /// Works on the database; servers may keep running.
    #[command(subcommand)]
    Accounts(accounts::AccountsCommand),
    /// Show the replication status of each peer.
    Peers(peers::Peers),
    /// Show, migrate, copy or sign the database.
    #[command(subcommand)]
    Database(database::DatabaseCommand),
    /// Rotate the lookup pepper.
    #[command(subcommand)]
    Pepper(pepper::PepperCommand),
    /// Export or erase what the server stores about a person.
    #[command(subcommand)]
    Person(person::PersonCommand),
    /// Check or preview the templates of emails and web pages.
    #[command(subcommand)]
    Templates(templates::TemplatesCommand),
    /// Bind an email address or phone number to a Matrix ID without validating it.
    ///
    /// Sends the request to the internal listener of a running server, and prints
    /// the signed association.
    #[command(after_help = threepid::BIND_EXIT_CODES)]
    Bind(threepid::Binding),
    /// Remove the binding of an email address or phone number to a Matrix ID.
    ///
    /// Sends the request to the internal listener of a running server, or changes the
    /// database to remove the binding of a peer.
    #[command(after_help = threepid::UNBIND_EXIT_CODES)]
    Unbind(threepid::Unbinding),
    /// Show the Matrix ID that an email address or phone number is bound to.
    ///
    /// Sends the request to the internal listener of a running server, and prints
    /// the signed association.
    #[command(after_help = threepid::LOOKUP_EXIT_CODES)]
    Lookup(threepid::LookupArguments),
    /// Print the OpenAPI document of the HTTP API.
    Openapi,
}

/// Runs the command of the process's arguments. Prints a failure to standard error.
#[must_use]
pub fn main() -> ExitCode {
    let command = std::env::args_os().nth(1).unwrap_or_default();
    let stays = command == "serve" || command == "demo";
    // Before the arguments are parsed, which takes longer than service managers wait.
    let signals = stays.then(Signals::install).transpose();
    let cli = Cli::parse();
    let outcome = signals.map_err(Failure::from);
    match outcome.and_then(|signals| cli.run(signals)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_logged() {
                // It may quote what strangers have stored.
                eprintln!("{}", shown_lines(&failure.to_string()));
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

impl Cli {
    fn run(self, signals: Option<Signals>) -> Result<(), Failure> {
        let signals = || signals.map_or_else(|| Signals::install().map_err(Failure::from), Ok);
        match &self.command {
            Command::Serve(config) => serve::run(config, &signals()?),
            Command::Demo(demo) => demo.run(&signals()?),
            Command::Config(command) => command.run(),
            Command::Key(command) => command.run(),
            Command::Import(command) => command.run(),
            Command::Export(command) => command.run(),
            Command::Accounts(command) => command.run(),
            Command::Peers(peers) => peers.run(),
            Command::Database(command) => command.run(),
            Command::Pepper(command) => command.run(),
            Command::Person(command) => command.run(),
            Command::Templates(command) => command.run(),
            Command::Bind(binding) => binding.bind(),
            Command::Unbind(binding) => binding.unbind(),
            Command::Lookup(threepid) => threepid.lookup(),
            Command::Openapi => openapi::run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_definition_is_consistent() {
        Cli::command().debug_assert();
    }
}
