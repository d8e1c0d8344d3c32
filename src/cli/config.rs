//! `sydent config`: generates and checks configurations.

use clap::Subcommand;

use super::config_file::ConfigFile;
use super::failure::Failure;
use super::generate::Generate;
use super::stdout::{print, shown};
use crate::server;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Write a commented configuration file and a signing key.
    Generate(Generate),
    /// Check the configuration and print the effective settings.
    ///
    /// Reports all problems at once. Without problems, prints every setting with
    /// its effective value; secrets are masked.
    #[command(after_help = EXIT_CODES)]
    Check(ConfigFile),
}

const EXIT_CODES: &str = "\
Exit codes:
  0  The configuration is valid; warnings go to standard error
  1  The configuration has problems";

impl ConfigCommand {
    pub(super) fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Generate(generate) => generate.run(),
            Self::Check(file) => check(file),
        }
    }
}

fn check(file: &ConfigFile) -> Result<(), Failure> {
    let settings = file.settings()?;
    let effective = toml::to_string(&settings)
        .map_err(|error| Failure::new(format!("Cannot print the settings: {error}.")))?;
    let config = settings.into_config()?;
    let found = server::check(&config)?;
    for warning in config.warnings.iter().chain(&found) {
        eprintln!("warning: {}", shown(&warning.to_string()));
    }
    print(&effective)
}
