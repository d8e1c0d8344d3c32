//! Checks and masks the URL of a `PostgreSQL` database, so that no part of its password
//! is mistaken for another part of the URL and shown.

use percent_encoding::percent_decode_str;
use url::Url;

use crate::domain::Invalid;

const NOT_ENCODED: Invalid = Invalid(
    "is ambiguous: percent-encode the characters / ? # @ : and % in the user name and password, \
     such as %40 for @",
);

/// Checks that libpq splits the URL where the administrator meant it to. libpq quotes
/// what it cannot parse in its errors, which would include the part of a password after
/// an unencoded `@`, `/` or `?`.
///
/// # Errors
/// A message without any part of the URL.
pub(super) fn check(text: &str) -> Result<(), Invalid> {
    let (_, rest) = text.split_once("://").ok_or(NOT_ENCODED)?;
    if !escapes_are_whole(rest) {
        return Err(NOT_ENCODED);
    }
    let (login, location) = match rest.split_once('@') {
        Some((login, _)) if login.contains(['/', '?', '#']) => return Err(NOT_ENCODED),
        Some((_, location)) if location.contains('@') => return Err(NOT_ENCODED),
        Some((login, location)) => (Some(login), location),
        None => (None, rest),
    };
    let end = location.find(['/', '?', '#']).unwrap_or(location.len());
    let (hosts, path) = location.split_at_checked(end).ok_or(NOT_ENCODED)?;
    // libpq accepts any number of hosts, the URL standard exactly one.
    for host in hosts.split(',') {
        let name = if host.is_empty() || host.starts_with(':') {
            "host"
        } else {
            ""
        };
        let login = login.map(|login| format!("{login}@")).unwrap_or_default();
        let single = zeroize::Zeroizing::new(format!("postgres://{login}{name}{host}{path}"));
        Url::parse(&single).map_err(|_no_detail_helps_more| NOT_ENCODED)?;
    }
    Ok(())
}

fn escapes_are_whole(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        let mut digits = after.bytes().take(2);
        let whole = digits.next().zip(digits.next());
        whole.is_some_and(|(a, b)| {
            a.is_ascii_hexdigit() && b.is_ascii_hexdigit() && (a, b) != (b'0', b'0')
        })
    })
}

/// The URL with everything that may be a password replaced by `mask`; `None` when any
/// part of it may be.
pub(super) fn masked(text: &str, mask: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let (login, location) = match rest.rsplit_once('@') {
        // With another @, the password may continue after the last one.
        Some((login, _)) if login.contains('@') => return None,
        Some((login, location)) => (Some(login), location),
        None => (None, rest),
    };
    let login = match login {
        None => {
            Url::parse(text).ok()?;
            String::new()
        }
        Some(login) if login.contains(['/', '?', '#']) => format!("{mask}@"),
        Some(login) => match login.split_once(':') {
            Some((user, _password)) => format!("{user}:{mask}@"),
            None => format!("{login}@"),
        },
    };
    let location = match location.split_once('?') {
        Some((location, query)) if may_contain_password(query) => format!("{location}?{mask}"),
        _ => location.to_owned(),
    };
    Some(format!("{scheme}://{login}{location}"))
}

fn may_contain_password(query: &str) -> bool {
    percent_decode_str(query)
        .decode_utf8_lossy()
        .contains("password")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unencoded_password_is_rejected() {
        for fine in [
            "postgres://id:hunter2@db/x",
            "postgres://id:hunt%40er%2F2@db:5432/x?sslmode=require",
            "postgres://id@/x",
            "postgresql:///x?host=/run/postgresql",
            "postgres://%2Frun%2Fpostgresql/x",
            "postgres://id:hunter2@a:1,b:2/x",
            "postgres://[::1]:5432/x",
            "postgres://:5432/x",
        ] {
            assert_eq!(check(fine), Ok(()), "{fine}");
        }
        for bad in [
            "postgres://sydent:pa@ssWORD@127.0.0.1:5432/x",
            "postgres://sydent:1234/SECRET@h/db",
            "postgres://sydent:12?34@h/db",
            "postgres://sydent:12#34@h/db",
            "postgres://sydent:pa@h/db@x",
            "postgres://h/db?user=a@b",
            "postgres://sydent:hunter2",
            "postgres://sydent:hunter%@h/x",
            "postgres://sydent:hunter%zz@h/x",
            "postgres://sydent:hunter%00@h/x",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
