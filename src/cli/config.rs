//! `sydent config`: write a configuration, or check one.

use clap::Subcommand;

use super::config_file::ConfigFile;
use super::generate::Generate;
use super::{Failure, print};
use crate::delivery::templates::Templates;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Write a commented configuration file and a signing key.
    Generate(Generate),
    /// Name everything that is wrong with the configuration; if nothing is,
    /// print the effective settings with secrets masked.
    Check(ConfigFile),
}

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
    let shown = toml::to_string(&settings);
    let config = settings.into_config()?;
    Templates::load(&config.templates)
        .and_then(|templates| {
            let invites = &config.invites;
            templates.with_subjects(&invites.subject_room, &invites.subject_space)
        })
        .map_err(|error| Failure::new(format!("The templates cannot be used: {error}.")))?;
    for warning in &config.warnings {
        eprintln!("warning: {warning}");
    }
    let shown =
        shown.map_err(|error| Failure::new(format!("The settings cannot be shown: {error}.")))?;
    print(&shown)
}
