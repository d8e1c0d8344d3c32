//! Where each setting was set, for error messages and relative paths.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::problem::{Problem, Source};

/// The line or the variable that set each setting. Empty for settings made in code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    file: Option<PathBuf>,
    lines: BTreeMap<String, usize>,
    variables: BTreeMap<String, String>,
    /// Warnings about variables that are no settings.
    pub(super) mistaken: Vec<Problem>,
}

impl Origins {
    pub(super) fn new(file: Option<&Path>) -> Self {
        Self {
            file: file.map(Path::to_owned),
            ..Self::default()
        }
    }

    /// The configuration file, if there is one.
    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    pub(super) fn add_line(&mut self, key: &str, line: usize) {
        self.lines.insert(key.to_owned(), line);
    }

    pub(super) fn add_variable(&mut self, key: &str, variable: &str) {
        self.variables.insert(key.to_owned(), variable.to_owned());
    }

    /// The variable that set this key or one of its parents, with the key that it set.
    pub(super) fn variable(&self, key: &str) -> Option<(&str, &str)> {
        with_parents(key).find_map(|key| {
            let (key, variable) = self.variables.get_key_value(key)?;
            Some((key.as_str(), variable.as_str()))
        })
    }

    /// The keys that must be corrected because `unknown` is not a setting: those that
    /// variables set in it, and itself if it is in the file.
    pub(super) fn keys_in_unknown(&self, unknown: &str) -> Vec<String> {
        let section = format!("{unknown}.");
        let below = |key: &&String| *key == unknown || key.starts_with(&section);
        let variables = self.variables.keys().filter(below).cloned();
        let in_file = self.lines.contains_key(unknown).then(|| unknown.to_owned());
        variables.chain(in_file).collect()
    }

    /// A problem with this key, which may be an element such as
    /// `http.listen[1]`.
    pub(super) fn problem(&self, key: &str, message: impl Into<String>) -> Problem {
        let (source, line) = match (self.variable(key), &self.file) {
            (Some((_, variable)), _) => (Source::Environment(variable.to_owned()), None),
            (None, Some(file)) => {
                let line = with_parents(key)
                    .find_map(|key| self.lines.get(key))
                    .copied();
                (Source::File(file.clone()), line)
            }
            (None, None) => (Source::Nowhere, None),
        };
        Problem {
            source,
            line,
            key: key.to_owned(),
            message: message.into(),
        }
    }

    /// Resolves a relative path: in the file, it starts at the file's folder; in a
    /// variable, at the working directory.
    pub(super) fn resolve(&self, key: &str, path: &Path) -> PathBuf {
        match (&self.file, self.variable(key)) {
            (Some(file), None) => file.parent().unwrap_or(Path::new("")).join(path),
            _ => path.to_owned(),
        }
    }
}

/// A key, then the lists and sections that contain it, innermost first.
fn with_parents(key: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(key), |key| Some(key.rsplit_once(['.', '['])?.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins() -> Origins {
        let mut origins = Origins::new(Some(Path::new("/etc/id/sydent.toml")));
        origins.add_line("http", 1);
        origins.add_line("http.listen", 2);
        origins.add_line("http.listen[1]", 4);
        origins.add_line("emial", 7);
        origins.add_variable("database.url", "SYDENT__DATABASE__URL");
        origins.add_variable("emial.from", "SYDENT__EMIAL__FROM");
        origins
    }

    #[test]
    fn problem_names_the_nearest_location() {
        for (key, place) in [
            ("http.listen[1]", "/etc/id/sydent.toml:4: "),
            ("http.listen[0]", "/etc/id/sydent.toml:2: "),
            ("http.workers", "/etc/id/sydent.toml:1: "),
            ("log.level", "/etc/id/sydent.toml: "),
            ("database.url", "SYDENT__DATABASE__URL: "),
        ] {
            let shown = origins().problem(key, "is wrong").to_string();
            assert!(shown.starts_with(place), "{shown}");
        }
        assert_eq!(
            Origins::default().problem("a.b", "is wrong").to_string(),
            "a.b: is wrong"
        );
    }

    #[test]
    fn all_keys_of_an_unknown_section_are_found() {
        assert_eq!(origins().keys_in_unknown("emial"), ["emial.from", "emial"]);
        assert_eq!(origins().keys_in_unknown("database.url"), ["database.url"]);
    }

    #[test]
    fn relative_path_resolves_by_its_origin() {
        for (key, path, leads_to) in [
            ("server.signing_key_file", "a.key", "/etc/id/a.key"),
            ("server.signing_key_file", "/b.key", "/b.key"),
            ("database.url", "a.db", "a.db"),
        ] {
            assert_eq!(origins().resolve(key, Path::new(path)), Path::new(leads_to));
        }
    }
}
