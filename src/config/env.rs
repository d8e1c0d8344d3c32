//! Settings from environment variables, which override those of the file.

use toml::{Table, Value};

use super::origins::Origins;
use super::problem::{Problem, Source};

/// The prefix of variables that are settings.
const PREFIX: &str = "SYDENT__";

/// The variable for a key.
pub(super) fn variable_for(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}

/// Whether a variable of this name is a setting, known or unknown.
pub(crate) fn is_setting(variable: &str) -> bool {
    variable.starts_with(PREFIX)
}

/// The environment of the process, for [`Settings::load`](super::Settings::load).
/// Bytes that are not UTF-8 become replacement characters, so that such a variable is
/// reported instead of ignored.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().map(|(name, value)| {
        (
            name.to_string_lossy().into_owned(),
            value.to_string_lossy().into_owned(),
        )
    })
}

/// Sets each `SYDENT__SECTION__KEY` in the table, as a string, and records its
/// variable. Ignores variables without the prefix.
pub(super) fn overlay(
    table: &mut Table,
    origins: &mut Origins,
    variables: impl Iterator<Item = (String, String)>,
) -> Vec<Problem> {
    let mut settings: Vec<_> = variables
        .filter_map(|(variable, value)| {
            let path = variable.strip_prefix(PREFIX)?.to_ascii_lowercase();
            Some((variable, path, value))
        })
        .collect();
    settings.sort();
    let mut problems = Vec::new();
    for (variable, path, value) in settings {
        let names: Vec<&str> = path.split("__").collect();
        let key = names.join(".");
        let message = if names
            .iter()
            .any(|name| name.is_empty() || name.contains(['.', '[']))
        {
            "is not a setting; write SYDENT__SECTION__KEY, such as SYDENT__EMAIL__SMTP__HOST"
        } else if set(table, &names, value).is_none() {
            "is set in a section that is itself set to a value; remove one of the two"
        } else {
            origins.add_variable(&key, &variable);
            continue;
        };
        problems.push(Problem {
            source: Source::Environment(variable),
            line: None,
            key,
            message: message.to_owned(),
        });
    }
    problems
}

/// `None` when one of the sections has a value that is not a table.
fn set(table: &mut Table, names: &[&str], value: String) -> Option<()> {
    let (name, sections) = names.split_last()?;
    let mut at = table;
    for section in sections {
        let entry = at
            .entry(*section)
            .or_insert_with(|| Value::Table(Table::new()));
        at = entry.as_table_mut()?;
    }
    at.insert((*name).to_owned(), Value::String(value));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_override_the_file() {
        let mut table: Table = "a.b = 1\na.c = 2\nd = 3\n".parse().unwrap();
        let variables = [
            ("SYDENT__A__B", "x"),
            ("SYDENT__E__F_G__H", "y"),
            ("SYDENT_CONFIG", "z"),
            ("PATH", "z"),
            ("SYDENT__", "z"),
            ("SYDENT__A____B", "z"),
            ("SYDENT__A.B", "z"),
            ("SYDENT__D__X", "z"),
            ("SYDENT__SYDENT__A__B", "y"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut origins = Origins::default();
        let problems = overlay(&mut table, &mut origins, variables.into_iter());
        // The prefix is removed once.
        let expected: Table = "a.b = 'x'\na.c = 2\nd = 3\ne.f_g.h = 'y'\nsydent.a.b = 'y'\n"
            .parse()
            .unwrap();
        assert_eq!(table, expected);
        assert_eq!(
            origins.variable("e.f_g.h"),
            Some(("e.f_g.h", "SYDENT__E__F_G__H"))
        );
        let named: Vec<_> = problems.iter().map(|problem| &problem.source).collect();
        let wrong = ["SYDENT__", "SYDENT__A.B", "SYDENT__A____B", "SYDENT__D__X"];
        let wrong = wrong.map(|name| Source::Environment(name.to_owned()));
        assert_eq!(named, wrong.iter().collect::<Vec<_>>());
    }
}
