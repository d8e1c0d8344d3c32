//! How a `PostgreSQL` URL is shown without its password.

use percent_encoding::percent_decode_str;
use url::Url;

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
        // A value may contain an unencoded &, so nothing after the name is sure.
        Some((location, query)) if is_secret_option(query) => format!("{location}?{mask}"),
        _ => location.to_owned(),
    };
    Some(format!("{scheme}://{login}{location}"))
}

/// Whether an option has a secret value. The name may be percent-encoded.
pub(crate) fn is_secret_option(name: &str) -> bool {
    let name = percent_decode_str(name).decode_utf8_lossy();
    let parts = ["password", "secret", "scram"];
    parts.iter().any(|part| name.contains(part))
}
