//! Errors of templates: sentences for the administrator.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;

use super::folder::Sources;

/// Why templates cannot be loaded or used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The folder of brands, the folder of one brand, or a file in it, cannot be read.
    #[error("The templates at {} cannot be read: {source}.", path.display())]
    Unreadable {
        /// The folder or file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A template, or the name of a folder, is not UTF-8.
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
        /// The brands that exist.
        known: Vec<String>,
    },
    /// A template does not compile, or fails when it is rendered.
    #[error("The template {file} is broken{}: {reason}.", line.map(|line| format!(" in line {line}")).unwrap_or_default())]
    Broken {
        /// The file of the template.
        file: String,
        /// The line in that file, counted from 1.
        line: Option<usize>,
        /// The error of the template engine.
        reason: String,
    },
    /// A mail template renders a line that is too long for SMTP.
    #[error(
        "The template {file} renders a mail whose line {line} is longer than {longest} bytes, which mail \
         servers reject: put the text between {{% filter quoted_printable %}} and {{% endfilter %}}."
    )]
    LineTooLong {
        /// The file of the template.
        file: String,
        /// The line of the rendered mail, counted from 1.
        line: usize,
        /// The limit, in bytes without the line end.
        longest: usize,
    },
}

impl TemplateError {
    /// Locates an error of the engine, which may be in a template that `name` includes.
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

    /// An error in a template that is the value of a setting.
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

    /// The setting whose value is the broken template; `None` if it is a file.
    #[must_use]
    pub fn setting(&self) -> Option<&str> {
        match self {
            Self::Broken { file, .. } => file.strip_prefix("in "),
            Self::UnknownDefaultBrand { .. } => Some("templates.default_brand"),
            _ => None,
        }
    }

    /// Removes the engine's message: with real values it may quote a secret.
    pub(super) fn without_reason(self) -> Self {
        match self {
            Self::Broken { file, line, .. } => Self::Broken {
                file,
                line,
                reason: "it cannot be rendered with the values of this message".to_owned(),
            },
            other => other,
        }
    }
}
