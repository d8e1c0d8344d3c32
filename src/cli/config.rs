//! `sydent config`: write a configuration, or check one.

use clap::Subcommand;

use super::generate::Generate;
use super::{Cli, Failure, print};

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Write a commented configuration file and a signing key.
    Generate(Generate),
    /// Name everything that is wrong with the configuration; if nothing is,
    /// print the effective settings with secrets masked.
    Check,
}

impl ConfigCommand {
    pub(super) fn run(&self, cli: &Cli) -> Result<(), Failure> {
        match self {
            Self::Generate(generate) => generate.run(),
            Self::Check => check(cli),
        }
    }
}

fn check(cli: &Cli) -> Result<(), Failure> {
    let settings = cli.settings()?;
    let shown = toml::to_string(&settings);
    let config = settings.into_config()?;
    for warning in &config.warnings {
        eprintln!("warning: {warning}");
    }
    let shown =
        shown.map_err(|error| Failure::new(format!("The settings cannot be shown: {error}.")))?;
    print(&shown)
}
