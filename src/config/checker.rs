//! Collects problems while each section checks its settings.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files;
use super::origins::Origins;
use super::problem::Problem;
use super::secret::Secret;

/// Collects problems and warnings, so that all are reported at once.
pub(super) struct Checker<'a> {
    origins: &'a Origins,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
    /// Whether it is a problem if everybody can read a secret, and not just a warning.
    strict_permissions: bool,
}

impl<'a> Checker<'a> {
    pub(super) fn new(origins: &'a Origins) -> Self {
        Self {
            origins,
            problems: Vec::new(),
            warnings: Vec::new(),
            strict_permissions: false,
        }
    }

    /// The same, for which files that everybody can read are problems.
    pub(super) fn with_strict_permissions(self, strict_permissions: bool) -> Self {
        Self {
            strict_permissions,
            ..self
        }
    }

    /// Adds a problem, with which the server does not start. The message is the
    /// predicate of a sentence whose subject is the setting.
    pub(super) fn error(&mut self, key: &str, message: impl Into<String>) {
        self.problems.push(self.origins.problem(key, message));
    }

    /// Adds a warning, with which the server starts.
    pub(super) fn warn(&mut self, key: &str, message: impl Into<String>) {
        self.warnings.push(self.origins.problem(key, message));
    }

    /// The configuration file, if there is one.
    pub(super) fn file(&self) -> Option<&'a Path> {
        self.origins.file()
    }

    /// Whether the configuration file sets this key, and no variable replaces it.
    pub(super) fn is_in_file(&self, key: &str) -> bool {
        self.file().is_some() && self.origins.variable(key).is_none()
    }

    /// The path with a relative one resolved; see [`Origins::resolve`].
    pub(super) fn resolve(&self, key: &str, path: &Path) -> PathBuf {
        self.origins.resolve(key, path)
    }

    /// Checks that a number is in a range.
    pub(super) fn range<T>(&mut self, key: &str, value: T, allowed: RangeInclusive<T>)
    where
        T: PartialOrd + Display + Copy,
    {
        if !allowed.contains(&value) {
            let (min, max) = allowed.into_inner();
            self.error(key, format!("must be a whole number from {min} to {max}"));
        }
    }

    /// Checks that a duration is in a range.
    pub(super) fn duration(&mut self, key: &str, value: Duration, min: Duration, max: Duration) {
        if !(min..=max).contains(&value) {
            let (min, max) = (display(min), display(max));
            self.error(key, format!("must be a time from {min} to {max}"));
        }
    }

    /// The secret from the setting `key`, or from the file in the setting
    /// `key` + `_file`; `None` when neither is set or there is a problem.
    pub(super) fn secret(
        &mut self,
        key: &str,
        value: Option<&Secret>,
        file: Option<&Path>,
    ) -> Option<Secret> {
        let file_key = format!("{key}_file");
        match (value, file) {
            (Some(_), Some(_)) => {
                self.error(
                    &file_key,
                    format!("cannot be combined with {key}; remove one of them"),
                );
                None
            }
            (value, None) => value.cloned(),
            (None, Some(file)) => {
                self.warn_if_world_accessible(&file_key, file);
                self.secret_file(&file_key, file)
            }
        }
    }

    /// Warns when users other than the file's owner and group can read a secret, or
    /// refuses that with `server.strict_permissions`.
    pub(super) fn warn_if_world_accessible(&mut self, key: &str, file: &Path) {
        let file = self.resolve(key, file);
        self.warn_if_exposed(key, &file);
    }

    /// The same for a resolved path.
    pub(super) fn warn_if_exposed(&mut self, key: &str, file: &Path) {
        if files::is_world_accessible(file) {
            let file = file.display();
            self.exposed(
                key,
                format!("every user of this machine can access {file}; run: chmod 600 {file}"),
            );
        }
    }

    /// Adds a warning about a file that everybody can read, or a problem.
    pub(super) fn exposed(&mut self, key: &str, message: String) {
        if self.strict_permissions {
            self.error(key, message);
        } else {
            self.warn(key, message);
        }
    }

    /// The content of a file that contains one secret, without trailing line breaks.
    pub(super) fn secret_file(&mut self, key: &str, file: &Path) -> Option<Secret> {
        let file = self.resolve(key, file);
        match std::fs::read_to_string(&file) {
            Ok(text) => {
                let content = text.trim_end_matches(['\r', '\n']).to_owned();
                if content.is_empty() {
                    self.error(
                        key,
                        format!("must not be an empty file: {}", file.display()),
                    );
                }
                drop(Secret::from(text));
                Some(Secret::from(content))
            }
            Err(error) => {
                self.error(key, files::unreadable(&file, &error));
                None
            }
        }
    }
}

/// A duration as a setting, in days where that is exact: humantime's months and years are
/// average ones, so that it would display 366 days as 1year 18h.
fn display(duration: Duration) -> String {
    const DAY: u64 = 24 * 60 * 60;
    match duration.as_secs() {
        seconds if seconds >= DAY && seconds.is_multiple_of(DAY) => {
            format!("{}d", seconds / DAY)
        }
        _ => humantime::format_duration(duration).to_string(),
    }
}
