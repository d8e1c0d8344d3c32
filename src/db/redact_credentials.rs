//! Removes the credentials of a database URL from the error messages of libpq,
//! which quote parts of the URL.

use percent_encoding::percent_decode_str;

/// Puts `text` on one line and replaces everything in it that may be part of the
/// user name or a password of `url` with `…`.
pub(super) fn redact_credentials(text: &str, url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (user_info, host) = rest.rsplit_once('@').unwrap_or(("", rest));
    let (_, query) = host.split_once('?').unwrap_or_default();
    let passwords = query.split('&').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.contains("password").then_some(value)
    });
    // libpq splits a password at these if they are not escaped, and may quote
    // one part of it.
    let mut parts: Vec<String> = user_info
        .split([':', '@', '/', '?', '#'])
        .chain(user_info.split_once(':').map(|(_, password)| password))
        .chain(passwords)
        .flat_map(|part| {
            let decoded = percent_decode_str(part).decode_utf8_lossy().into_owned();
            [part.to_owned(), decoded]
        })
        .filter(|part| !part.is_empty())
        .collect();
    // Longest first, because a shorter part may be contained in a longer one.
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    let mut redacted = text.to_owned();
    for part in parts {
        redacted = redacted.replace(&part, "…");
    }
    redacted.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::redact_credentials;

    #[test]
    fn parts_of_a_login_are_removed() {
        for (url, text, shown) in [
            (
                "postgres://sydent:pa@ssWORD@127.0.0.1/x",
                "no host \"ssWORD@127.0.0.1\"\n\tfor sydent\n",
                "no host \"…@127.0.0.1\" for …",
            ),
            (
                "postgres://id:h%40nter@db/x",
                "h@nter and h%40nter",
                "… and …",
            ),
            ("postgres://db/x?password=hunter2", "hunter2", "…"),
            ("postgres://db/x", "no route\n", "no route"),
        ] {
            assert_eq!(redact_credentials(text, url), shown);
        }
    }
}
