//! `[log]`: level and format of the log.

use log::LevelFilter;
use serde::{Deserialize, Serialize};

/// `[log]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogSettings {
    /// The lowest level of this program that is logged.
    pub level: LogLevel,
    /// The format of a line.
    pub format: LogFormat,
}

/// A log level.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Failures.
    Error,
    /// Problems that the server handles, and rejected requests.
    Warn,
    /// Events, such as one line per request.
    #[default]
    Info,
    /// Details of events.
    Debug,
    /// Every step.
    Trace,
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::Error,
            LogLevel::Warn => Self::Warn,
            LogLevel::Info => Self::Info,
            LogLevel::Debug => Self::Debug,
            LogLevel::Trace => Self::Trace,
        }
    }
}

/// The format of a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For a log collector: one JSON object per line.
    Json,
}
