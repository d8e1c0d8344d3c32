//! Where each setting was written, so that a problem can say so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::problem::{Problem, Source};

/// Where each setting was written. Empty for settings made in code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    file: Option<PathBuf>,
    lines: BTreeMap<String, usize>,
    variables: BTreeMap<String, String>,
}

impl Origins {
    pub(super) fn of_file(file: Option<&Path>) -> Self {
        Self {
            file: file.map(Path::to_owned),
            ..Self::default()
        }
    }

    pub(super) fn at_line(&mut self, key: &str, line: usize) {
        self.lines.insert(key.to_owned(), line);
    }

    pub(super) fn by_variable(&mut self, key: &str, variable: &str) {
        self.variables.insert(key.to_owned(), variable.to_owned());
    }

    /// The variable that set this key or a section around it, with the key
    /// that it set.
    pub(super) fn variable(&self, key: &str) -> Option<(&str, &str)> {
        around(key).find_map(|key| {
            let (key, variable) = self.variables.get_key_value(key)?;
            Some((key.as_str(), variable.as_str()))
        })
    }

    /// The keys below an unknown one that variables set, and the unknown key
    /// itself if the file has it: what has to be mended.
    pub(super) fn written(&self, unknown: &str) -> Vec<String> {
        let section = format!("{unknown}.");
        let below = |key: &&String| *key == unknown || key.starts_with(&section);
        let variables = self.variables.keys().filter(below).cloned();
        let in_file = self.lines.contains_key(unknown).then(|| unknown.to_owned());
        variables.chain(in_file).collect()
    }

    /// A problem with this key, which may be an element such as
    /// `http.listen[1]`.
    pub(super) fn problem(&self, key: &str, sentence: impl Into<String>) -> Problem {
        let (source, line) = match (self.variable(key), &self.file) {
            (Some((_, variable)), _) => (Source::Environment(variable.to_owned()), None),
            (None, Some(file)) => {
                let line = around(key).find_map(|key| self.lines.get(key)).copied();
                (Source::File(file.clone()), line)
            }
            (None, None) => (Source::Nowhere, None),
        };
        Problem {
            source,
            line,
            key: key.to_owned(),
            sentence: sentence.into(),
        }
    }

    /// Where a relative path leads: from the file's folder, or for a variable
    /// and without a file from the folder that the program was started in.
    pub(super) fn resolve(&self, key: &str, path: &Path) -> PathBuf {
        match (&self.file, self.variable(key)) {
            (Some(file), None) => file.parent().unwrap_or(Path::new("")).join(path),
            _ => path.to_owned(),
        }
    }
}

/// A key, then the list and the sections that it is in, innermost first.
fn around(key: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(key), |key| Some(key.rsplit_once(['.', '['])?.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins() -> Origins {
        let mut origins = Origins::of_file(Some(Path::new("/etc/id/sydent.toml")));
        origins.at_line("http", 1);
        origins.at_line("http.listen", 2);
        origins.at_line("http.listen[1]", 4);
        origins.at_line("emial", 7);
        origins.by_variable("database.url", "SYDENT__DATABASE__URL");
        origins.by_variable("emial.from", "SYDENT__EMIAL__FROM");
        origins
    }

    #[test]
    fn the_nearest_place_is_named() {
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
    fn each_place_of_an_unknown_section_is_found() {
        assert_eq!(origins().written("emial"), ["emial.from", "emial"]);
        assert_eq!(origins().written("database.url"), ["database.url"]);
    }

    #[test]
    fn relative_paths_start_at_the_file_or_at_the_working_directory() {
        for (key, path, leads_to) in [
            ("server.signing_key_file", "a.key", "/etc/id/a.key"),
            ("server.signing_key_file", "/b.key", "/b.key"),
            ("database.url", "a.db", "a.db"),
        ] {
            assert_eq!(origins().resolve(key, Path::new(path)), Path::new(leads_to));
        }
    }
}
