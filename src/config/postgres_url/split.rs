//! Splits the URL into libpq's options (`PostgreSQL` documentation, section "Connection
//! URIs").

use percent_encoding::percent_decode_str;

use crate::config::Secret;

/// The options in their order; of two with the same name, the later one counts. Expects
/// a URL that passed [`check`](super::check).
///
/// # Errors
/// A part of it is not UTF-8.
pub(super) fn options(url: &str) -> Result<Vec<(String, Secret)>, String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (login, location) = split_login(rest);
    let location = location
        .split_once('?')
        .map_or(location, |(location, _)| location);
    let mut options = Vec::new();
    let mut add = |name: &str, value: &str| -> Result<(), String> {
        if !value.is_empty() {
            options.push((name.to_owned(), Secret::from(decoded(value)?)));
        }
        Ok(())
    };
    if let Some(login) = login {
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        add("user", user)?;
        add("password", password)?;
    }
    let (servers, name) = location.split_once('/').unwrap_or((location, ""));
    let (hosts, ports) = split_servers(servers);
    add("host", &hosts)?;
    add("port", &ports)?;
    add("dbname", name)?;
    for (name, value) in query(url)
        .split('&')
        .filter_map(|pair| pair.split_once('='))
    {
        let (name, value) = (decoded(name)?, decoded(value)?);
        let mode = |mode: &str| ("sslmode".to_owned(), Secret::from(mode.to_owned()));
        options.push(match (name.as_str(), value.as_str()) {
            // As in URLs of JDBC.
            ("ssl", "true") => mode("require"),
            // From the time before there was sslmode.
            ("requiressl", value) if value.starts_with('1') => mode("require"),
            ("requiressl", _) => mode("prefer"),
            _ => (name, Secret::from(value)),
        });
    }
    Ok(options)
}

/// What stands after the question mark.
pub(super) fn query(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (_, location) = split_login(rest);
    location.split_once('?').map_or("", |(_, query)| query)
}

/// The user information ends at an @ before the first slash.
fn split_login(rest: &str) -> (Option<&str>, &str) {
    match rest.split_once('@') {
        Some((login, location)) if !login.contains('/') => (Some(login), location),
        _ => (None, rest),
    }
}

/// The lists of the hosts and of the ports of `a:1,b:2`. Either is empty if no server
/// has one.
fn split_servers(servers: &str) -> (String, String) {
    let servers: Vec<(&str, &str)> = servers.split(',').map(split_port).collect();
    let list = |part: fn(&(&str, &str)) -> String| {
        let parts: Vec<String> = servers.iter().map(part).collect();
        if parts.iter().all(String::is_empty) {
            return String::new();
        }
        parts.join(",")
    };
    (
        list(|(host, _)| (*host).to_owned()),
        list(|(_, port)| (*port).to_owned()),
    )
}

fn split_port(server: &str) -> (&str, &str) {
    if let Some((address, rest)) = server
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        return (address, rest.trim_start_matches(':'));
    }
    server.split_once(':').unwrap_or((server, ""))
}

fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_secret| {
        "has percent-encoded bytes that are not UTF-8, which this build does not support".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::options;

    #[test]
    fn url_is_split_as_libpq_does() {
        for (url, expected) in [
            (
                "postgres://id:h%40@db:6432/x?sslmode=require",
                "user=id password=h@ host=db port=6432 dbname=x sslmode=require",
            ),
            ("postgresql:///x", "dbname=x"),
            ("postgres://", ""),
            ("postgres://db?ssl=true", "host=db sslmode=require"),
            ("postgres://db?requiressl=1", "host=db sslmode=require"),
            ("postgres://db?requiressl=0", "host=db sslmode=prefer"),
            (
                "postgres://[::1]:1,b,c:3/x",
                "host=::1,b,c port=1,,3 dbname=x",
            ),
            ("postgres://:5/x", "port=5 dbname=x"),
            ("postgres://%2Frun/x", "host=/run dbname=x"),
            (
                "postgres:///x?host=/run&host=b",
                "dbname=x host=/run host=b",
            ),
            (
                "postgres://a:b?c@db/x",
                "user=a password=b?c host=db dbname=x",
            ),
        ] {
            let shown: Vec<String> = options(url)
                .unwrap()
                .iter()
                .map(|(name, value)| format!("{name}={}", value.expose()))
                .collect();
            assert_eq!(shown.join(" "), expected, "{url}");
        }
        for bad in ["postgres://id:h%ff@db/x", "postgres://db/x?password=%ff"] {
            assert!(options(bad).is_err(), "{bad}");
        }
    }
}
