//! Keeps the login of a database URL out of what libpq says about the URL.

use percent_encoding::percent_decode_str;

/// The text in one line, with `…` in the place of everything in it that may
/// come from the login or a password of the URL.
pub(super) fn without_login(text: &str, url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (login, place) = rest.rsplit_once('@').unwrap_or(("", rest));
    let (_, query) = place.split_once('?').unwrap_or_default();
    let passwords = query.split('&').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.contains("password").then_some(value)
    });
    // A password that was not escaped is cut at these.
    let cut = login.split([':', '@', '/', '?', '#']);
    let mut parts: Vec<String> = cut
        .chain(login.split_once(':').map(|(_, password)| password))
        .chain(passwords)
        .flat_map(|part| {
            let decoded = percent_decode_str(part).decode_utf8_lossy().into_owned();
            [part.to_owned(), decoded]
        })
        .filter(|part| !part.is_empty())
        .collect();
    // The longest first: a shorter one may be a part of it.
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    let mut clean = text.to_owned();
    for part in parts {
        clean = clean.replace(&part, "…");
    }
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::without_login;

    #[test]
    fn parts_of_a_login_are_left_out() {
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
            assert_eq!(without_login(text, url), shown);
        }
    }
}
