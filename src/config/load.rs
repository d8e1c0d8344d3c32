//! Loads settings from a file and the environment.

use std::path::Path;

use toml::Table;

use super::decode::decode;
use super::env::{mistaken, overlay};
use super::origins::Origins;
use super::problem::{Problem, Problems, Source};
use super::{Settings, files, toml_file};

impl Settings {
    /// Loads the file, if one is given, and overrides its settings with variables.
    ///
    /// # Errors
    /// All problems: TOML syntax errors, unknown keys, values of the wrong type, and
    /// those that [`Settings::into_config`] finds in the rest, so that one run of
    /// `sydent config check` shows everything.
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Problems> {
        let Some(path) = file else {
            return Self::parse(None, environment);
        };
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(Some((path, &text)), environment),
            Err(error) => Err(Problems(vec![Problem {
                source: Source::File(path.to_owned()),
                line: None,
                key: String::new(),
                message: format!(
                    "{}; run `sydent config generate` to write a configuration",
                    files::cannot_read(&error)
                ),
            }])),
        }
    }

    /// As [`Settings::load`], with the text of the file.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn parse(
        file: Option<(&Path, &str)>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Problems> {
        let mut origins = Origins::new(file.map(|(path, _)| path));
        let mut table = match file {
            Some((path, text)) => {
                toml_file::parse(text, path, &mut origins).map_err(Problems::new)?
            }
            None => Table::new(),
        };
        let environment: Vec<(String, String)> = environment.collect();
        origins.mistaken = mistaken(environment.iter().map(|(name, _)| name.as_str()));
        let mut problems = overlay(&mut table, &mut origins, environment.into_iter());
        let (mut settings, decode_problems) = decode(table, &origins);
        problems.extend(decode_problems);
        settings.origins = origins;
        if problems.is_empty() {
            return Ok(settings);
        }
        if let Err(Problems(more)) = settings.into_config() {
            // A setting that could not be decoded is missing here, which is not a problem
            // of its own.
            let reported: Vec<String> =
                problems.iter().map(|problem| problem.key.clone()).collect();
            let is_reported = |key: &str| {
                reported
                    .iter()
                    .any(|reported| is_within(key, reported) || is_within(reported, key))
            };
            problems.extend(
                more.into_iter()
                    .filter(|problem| !is_reported(&problem.key)),
            );
        }
        Err(Problems::new(problems))
    }
}

/// Whether `key` is `outer`, or an element or a setting in it.
fn is_within(key: &str, outer: &str) -> bool {
    key.strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
