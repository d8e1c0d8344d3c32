//! The password file (`PostgreSQL` documentation, section "The Password File"). libpq
//! would look in it for the Unix socket of a tunnel.

use std::path::Path;

use crate::config::{PostgresConnection, PostgresHost, Secret};

/// The password for a server, if the URL has none. As for libpq, a file that others
/// may read does not count.
pub(super) fn find(connection: &PostgresConnection, host: &PostgresHost) -> Option<Secret> {
    let file = connection.password_file.as_deref()?;
    if connection.option("password").is_some() || is_exposed(file) {
        return None;
    }
    let text = std::fs::read_to_string(file).ok()?;
    let text = Secret::from(text);
    let port = host.port.to_string();
    let user = connection.option("user").unwrap_or_default();
    let database = connection.option("dbname").unwrap_or(user);
    let wanted = [host.shown(), &port, database, user];
    let mut lines = text.expose().lines();
    lines.find_map(|line| password_for(line, &wanted))
}

#[cfg(unix)]
fn is_exposed(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata()
        .is_ok_and(|file| file.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_exposed(_file: &Path) -> bool {
    false
}

/// The password of a line `host:port:database:user:password` for the first four.
fn password_for(line: &str, wanted: &[&str; 4]) -> Option<Secret> {
    if line.starts_with('#') {
        return None;
    }
    let mut letters = line.chars();
    for wanted in wanted {
        let field = read_field(&mut letters)?;
        if field != "*" && field != *wanted {
            return None;
        }
    }
    let password = read_field(&mut letters).unwrap_or_default();
    Some(Secret::from(password))
}

/// The text up to the next colon; a backslash escapes one. `None` at the end.
fn read_field(letters: &mut std::str::Chars<'_>) -> Option<String> {
    if letters.as_str().is_empty() {
        return None;
    }
    let mut field = String::new();
    while let Some(letter) = letters.next() {
        match letter {
            ':' => break,
            '\\' => field.extend(letters.next()),
            other => field.push(other),
        }
    }
    Some(field)
}

#[cfg(test)]
mod tests {
    use super::password_for;

    #[test]
    fn password_is_that_of_the_matching_line() {
        let wanted = ["db", "5432", "x", "id"];
        for (line, password) in [
            ("db:5432:x:id:hunter2", Some("hunter2")),
            ("*:*:*:*:hunter2", Some("hunter2")),
            ("*:*:*:id:h\\:u\\\\n", Some("h:u\\n")),
            ("db2:5432:x:id:hunter2", None),
            ("db:5432:x:other:hunter2", None),
            ("# db:5432:x:id:hunter2", None),
            ("db:5432", None),
            ("", None),
        ] {
            let found = password_for(line, &wanted);
            assert_eq!(
                found.as_ref().map(crate::config::Secret::expose),
                password,
                "{line}"
            );
        }
    }
}
