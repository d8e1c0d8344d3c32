//! What can be wrong with templates, in sentences for the operator.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;

use super::folder::Sources;

/// Why templates cannot be loaded or used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The folder of brands, one brand's folder, or a file in it, cannot be read.
    #[error("The templates at {} cannot be read: {source}.", path.display())]
    Unreadable {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A template, or a folder's name, is not text in UTF-8.
    #[error("{} is not UTF-8: save the template as UTF-8, or give the folder a plain name.", path.display())]
    NotUtf8 {
        /// The file or folder.
        path: PathBuf,
    },
    /// The configured default brand has no folder.
    #[error(
        "The default brand {name:?} does not exist. The brands that exist: {}.",
        if known.is_empty() { "only \"default\", which is built in".to_owned() } else { known.join(", ") }
    )]
    UnknownDefaultBrand {
        /// The name in the configuration.
        name: String,
        /// The folders that were found.
        known: Vec<String>,
    },
    /// A template does not compile, or fails when it is rendered.
    #[error("The template {file} is broken{}: {reason}.", line.map(|line| format!(" in line {line}")).unwrap_or_default())]
    Broken {
        /// The template's file.
        file: String,
        /// The line in that file, counted from 1.
        line: Option<usize>,
        /// What the template engine says.
        reason: String,
    },
    /// A mail template writes a line that mail servers refuse.
    #[error(
        "The template {file} writes a mail whose line {line} is longer than {longest} bytes, which mail \
         servers refuse: put the text between {{% filter quoted_printable %}} and {{% endfilter %}}."
    )]
    LineTooLong {
        /// The template's file.
        file: String,
        /// The line of the rendered mail, counted from 1.
        line: usize,
        /// The limit, in bytes without the line end.
        longest: usize,
    },
}

impl TemplateError {
    /// Finds the place of an engine's error, which may lie in a template that `name` includes.
    pub(super) fn broken(error: &minijinja::Error, name: &str, sources: &Sources) -> Self {
        let mut innermost = error;
        let mut cause = error.source();
        while let Some(next) = cause {
            if let Some(inner) = next.downcast_ref::<minijinja::Error>()
                && inner.line().is_some()
            {
                innermost = inner;
            }
            cause = next.source();
        }
        let reason = match innermost.detail() {
            Some(detail) => format!("{}: {detail}", innermost.kind()),
            None => innermost.kind().to_string(),
        };
        Self::Broken {
            file: sources.file(innermost.name().unwrap_or(name)),
            line: innermost.line(),
            reason,
        }
    }

    /// An error in a template that is a setting.
    pub(super) fn broken_setting(error: &minijinja::Error, setting: &str) -> Self {
        let reason = match error.detail() {
            Some(detail) => format!("{}: {detail}", error.kind()),
            None => error.kind().to_string(),
        };
        Self::Broken {
            file: format!("in {setting}"),
            line: None,
            reason,
        }
    }

    /// Takes the engine's words away: once real values are rendered they may quote a secret.
    pub(super) fn without_reason(self) -> Self {
        match self {
            Self::Broken { file, line, .. } => Self::Broken {
                file,
                line,
                reason: "it fails on the values of this message".to_owned(),
            },
            other => other,
        }
    }
}
