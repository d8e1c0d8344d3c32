//! Variables that do not exist.

use super::super::python_format;
use super::{Subject, samples};

impl Subject<'_> {
    /// The unknown variables, and the invalid placeholders of an old template, each with its line.
    pub(super) fn unknown_names(&self) -> Vec<(Option<usize>, String)> {
        let known = samples::names(self.file);
        if let Some(text) = self.sources.old_text(self.name) {
            return python_format::names(text)
                .into_iter()
                .filter_map(|(line, name)| match name {
                    Ok(name) if known.contains(name) => None,
                    Ok(name) => Some((Some(line), unknown(name))),
                    Err(what) => Some((Some(line), what.to_owned())),
                })
                .collect();
        }
        let Ok(template) = self.environment.get_template(self.name) else {
            return Vec::new();
        };
        let is_global = |name: &str| self.environment.globals().any(|(global, _)| global == name);
        let mut names: Vec<String> = template
            .undeclared_variables(false)
            .into_iter()
            .filter(|name| !known.contains(name.as_str()) && !is_global(name))
            .collect();
        names.sort();
        names
            .iter()
            .map(|name| (self.line_of(name), unknown(name)))
            .collect()
    }

    /// The first line with a tag that contains this word.
    fn line_of(&self, word: &str) -> Option<usize> {
        self.first_line(|line| has_word(line, word))
    }

    /// The first line of HTML that marks this value as safe.
    pub(super) fn line_of_unescaped(&self, name: &str) -> Option<usize> {
        let mut in_html = self.is_page();
        self.first_line(|line| {
            in_html |= line.contains("text/html");
            in_html && has_word(line, name) && has_word(line, "safe")
        })
    }

    fn first_line(&self, mut matches: impl FnMut(&str) -> bool) -> Option<usize> {
        let text = self.sources.text(self.name)?;
        // `matches` keeps state, so it must see every line.
        text.lines()
            .position(|line| matches(line) && (line.contains("{{") || line.contains("{%")))
            .map(|index| index + 1)
    }
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|found| found == word)
}

fn unknown(name: &str) -> String {
    format!("there is no variable {name:?}: it renders as nothing")
}
