//! Removes the credentials of a database URL from error messages, which quote parts of
//! the URL.

use std::collections::BTreeSet;

use percent_encoding::percent_decode_str;

use crate::config::is_secret_option;

/// Puts `text` on one line and replaces what is the user name or a password of `url` in
/// it with `…`.
///
/// Only whole parts are replaced: such as stand between quotes or between the separators
/// of a URL. A user `a` does not change "database", and neither does a password `server`
/// change "connection to server". What cannot be a word is replaced anywhere.
pub(super) fn redact_credentials(text: &str, url: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let credentials = credentials(url);
    let mut redacted = String::with_capacity(text.len());
    let (mut rest, mut before) = (text.as_str(), None);
    while let Some(letter) = rest.chars().next() {
        let found = credentials.iter().find_map(|credential| {
            let after = rest.strip_prefix(credential.as_str())?;
            is_whole(credential, before, after.chars().next()).then_some((credential, after))
        });
        if let Some((credential, after)) = found {
            redacted.push('…');
            (rest, before) = (after, credential.chars().next_back());
        } else {
            redacted.push(letter);
            (rest, before) = (rest.strip_prefix(letter).unwrap_or_default(), Some(letter));
        }
    }
    redacted
}

/// Whether what stands before and after a text shows that it is a whole part.
fn is_whole(text: &str, before: Option<char>, after: Option<char>) -> bool {
    if is_no_word(text) {
        let goes_on = |next: Option<char>| next.is_some_and(char::is_alphanumeric);
        return !goes_on(before) && !goes_on(after);
    }
    before.is_some_and(is_separator) && after.is_some_and(is_separator)
}

fn is_separator(letter: char) -> bool {
    "\"'`«»„“”‘’:/@?&=#,".contains(letter)
}

/// Whether it is long and mixed enough for a password, so that a message does not have
/// it by chance.
fn is_no_word(text: &str) -> bool {
    let has = |is: fn(&char) -> bool| text.chars().any(|letter| is(&letter));
    text.chars().count() >= 6
        && has(|letter| letter.is_alphabetic())
        && has(|letter| !letter.is_alphabetic())
}

/// The user name and the passwords of a URL, longest first, because a shorter one may be
/// contained in a longer one. What is public as well, such as a database that is named
/// after its user, is none.
fn credentials(url: &str) -> Vec<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (user_info, location) = rest.rsplit_once('@').unwrap_or(("", rest));
    let (location, query) = location.split_once('?').unwrap_or((location, ""));
    let pairs: Vec<(&str, &str)> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .collect();
    let is_user = |name: &str| percent_decode_str(name).decode_utf8_lossy() == "user";
    let is_secret = |name: &str| is_user(name) || is_secret_option(name);
    let secret = pairs.iter().filter(|(name, _)| is_secret(name));
    let public = pairs.iter().filter(|(name, _)| !is_secret(name));
    let public: BTreeSet<String> = location
        .split(['/', ':', ','])
        .chain(public.map(|(_, value)| *value))
        .flat_map(forms)
        .collect();
    // libpq splits a password at these if they are not escaped, and may quote one part
    // of it.
    let credentials: BTreeSet<String> = user_info
        .split([':', '@', '/', '?', '#'])
        .chain(user_info.split_once(':').map(|(_, password)| password))
        .chain(secret.map(|(_, value)| *value))
        .flat_map(forms)
        .filter(|part| !part.is_empty() && !public.contains(part))
        .collect();
    let mut credentials: Vec<String> = credentials.into_iter().collect();
    credentials.sort_by_key(|part| std::cmp::Reverse(part.len()));
    credentials
}

/// A part as it is written and as it is meant; both on one line, as the text is.
fn forms(part: &str) -> [String; 2] {
    let decoded = percent_decode_str(part).decode_utf8_lossy().into_owned();
    [part.to_owned(), decoded].map(|form| form.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::redact_credentials;

    #[test]
    fn parts_of_a_login_are_removed() {
        for (url, text, shown) in [
            (
                "postgres://sydent:pa@ssWORD@127.0.0.1/x",
                "no host \"ssWORD@127.0.0.1\"\n\tfor \"sydent\"\n",
                "no host \"…@127.0.0.1\" for \"…\"",
            ),
            (
                "postgres://id:h%40nter@db/x",
                "h@nter and h%40nter",
                "… and …",
            ),
            ("postgres://db/x?password=hunter2", "hunter2", "…"),
            ("postgres://db/x?scram_server_key=hunter2", "hunter2", "…"),
            (
                "postgres://db/x?oauth_client_secret=hunter2",
                "hunter2",
                "…",
            ),
            ("postgres://db/x", "no route\n", "no route"),
            (
                "postgres://a:e@db/x",
                "the database \"a\" of the server \"e\" is away",
                "the database \"…\" of the server \"…\" is away",
            ),
            (
                "postgres://x:db@db/x",
                "no database \"x\" at \"db\"",
                "no database \"x\" at \"db\"",
            ),
            (
                "postgres://id:server@db/x",
                "connection to server: \"postgres://id:server@db/x\"",
                "connection to server: \"postgres://…:…@db/x\"",
            ),
        ] {
            assert_eq!(redact_credentials(text, url), shown);
        }
    }

    const MESSAGES: [&str; 4] = [
        "connection to server at \"db.test\" (192.0.2.1), port 5432 failed: FATAL: password \
         authentication failed for user \"{}\"",
        "invalid URI \"postgres://{}@db.test/identity\": the server does not support TLS",
        "FATAL: role \"{}\" is not permitted to log in",
        "could not translate host name \"{}\" to address: Name or service not known",
    ];

    proptest! {
        /// Whatever the credentials are, they are removed, and nothing else.
        #[test]
        fn only_whole_credentials_are_removed(
            user in "[a-z]{1,8}|[ -~]{1,12}",
            password in "[a-z]{1,8}|[!-~]{1,20}|\\PC{1,12}",
            shows_user in any::<bool>(),
            message in 0..MESSAGES.len(),
        ) {
            let (user, password) = (user.trim(), password.trim());
            let spaced = |text: &str| text.contains(char::is_whitespace);
            prop_assume!(!user.is_empty() && !password.is_empty());
            prop_assume!(!spaced(user) && !spaced(password));
            prop_assume!(!MESSAGES[message].contains(&format!("\"{user}\"")));
            // Then there is more than one way to take the message apart.
            prop_assume!(!user.contains(password) && !password.contains(user));
            prop_assume!(!"\"postgres://db.test/identity\"".contains(user));
            prop_assume!(!"\"postgres://db.test/identity\"".contains(password));
            let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
            let url = format!("postgres://{}:{}@db.test/identity", encode(user), encode(password));
            let shown = if shows_user { user } else { password };
            let text = MESSAGES[message].replace("{}", shown);
            let expected = MESSAGES[message].replace("{}", "…");
            prop_assert_eq!(redact_credentials(&text, &url), expected);
        }
    }
}
