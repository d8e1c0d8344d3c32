//! The option `--config`.

use std::ffi::OsString;
use std::path::Path;

use clap::Args;
use clap::builder::OsStringValueParser;

use super::failure::Failure;
use crate::config::{CONFIG_FILE, LogFormat, Settings, environment, is_setting, mistaken};

/// The option `--config`.
#[derive(Debug, Args)]
pub(super) struct ConfigFile {
    /// The configuration file. Environment variables such as
    /// `SYDENT__SERVER__NAME` override its settings.
    #[arg(
        long,
        short,
        env = CONFIG_FILE,
        value_name = "FILE",
        value_parser = OsStringValueParser::new()
    )]
    config: Option<OsString>,
}

impl ConfigFile {
    /// The settings from the file and the environment.
    ///
    /// # Errors
    /// When there is neither a file nor a variable, or they cannot be read.
    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        self.settings_if_given()?.ok_or_else(|| {
            let variables: Vec<String> = environment().map(|(name, _)| name).collect();
            let mistaken = mistaken(variables.iter().map(String::as_str));
            let mistaken = mistaken.iter().map(ToString::to_string);
            let lines: Vec<String> = [NO_CONFIG.to_owned()].into_iter().chain(mistaken).collect();
            Failure::new(lines.join("\n"))
        })
    }

    /// The file; a variable that is set to nothing names none.
    fn path(&self) -> Option<&Path> {
        let file = self.config.as_deref().filter(|file| !file.is_empty());
        file.map(Path::new)
    }

    /// The format of the log, as far as it can be read: the rest of the configuration
    /// may have problems.
    pub(super) fn log_format(&self) -> LogFormat {
        LogFormat::read(self.path(), environment()).unwrap_or_default()
    }

    /// As [`settings`](Self::settings); `None` when there is neither a file nor a
    /// variable.
    pub(super) fn settings_if_given(&self) -> Result<Option<Settings>, Failure> {
        let file = self.path();
        let variables: Vec<(String, String)> = environment().collect();
        let is_set = |(name, value): &(String, String)| is_setting(name, value);
        if file.is_none() && !variables.iter().any(is_set) {
            return Ok(None);
        }
        Ok(Some(Settings::load(file, variables.into_iter())?))
    }
}

const NO_CONFIG: &str = "No configuration was given. Use --config FILE, set SYDENT_CONFIG, or set \
    SYDENT__… variables.\nRun `sydent config generate` to write a configuration file, or \
    `sydent demo` for a server that needs none.";
