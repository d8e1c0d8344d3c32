//! Settings from environment variables, which override those of the file.

use toml::{Table, Value};

use super::origins::Origins;
use super::problem::{Problem, Source};
use super::reference::{same_letters, suggestion};
use super::secret::Secret;

/// The prefix of variables that are settings.
const PREFIX: &str = "SYDENT__";

/// The variable for a key.
pub(super) fn variable_for(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}

/// Whether a variable is a setting, known or unknown. One that is set to nothing counts
/// as not set: service managers and container tools pass on what was left blank.
pub(crate) fn is_setting(variable: &str, value: &str) -> bool {
    variable.starts_with(PREFIX) && !value.trim().is_empty()
}

/// The variable of the option `--config`.
pub(crate) const CONFIG_FILE: &str = "SYDENT_CONFIG";

/// Whether a variable looks as if it were meant for this program, although it is none
/// that it reads. Kubernetes sets some for a service of this name.
fn is_mistaken(variable: &str) -> bool {
    let name = variable.to_ascii_uppercase();
    let Some(rest) = name.strip_prefix("SYDENT_") else {
        return false;
    };
    let is_read = variable.starts_with(PREFIX) || variable == CONFIG_FILE;
    let of_kubernetes = rest == "PORT" || rest.starts_with("PORT_") || rest.starts_with("SERVICE_");
    !is_read && !of_kubernetes
}

/// A warning for each variable that looks like a setting and is none, with the one that
/// was probably meant.
pub(crate) fn mistaken<'a>(variables: impl Iterator<Item = &'a str>) -> Vec<Problem> {
    let mut mistaken: Vec<&str> = variables.filter(|name| is_mistaken(name)).collect();
    mistaken.sort_unstable();
    let warning = |name: &str| Problem {
        source: Source::Environment(name.to_owned()),
        line: None,
        key: String::new(),
        message: match meant(name) {
            Some(meant) => format!("is not read; did you mean {meant}?"),
            None => "is not read; variables of settings are named SYDENT__SECTION__KEY".to_owned(),
        },
    };
    mistaken.into_iter().map(warning).collect()
}

/// The variable with the same letters, such as `SYDENT__SERVER__NAME` for
/// `SYDENT_SERVER_NAME`, or one that is similar.
fn meant(variable: &str) -> Option<String> {
    let name = variable.to_ascii_lowercase();
    let name = name.strip_prefix("sydent")?.trim_matches('_').to_owned();
    if ["conf", "config_file", "config_path", "configuration"].contains(&name.as_str()) {
        return Some(CONFIG_FILE.to_owned());
    }
    same_letters(&name)
        .or_else(|| suggestion(&name.replacen('_', ".", 1)))
        .map(|key| variable_for(&key))
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

/// A variable that libpq reads for an option that a URL does not set.
///
/// # Errors
/// It is not UTF-8.
pub(super) fn of_libpq(variable: &str) -> Result<Option<Secret>, String> {
    let mut variables = std::env::vars_os().filter(|(name, _)| name == variable);
    let Some((_, value)) = variables.next() else {
        return Ok(None);
    };
    let value = value.into_string().map_err(|_secret| {
        format!("cannot be completed with the variable {variable}, which is not UTF-8")
    })?;
    Ok(Some(Secret::from(value)).filter(|value| !value.expose().is_empty()))
}

/// Sets each `SYDENT__SECTION__KEY` in the table, as a string, and records its
/// variable. Ignores variables without the prefix, and those that are empty.
pub(super) fn overlay(
    table: &mut Table,
    origins: &mut Origins,
    variables: impl Iterator<Item = (String, String)>,
) -> Vec<Problem> {
    let mut settings: Vec<_> = variables
        .filter_map(|(variable, value)| {
            if !is_setting(&variable, &value) {
                return None;
            }
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
            ("SYDENT__D", ""),
            ("SYDENT__A__C", " \t"),
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

    #[test]
    fn variable_that_is_none_names_the_one_meant() {
        for (name, meant) in [
            ("SYDENT_SERVER_NAME", Some("SYDENT__SERVER__NAME")),
            ("sydent__server__name", Some("SYDENT__SERVER__NAME")),
            ("SYDENT_SERVER__NAME", Some("SYDENT__SERVER__NAME")),
            ("SYDENT_EMAIL_SMTP_HOST", Some("SYDENT__EMAIL__SMTP__HOST")),
            (
                "SYDENT_HTTP_TRUSTED_PROXIES",
                Some("SYDENT__HTTP__TRUSTED_PROXIES"),
            ),
            ("SYDENT_DATABASE_URL", Some("SYDENT__DATABASE__URL")),
            ("SYDENT_SERVER_NAMES", Some("SYDENT__SERVER__NAME")),
            ("SYDENT_CONF", Some("SYDENT_CONFIG")),
            ("SYDENT_CONFIG_FILE", Some("SYDENT_CONFIG")),
            ("SYDENT_PID_FILE", None),
        ] {
            let warnings = mistaken([name].into_iter());
            let text = warnings[0].to_string();
            assert!(
                text.starts_with(&format!("{name}: is not read; ")),
                "{text}"
            );
            match meant {
                Some(meant) => assert!(text.ends_with(&format!("did you mean {meant}?")), "{text}"),
                None => assert!(text.ends_with("SYDENT__SECTION__KEY"), "{text}"),
            }
        }
        for other in [
            "SYDENT__SERVER__NAME",
            "SYDENT__X",
            "SYDENT_CONFIG",
            "SYDENT",
            "SYDENTX_Y",
            "SYDENT_SERVICE_HOST",
            "SYDENT_PORT",
            "SYDENT_PORT_8090_TCP_ADDR",
            "PATH",
        ] {
            assert_eq!(mistaken([other].into_iter()), Vec::new(), "{other}");
        }
    }
}
