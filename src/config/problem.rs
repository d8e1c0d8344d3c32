//! Problems in a configuration, with their location.

use std::fmt;
use std::path::PathBuf;

/// Where a setting was set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A configuration file.
    File(PathBuf),
    /// An environment variable, by its name.
    Environment(String),
    /// Nowhere: it is missing, or has its default.
    Nowhere,
}

/// A problem with a setting, or a warning about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where the setting was set.
    pub source: Source,
    /// Its line in the file, counted from 1; `None` when it is not in a file.
    pub line: Option<usize>,
    /// The setting, such as `email.smtp.port`; empty for a problem of the whole file.
    pub key: String,
    /// What is wrong and what to write instead. Never contains the value, which may be
    /// a secret.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.source, self.line) {
            (Source::File(file), Some(line)) => write!(f, "{}:{line}: ", file.display())?,
            (Source::File(file), None) => write!(f, "{}: ", file.display())?,
            (Source::Environment(variable), _) => {
                return write!(f, "{variable}: {}", self.message);
            }
            (Source::Nowhere, _) => {}
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// All problems of a configuration, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Sorts by file and line, and drops duplicates.
    pub(crate) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort();
        problems.dedup();
        Self(problems)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problem_is_shown_on_one_line() {
        let file = || Source::File(PathBuf::from("sydent.toml"));
        let variable = Source::Environment("SYDENT__A__B".to_owned());
        for (source, line, key, shown) in [
            (file(), Some(3), "a.b", "sydent.toml:3: a.b: is wrong"),
            (file(), Some(3), "", "sydent.toml:3: is wrong"),
            (file(), None, "a.b", "sydent.toml: a.b: is wrong"),
            (variable, None, "a.b", "SYDENT__A__B: is wrong"),
            (Source::Nowhere, None, "a.b", "a.b: is wrong"),
        ] {
            let (key, message) = (key.to_owned(), "is wrong".to_owned());
            assert_eq!(
                Problem {
                    source,
                    line,
                    key,
                    message
                }
                .to_string(),
                shown
            );
        }
    }
}
