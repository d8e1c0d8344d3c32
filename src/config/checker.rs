//! Collects what is wrong with the settings while their sections check them.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file_access;
use super::origins::Origins;
use super::problem::Problem;
use super::secret::Secret;

/// Collects everything that is wrong, so that all of it is named at once.
pub(super) struct Checker<'a> {
    origins: &'a Origins,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(origins: &'a Origins) -> Self {
        Self {
            origins,
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Notes why the server does not start like this.
    pub(super) fn refuse(&mut self, key: &str, sentence: impl Into<String>) {
        self.problems.push(self.origins.problem(key, sentence));
    }

    /// Notes what the administrator should know.
    pub(super) fn warn(&mut self, key: &str, sentence: impl Into<String>) {
        self.warnings.push(self.origins.problem(key, sentence));
    }

    pub(super) fn resolve(&self, key: &str, path: &Path) -> PathBuf {
        self.origins.resolve(key, path)
    }

    pub(super) fn range<T>(&mut self, key: &str, value: T, allowed: RangeInclusive<T>)
    where
        T: PartialOrd + Display + Copy,
    {
        if !allowed.contains(&value) {
            let (least, most) = allowed.into_inner();
            self.refuse(
                key,
                format!("must be a whole number from {least} to {most}"),
            );
        }
    }

    pub(super) fn period(&mut self, key: &str, time: Duration, least: Duration, most: Duration) {
        if !(least..=most).contains(&time) {
            let (least, most) = (
                humantime::format_duration(least),
                humantime::format_duration(most),
            );
            self.refuse(key, format!("must be from {least} to {most}"));
        }
    }

    /// The secret `key`, given in place or in the file that `key` + `_file`
    /// names; `None` when neither is given or something is wrong.
    pub(super) fn secret(
        &mut self,
        key: &str,
        direct: Option<&Secret>,
        file: Option<&Path>,
    ) -> Option<Secret> {
        let file_key = format!("{key}_file");
        match (direct, file) {
            (Some(_), Some(_)) => {
                self.refuse(&file_key, format!("is given besides {key}; remove one"));
                None
            }
            (direct, None) => direct.cloned(),
            (None, Some(file)) => self.secret_file(&file_key, file),
        }
    }

    /// Notes that a secret file is readable by more than its owner and group.
    pub(super) fn warn_if_others_may_read(&mut self, key: &str, file: &Path) {
        let file = self.resolve(key, file);
        if file_access::others_may_read(&file) {
            let sentence = format!(
                "{} can be read by every user of this machine; run chmod 600 on it",
                file.display()
            );
            self.warn(key, sentence);
        }
    }

    /// The content of a file that holds one secret, without the line break at
    /// its end.
    pub(super) fn secret_file(&mut self, key: &str, file: &Path) -> Option<Secret> {
        let file = self.resolve(key, file);
        match std::fs::read_to_string(&file) {
            Ok(text) => {
                let content = text.trim_end_matches(['\r', '\n']).to_owned();
                if content.is_empty() {
                    self.refuse(key, format!("{} is empty", file.display()));
                }
                drop(Secret::from(text));
                Some(Secret::from(content))
            }
            Err(error) => {
                self.refuse(key, file_access::unreadable(&file, &error));
                None
            }
        }
    }
}
