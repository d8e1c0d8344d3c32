//! The form in which the database holds a `next_link`: without the client secret.
//!
//! Clients put their secret into the link, because the page that it opens goes on with
//! the session. Who reads the database must not find there what binds an address.

use std::fmt;
use std::iter::repeat_n;

use super::next_link::NextLink;
use super::secret::ClientSecret;

/// Stands for the client secret. No link contains it (SES-24).
const SECRET: char = '\u{1}';
/// Follows for each time that the secret was percent-encoded.
const ENCODED: char = '\u{2}';
/// A link that passes through two other sites has it encoded three times.
const MAX_DEPTH: usize = 4;

/// A link in which each occurrence of the client secret is a mark. `Debug` does not show
/// the link.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredLink(String);

impl fmt::Debug for StoredLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredLink(…)")
    }
}

impl StoredLink {
    /// Takes the secret of the client out of its link.
    #[must_use]
    pub fn new(link: &str, secret: &ClientSecret) -> Self {
        let mut stored = String::with_capacity(link.len());
        let mut rest = link;
        while let Some(c) = rest.chars().next() {
            if let Some((depth, after)) = without_secret(rest, secret) {
                stored.push(SECRET);
                stored.extend(repeat_n(ENCODED, depth));
                rest = after;
            } else {
                stored.push(c);
                rest = rest.get(c.len_utf8()..).unwrap_or_default();
            }
        }
        Self(stored)
    }

    /// Wraps what the database has.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// What the database gets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The link, with the secret of the client that has sent it again. Percent-encoding
    /// that the secret does not need is left out, which makes no other URL of it
    /// (RFC 3986, section 6.2.2.2).
    #[must_use]
    pub fn restore(&self, secret: &ClientSecret) -> NextLink {
        NextLink::from_stored(self.replace(|depth| encoded(secret, depth)))
    }

    /// The link for a reader who must not have the secret.
    #[must_use]
    pub fn masked(&self) -> String {
        self.replace(|_depth| "***".to_owned())
    }

    fn replace(&self, secret: impl Fn(usize) -> String) -> String {
        let mut parts = self.0.split(SECRET);
        let mut link = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let after = part.trim_start_matches(ENCODED);
            link.push_str(&secret(part.len() - after.len()));
            link.push_str(after);
        }
        link
    }
}

/// What follows the secret if the text begins with it, and how often it was
/// percent-encoded.
fn without_secret<'a>(text: &'a str, secret: &ClientSecret) -> Option<(usize, &'a str)> {
    let (mut depth, mut rest) = (0, text);
    for c in secret.expose().chars() {
        let encoded = match rest.strip_prefix(c) {
            Some(after) => (0, after),
            None => decode(rest)
                .filter(|(_, _, found)| *found == c)
                .map(|(times, after, _)| (times, after))?,
        };
        depth = depth.max(encoded.0);
        rest = encoded.1;
    }
    Some((depth, rest))
}

/// Decodes the percent-encoded ASCII character at the start: how often it was encoded,
/// what follows, and the character.
fn decode(text: &str) -> Option<(usize, &str, char)> {
    let (mut times, mut rest) = (1, text.strip_prefix('%')?);
    // An encoded percent sign.
    while let Some(after) = rest.strip_prefix("25")
        && times < MAX_DEPTH
    {
        (times, rest) = (times + 1, after);
    }
    let (digits, after) = rest.split_at_checked(2)?;
    let code = u8::from_str_radix(digits, 16).ok()?;
    Some((times, after, char::from(code)))
}

/// The secret, percent-encoded so often. Of its alphabet, only `=` has to be.
fn encoded(secret: &ClientSecret, depth: usize) -> String {
    let sign = match depth {
        0 => "=".to_owned(),
        depth => format!("%{}3D", "25".repeat(depth - 1)),
    };
    secret.expose().replace('=', &sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> ClientSecret {
        ClientSecret::parse(text).unwrap()
    }

    /// SES-29
    #[test]
    fn secret_is_taken_out_and_put_back() {
        for (text, link, stored) in [
            (
                "s.3=c",
                "https://a/#/x?s=s.3=c&i=1",
                "https://a/#/x?s=\u{1}&i=1",
            ),
            ("s.3=c", "https://a/?s=s.3%3Dc", "https://a/?s=\u{1}\u{2}"),
            (
                "s.3=c",
                "https://a/?u=https%3A%2F%2Fb%2F%3Fs%3Ds.3%253Dc%26i=s.3=c",
                "https://a/?u=https%3A%2F%2Fb%2F%3Fs%3D\u{1}\u{2}\u{2}%26i=\u{1}",
            ),
            ("abc", "https://a/ababcabc/", "https://a/ab\u{1}\u{1}/"),
            ("abc", "https://a/ab/%é%", "https://a/ab/%é%"),
            ("3", "https://a/?x=%3D3", "https://a/?x=%\u{1}D\u{1}"),
        ] {
            let secret = secret(text);
            let hidden = StoredLink::new(link, &secret);
            assert_eq!(hidden.as_str(), stored);
            assert_eq!(hidden.restore(&secret).as_str(), link);
            assert!(!hidden.masked().contains(text), "{}", hidden.masked());
            assert_eq!(format!("{hidden:?}"), "StoredLink(…)");
        }
    }

    /// SES-29
    #[test]
    fn needless_encoding_hides_no_secret() {
        for link in ["https://a/?s=s%2e3%3dc", "https://a/?s=%73.%33%3D%63"] {
            let hidden = StoredLink::new(link, &secret("s.3=c"));
            assert_eq!(hidden.as_str(), "https://a/?s=\u{1}\u{2}");
            let restored = hidden.restore(&secret("s.3=c"));
            assert_eq!(restored.as_str(), "https://a/?s=s.3%3Dc");
        }
    }
}
