//! Warns of a configuration file that contains passwords and that everyone can read.

use toml::{Table, Value};

use super::Settings;
use super::checker::Checker;
use super::reference::join;
use super::secret::MASK;

/// The settings whose value is a secret, or contains one. Serializing masks them,
/// whichever they are, so that a new one needs no entry here.
pub(super) fn keys(settings: &Settings) -> Vec<String> {
    let mut keys = Vec::new();
    if let Ok(table) = Table::try_from(settings) {
        collect("", &Value::Table(table), &mut keys);
    }
    keys
}

fn collect(key: &str, value: &Value, keys: &mut Vec<String>) {
    match value {
        Value::String(text) if text.contains(MASK) => keys.push(key.to_owned()),
        Value::Table(table) => {
            for (name, value) in table {
                collect(&join(key, name), value, keys);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(key, value, keys)),
        _ => {}
    }
}

/// Warns at the first of these settings that is set in the file.
pub(super) fn warn_if_exposed(keys: &[String], checker: &mut Checker<'_>) {
    let in_file = keys.iter().find(|key| checker.is_in_file(key));
    if let Some((key, file)) = in_file.zip(checker.file()) {
        checker.warn_if_exposed(key, file);
    }
}
