//! The configuration that a command works with.

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use crate::config::{Settings, environment, is_setting};

/// Which configuration.
#[derive(Debug, Args)]
pub(super) struct ConfigFile {
    /// The configuration file. Every setting can also be given as an
    /// environment variable such as `SYDENT__SERVER__NAME`.
    #[arg(long, short, env = "SYDENT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    /// The settings that the file and the environment give.
    ///
    /// # Errors
    /// When neither says anything, and when what they say cannot be read.
    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        self.settings_if_given()?
            .ok_or_else(|| Failure::new(NO_CONFIG))
    }

    /// As [`settings`](Self::settings); `None` when neither says anything.
    ///
    /// # Errors
    /// When what they say cannot be read.
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

const NO_CONFIG: &str = "No configuration is given. Name one with --config FILE or \
    SYDENT_CONFIG, or set SYDENT__… variables.\n`sydent config generate` writes one; \
    `sydent demo` runs a server that needs none.";
