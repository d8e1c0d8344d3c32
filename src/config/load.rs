//! From a file and the environment to settings.

use std::path::Path;

use toml::Table;

use super::decode::decode;
use super::env::overlay;
use super::origins::Origins;
use super::problem::{Problem, Problems, Source};
use super::{Settings, file, file_access};

impl Settings {
    /// Reads a file, if there is one, and the environment over it.
    ///
    /// # Errors
    /// Everything that is wrong: text that is not TOML, unknown keys, values
    /// that do not fit, and then also what [`Settings::into_config`] would
    /// refuse about the rest, so that one look finds it all.
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
                sentence: format!(
                    "{}; `sydent config generate` writes a configuration",
                    file_access::cannot_be_read(&error)
                ),
            }])),
        }
    }

    /// As [`Settings::load`], with the file's text at hand.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn parse(
        file: Option<(&Path, &str)>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Problems> {
        let mut origins = Origins::of_file(file.map(|(path, _)| path));
        let mut table = match file {
            Some((path, text)) => file::parse(text, path, &mut origins).map_err(Problems::new)?,
            None => Table::new(),
        };
        let mut problems = overlay(&mut table, &mut origins, environment);
        let (mut settings, misfits) = decode(table, &origins);
        problems.extend(misfits);
        settings.origins = origins;
        if problems.is_empty() {
            return Ok(settings);
        }
        if let Err(Problems(more)) = settings.into_config() {
            let named: Vec<String> = problems.iter().map(|problem| problem.key.clone()).collect();
            let follows = |key: &str| {
                named
                    .iter()
                    .any(|named| within(key, named) || within(named, key))
            };
            problems.extend(more.into_iter().filter(|problem| !follows(&problem.key)));
        }
        Err(Problems::new(problems))
    }
}

/// Whether a key is another one, or an element or a setting in it.
fn within(key: &str, outer: &str) -> bool {
    key.strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
