//! The option `--config`.

use std::path::PathBuf;

use clap::Args;

use super::failure::Failure;
use crate::config::{LogFormat, Settings, environment, is_setting};

/// The option `--config`.
#[derive(Debug, Args)]
pub(super) struct ConfigFile {
    /// The configuration file. Environment variables such as
    /// `SYDENT__SERVER__NAME` override its settings.
    #[arg(long, short, env = "SYDENT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    /// The settings from the file and the environment.
    ///
    /// # Errors
    /// When there is neither a file nor a variable, or they cannot be read.
    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        self.settings_if_given()?
            .ok_or_else(|| Failure::new(NO_CONFIG))
    }

    /// The format of the log, as far as it can be read: the rest of the configuration
    /// may have problems.
    pub(super) fn log_format(&self) -> LogFormat {
        LogFormat::read(self.config.as_deref(), environment()).unwrap_or_default()
    }

    /// As [`settings`](Self::settings); `None` when there is neither a file nor a
    /// variable.
    pub(super) fn settings_if_given(&self) -> Result<Option<Settings>, Failure> {
        let mut variables = environment()
            .filter(|(name, _)| is_setting(name))
            .peekable();
        if self.config.is_none() && variables.peek().is_none() {
            return Ok(None);
        }
        Ok(Some(Settings::load(self.config.as_deref(), variables)?))
    }
}

const NO_CONFIG: &str = "No configuration was given. Use --config FILE, set SYDENT_CONFIG, or set \
    SYDENT__… variables.\nRun `sydent config generate` to write a configuration file, or \
    `sydent demo` for a server that needs none.";
