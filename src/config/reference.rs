//! `config/default.toml` as the list of all settings, and suggestions for misspelt
//! ones.

use toml::Table;

/// Every setting with its default and a comment.
pub(super) const DEFAULT_TOML: &str = include_str!("../../config/default.toml");

/// The same with the commented examples of settings without a default uncommented.
pub(super) fn uncommented() -> String {
    DEFAULT_TOML
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if is_setting(rest) || is_section(rest) => rest,
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn is_setting(line: &str) -> bool {
    line.split_once(" = ").is_some_and(|(key, _)| {
        key.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    })
}

/// `[a.b]`: the example of a section whose name the administrator chooses.
fn is_section(line: &str) -> bool {
    line.starts_with('[') && line.ends_with(']')
}

/// The key of every section and setting.
fn known_keys() -> Vec<String> {
    let table = uncommented().parse::<Table>().unwrap_or_default();
    let mut keys = Vec::new();
    collect("", &table, &mut keys);
    keys
}

fn collect(parent: &str, table: &Table, keys: &mut Vec<String>) {
    for (name, value) in table {
        let key = join(parent, name);
        if let Some(section) = value.as_table() {
            collect(&key, section, keys);
        }
        keys.push(key);
    }
}

/// The key of a setting in a section; the section is empty at the top level.
pub(super) fn join(section: &str, name: &str) -> String {
    if section.is_empty() {
        name.to_owned()
    } else {
        format!("{section}.{name}")
    }
}

/// The setting whose key has these letters, however its parts are separated.
pub(super) fn same_letters(name: &str) -> Option<String> {
    let letters = |text: &str| text.replace(['.', '_'], "");
    let name = letters(name);
    known_keys().into_iter().find(|key| letters(key) == name)
}

/// The most similar setting or section: the only one with the same name in another
/// section, or one that differs by few letters.
pub(super) fn suggestion(unknown: &str) -> Option<String> {
    let known = known_keys();
    let mut same_name = known.iter().filter(|key| name(key) == name(unknown));
    if let (Some(only), None) = (same_name.next(), same_name.next()) {
        return Some(only.clone());
    }
    let max_distance = 1 + name(unknown).len() / 3;
    known
        .iter()
        .map(|key| (strsim::damerau_levenshtein(key, unknown), key))
        .filter(|(distance, _)| *distance <= max_distance)
        .min()
        .map(|(_, key)| key.clone())
}

fn name(key: &str) -> &str {
    key.rsplit_once('.').map_or(key, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelled_setting_gets_a_suggestion() {
        for (unknown, meant) in [
            ("email.smtp.prot", Some("email.smtp.port")),
            ("emial", Some("email")),
            ("email.smpt", Some("email.smtp")),
            ("server.publicbaseurl", Some("server.public_base_url")),
            ("email.host", Some("email.smtp.host")),
            ("smtp", Some("email.smtp")),
            ("server.colour", None),
            ("http.url_file", Some("database.url_file")),
            ("listen", None),
            ("", None),
        ] {
            assert_eq!(suggestion(unknown).as_deref(), meant, "{unknown}");
        }
    }
}
