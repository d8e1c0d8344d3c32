//! Why a command failed, as the user reads it.

use std::io;

use crate::config::Problems;
use crate::server::ServerError;

/// Why a command failed: the text for standard error, and the exit code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    message: String,
    exit_code: u8,
    is_logged: bool,
}

impl Failure {
    /// A failure with exit code 1. The message consists of whole sentences.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            exit_code: 1,
            is_logged: false,
        }
    }

    /// The same with exit code 2, for commands whose exit code 1 is a result.
    pub(crate) fn with_exit_code_2(self) -> Self {
        Self {
            exit_code: 2,
            ..self
        }
    }

    /// The same with exit code 3, for a command that did a part of its work.
    pub(crate) fn with_exit_code_3(self) -> Self {
        Self {
            exit_code: 3,
            ..self
        }
    }

    /// The same, but not to be printed, because the log has it.
    pub(super) fn logged(self) -> Self {
        Self {
            is_logged: true,
            ..self
        }
    }

    pub(super) fn is_logged(&self) -> bool {
        self.is_logged
    }

    pub(super) fn exit_code(&self) -> u8 {
        self.exit_code
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        match error {
            ServerError::Configuration(problems) => Self::from(problems),
            other => Self::new(format!("{other}.")),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(format!("{error}."))
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        let heading = match problems.0.len() {
            1 => "The configuration has 1 problem:".to_owned(),
            many => format!("The configuration has {many} problems:"),
        };
        Self::new(format!("{heading}\n{problems}"))
    }
}
