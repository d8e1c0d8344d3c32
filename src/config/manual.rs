//! `config/default.toml` read as the list of all settings, and what a
//! misspelt one was probably meant to be.

use toml::Table;

/// The manual: every setting with its default and a comment.
pub const MANUAL: &str = include_str!("../../config/default.toml");

/// The manual with the settings that have no default filled in with their
/// examples.
pub(super) fn uncommented() -> String {
    let lines = MANUAL.lines().map(|line| match line.strip_prefix("# ") {
        Some(rest) if is_setting(rest) || is_section(rest) => rest,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn is_setting(line: &str) -> bool {
    line.split_once(" = ").is_some_and(|(key, _)| {
        key.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    })
}

/// `[a.b]`, of a section that has a name of the administrator's choice.
fn is_section(line: &str) -> bool {
    line.starts_with('[') && line.ends_with(']')
}

/// Every section and setting of the manual, with its path.
fn known() -> Vec<String> {
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

/// The path of a key in a section; the section is empty at the top.
pub(super) fn join(section: &str, name: &str) -> String {
    if section.is_empty() {
        name.to_owned()
    } else {
        format!("{section}.{name}")
    }
}

/// The setting or section that an unknown one was probably meant to be: the
/// only one of this name elsewhere, or one that differs by a letter or two.
pub(super) fn suggestion(unknown: &str) -> Option<String> {
    let known = known();
    let mut namesakes = known.iter().filter(|key| name(key) == name(unknown));
    if let (Some(only), None) = (namesakes.next(), namesakes.next()) {
        return Some(only.clone());
    }
    let allowed = 1 + name(unknown).len() / 3;
    let distances = known
        .iter()
        .map(|key| (strsim::damerau_levenshtein(key, unknown), key));
    let near = distances.filter(|(distance, _)| *distance <= allowed).min();
    near.map(|(_, key)| key.clone())
}

fn name(key: &str) -> &str {
    key.rsplit_once('.').map_or(key, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_setting_is_recognised() {
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
