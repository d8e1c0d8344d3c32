//! Where a browser goes after a mailed link was opened (`next_link`).

use std::fmt;

use url::Url;

use super::Invalid;
use super::secret::Sid;

/// What a `next_link` may be.
#[derive(Debug, Clone)]
pub struct NextLinkRules {
    /// Schemes that are taken, lower case.
    pub schemes: Vec<String>,
    /// Hosts that are taken; empty means any.
    pub hosts: Vec<String>,
}

/// A link that passed the rules, kept to the letter. A client may have put a
/// secret into it, so `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct NextLink(String);

impl fmt::Debug for NextLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NextLink(…)")
    }
}

impl NextLink {
    /// Checks a link against the rules (SES-24).
    ///
    /// # Errors
    /// A sentence that says what the rules ask for.
    pub fn parse(text: &str, rules: &NextLinkRules) -> Result<Self, Invalid> {
        const WRONG: Invalid = Invalid("must be an absolute link such as https://example.org/");
        let odd = |c: char| c.is_control() || c.is_whitespace();
        if text.len() > 4096 || text.chars().any(odd) {
            return Err(WRONG);
        }
        let url = Url::parse(text).map_err(|_not_a_url| WRONG)?;
        if !rules.schemes.iter().any(|scheme| scheme == url.scheme()) {
            return Err(Invalid("has a scheme that this server does not allow"));
        }
        let host = url.host_str().unwrap_or_default();
        if !rules.hosts.is_empty()
            && !rules
                .hosts
                .iter()
                .any(|known| known.eq_ignore_ascii_case(host))
        {
            return Err(Invalid("leads to a host that this server does not allow"));
        }
        Ok(Self(text.to_owned()))
    }

    /// Takes a link from the database, where only checked links are written.
    #[must_use]
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The link as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The link with the session id added as text: clients expect it inside
    /// the fragment, where a URL parser would not put it (SES-26).
    #[must_use]
    pub fn with_sid(&self, sid: &Sid) -> String {
        let joint = if self.0.contains('?') { '&' } else { '?' };
        format!("{}{joint}sid={}", self.0, sid.expose())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(hosts: &[&str]) -> NextLinkRules {
        NextLinkRules {
            schemes: vec!["https".to_owned(), "http".to_owned()],
            hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
        }
    }

    #[test]
    fn ses_24_what_a_next_link_may_be() {
        for good in ["https://app.example/#/register?x=1", "http://127.0.0.1:1/"] {
            assert!(NextLink::parse(good, &rules(&[])).is_ok(), "{good}");
        }
        for bad in [
            "",
            "app.example",
            "/relative",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "file:///etc/passwd",
            "data:text/html,x",
            "https://a\r\nSet-Cookie: x",
            "https://a b",
            "ftp://a",
            "https://",
            " https://a",
        ] {
            assert!(NextLink::parse(bad, &rules(&[])).is_err(), "{bad:?}");
        }
        let only_apps = NextLinkRules {
            schemes: vec!["org.example.app".to_owned()],
            hosts: Vec::new(),
        };
        let Invalid(why) = NextLink::parse("https://a/", &only_apps).unwrap_err();
        assert_eq!(why, "has a scheme that this server does not allow");
        assert!(NextLink::parse("https://App.example/x", &rules(&["app.example"])).is_ok());
        assert!(
            NextLink::parse(
                "https://app.example@evil.example/",
                &rules(&["app.example"])
            )
            .is_err()
        );
    }

    #[test]
    fn ses_26_the_sid_is_added_as_text() {
        let sid = Sid::parse("abc").unwrap();
        for (link, expected) in [
            ("https://a/x", "https://a/x?sid=abc"),
            ("https://a/x?y=1", "https://a/x?y=1&sid=abc"),
            (
                "https://a/#/register?hs=1",
                "https://a/#/register?hs=1&sid=abc",
            ),
            ("https://a/#/home", "https://a/#/home?sid=abc"),
        ] {
            assert_eq!(
                NextLink::parse(link, &rules(&[])).unwrap().with_sid(&sid),
                expected
            );
        }
    }
}
