//! Parses a TOML file and records the line of every key.

use std::path::Path;

use toml::Table;
use toml::de::{DeTable, DeValue};

use super::origins::Origins;
use super::problem::{Problem, Source};
use super::reference::join;

/// Parses TOML and records the line of every key and list element.
///
/// # Errors
/// Every syntax error, without quoting the text, which may contain a secret.
pub(super) fn parse(text: &str, file: &Path, origins: &mut Origins) -> Result<Table, Vec<Problem>> {
    let (spanned, mut errors) = DeTable::parse_recoverable(text);
    let lines = LineIndex::new(text);
    if errors.is_empty() {
        record_table("", spanned.get_ref(), &lines, origins);
        match text.parse() {
            Ok(table) => return Ok(table),
            Err(error) => errors.push(error),
        }
    }
    let mut problems: Vec<Problem> = errors
        .iter()
        .map(|error| syntax_error(error, file, &lines))
        .collect();
    // One mistake often causes several errors on its line; the first one explains it.
    problems.dedup_by_key(|problem| problem.line);
    Err(problems)
}

fn syntax_error(error: &toml::de::Error, file: &Path, lines: &LineIndex) -> Problem {
    Problem {
        source: Source::File(file.to_owned()),
        line: error.span().map(|span| lines.line(span.start)),
        key: String::new(),
        message: format!("TOML syntax error: {}", error.message()),
    }
}

fn record_table(section: &str, table: &DeTable<'_>, lines: &LineIndex, origins: &mut Origins) {
    for (name, value) in table {
        let key = join(section, name.get_ref());
        origins.add_line(&key, lines.line(name.span().start));
        record_value(&key, value.get_ref(), lines, origins);
    }
}

fn record_value(key: &str, value: &DeValue<'_>, lines: &LineIndex, origins: &mut Origins) {
    match value {
        DeValue::Table(table) => record_table(key, table, lines, origins),
        DeValue::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                let key = format!("{key}[{index}]");
                origins.add_line(&key, lines.line(element.span().start));
                record_value(&key, element.get_ref(), lines, origins);
            }
        }
        _ => {}
    }
}

/// The offsets of the line ends of a text.
struct LineIndex(Vec<usize>);

impl LineIndex {
    fn new(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(offset, _)| offset).collect())
    }

    /// The line of an offset, counted from 1.
    fn line(&self, offset: usize) -> usize {
        1 + self.0.partition_point(|end| *end < offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (Result<Table, Vec<Problem>>, Origins) {
        let mut origins = Origins::new(Some(Path::new("a.toml")));
        (
            super::parse(text, Path::new("a.toml"), &mut origins),
            origins,
        )
    }

    #[test]
    fn every_key_has_its_line() {
        let (_, origins) =
            parse("[a.b]\nc = 1\n\n[d]\ne = [\n 1,\n 2,\n]\nf = { g = 3 }\nh.i = 4\n");
        for (key, line) in [
            ("a.b.c", 2),
            ("a", 1),
            ("d", 4),
            ("d.e[1]", 7),
            ("d.f.g", 9),
            ("d.h.i", 10),
        ] {
            assert_eq!(origins.problem(key, "").line, Some(line), "{key}");
        }
    }

    #[test]
    fn every_syntax_error_has_its_line() {
        for (text, wrong) in [
            ("a = \n", vec![1]),
            ("a = 1\na = 2\n", vec![2]),
            ("[a\nb = 1\n", vec![1]),
            ("a = 'x\nb = 1\nc = 1 2\n", vec![1, 3]),
            ("a = 99999999999999999999999\n", vec![1]),
            ("password = hunter2\n", vec![1]),
        ] {
            let problems = parse(text).0.unwrap_err();
            let lines: Vec<_> = problems.iter().filter_map(|problem| problem.line).collect();
            assert_eq!(lines, wrong, "{text}{problems:?}");
            assert!(!format!("{problems:?}").contains("hunter2"));
        }
    }
}
