//! `[log]`: level and format of the log.

use std::path::Path;

use log::LevelFilter;
use serde::{Deserialize, Serialize};
use toml::de::DeTable;

use super::env::variable_for;

/// `[log]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogSettings {
    /// The lowest level of this program that is logged.
    pub level: LogLevel,
    /// The format of a line.
    pub format: LogFormat,
    /// What the line of a request says about the person that it concerns.
    pub personal_data: PersonalData,
}

/// What the line of a request says about a person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PersonalData {
    /// Nothing.
    #[default]
    None,
    /// Keyed hashes of user, address and session, with a new key every day.
    Pseudonym,
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

impl LogFormat {
    /// Reads the format from a configuration that may be invalid otherwise, even as
    /// TOML; `None` if it is not set or cannot be read.
    pub(crate) fn read(
        file: Option<&Path>,
        mut environment: impl Iterator<Item = (String, String)>,
    ) -> Option<Self> {
        let variable = variable_for("log.format");
        let set = environment.find(|(name, value)| *name == variable && !value.is_empty());
        if let Some((_, value)) = set {
            return Self::parse(&value);
        }
        let text = std::fs::read_to_string(file?).ok()?;
        let (table, _) = DeTable::parse_recoverable(&text);
        let section = table.get_ref().get("log")?.get_ref();
        Self::parse(section.get("format")?.get_ref().as_str()?)
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OPS-14
    #[test]
    fn format_is_read_from_a_broken_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toml");
        let read = |text: &str, variable: &str| {
            std::fs::write(&file, text).unwrap();
            let variables = [("SYDENT__LOG__FORMAT".to_owned(), variable.to_owned())];
            LogFormat::read(Some(&file), variables.into_iter())
        };
        let json = Some(LogFormat::Json);
        assert_eq!(read("log.format = 'json'", ""), json);
        assert_eq!(
            read("[log]\nformat = \"json\"\nlevel = 7\n[a\nb = \n", ""),
            json
        );
        assert_eq!(read("a = \n[log]\nformat = 'json'\n", ""), json);
        assert_eq!(read("log.format = 'text'", "json"), json);
        assert_eq!(read("", "json"), json);
        assert_eq!(read("log.format = 'json'", "text"), Some(LogFormat::Text));
        for unknown in ["", "log = 1", "log.format = 1", "log.format = 'xml'"] {
            assert_eq!(read(unknown, ""), None, "{unknown}");
        }
        assert_eq!(LogFormat::read(None, std::iter::empty()), None);
    }
}
