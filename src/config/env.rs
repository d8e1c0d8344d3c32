//! Settings from environment variables, laid over those of the file.

use toml::{Table, Value};

use super::origins::Origins;
use super::problem::{Problem, Source};

/// What the name of a variable begins with that is a setting.
const PREFIX: &str = "SYDENT__";

/// The variable that sets a key.
pub(super) fn variable_for(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}

/// Whether a variable of this name is meant to be a setting.
pub(crate) fn is_setting(variable: &str) -> bool {
    variable.starts_with(PREFIX)
}

/// The process's environment, for [`Settings::load`](super::Settings::load).
/// What is not UTF-8 is changed to replacement characters, which no setting
/// takes, rather than passed over.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().map(|(name, value)| {
        (
            name.to_string_lossy().into_owned(),
            value.to_string_lossy().into_owned(),
        )
    })
}

/// Puts each `SYDENT__SECTION__KEY` into the table, as text, and notes where it
/// came from. Other variables are none of ours.
pub(super) fn overlay(
    table: &mut Table,
    origins: &mut Origins,
    variables: impl Iterator<Item = (String, String)>,
) -> Vec<Problem> {
    let mut ours: Vec<_> = variables.filter(|(name, _)| is_setting(name)).collect();
    ours.sort();
    let mut problems = Vec::new();
    for (variable, value) in ours {
        let path = variable.trim_start_matches(PREFIX).to_ascii_lowercase();
        let names: Vec<&str> = path.split("__").collect();
        let key = names.join(".");
        let sentence = if names
            .iter()
            .any(|name| name.is_empty() || name.contains(['.', '[']))
        {
            Some("is not the name of a setting, which is written like SYDENT__EMAIL__SMTP__HOST")
        } else if set(table, &names, value).is_none() {
            Some("is in a section that already has a value of another kind; remove one of them")
        } else {
            origins.by_variable(&key, &variable);
            None
        };
        if let Some(sentence) = sentence {
            let source = Source::Environment(variable);
            problems.push(Problem {
                source,
                line: None,
                key,
                sentence: sentence.to_owned(),
            });
        }
    }
    problems
}

/// `None` when a name on the way is there and is no section.
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
    fn variables_win_over_the_file() {
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
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut origins = Origins::default();
        let problems = overlay(&mut table, &mut origins, variables.into_iter());
        let shown: Table = "a.b = 'x'\na.c = 2\nd = 3\ne.f_g.h = 'y'\n"
            .parse()
            .unwrap();
        assert_eq!(table, shown);
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
