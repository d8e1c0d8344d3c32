//! The `next_link` to which the browser is redirected after a validation.

use std::fmt;

use url::Url;

use super::Invalid;
use super::secret::Sid;

/// More than a link of a client needs. Each session stores one.
const MAX_BYTES: usize = 2048;

/// The rules for `next_link`.
#[derive(Debug, Clone)]
pub struct NextLinkRules {
    /// Allowed schemes, in lower case.
    pub schemes: Vec<String>,
    /// Allowed hosts besides the own ones; empty allows any.
    pub hosts: Vec<String>,
    /// The hosts of the web clients and of the server.
    pub own_hosts: Vec<String>,
}

impl NextLinkRules {
    fn lists(&self, host: &str) -> bool {
        let mut listed = self.hosts.iter().chain(&self.own_hosts);
        listed.any(|known| known.eq_ignore_ascii_case(host))
    }
}

/// A link that complies with the rules, stored unchanged. It may contain a secret
/// of the client, so `Debug` does not show it.
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
    /// The link breaks a rule, which the sentence names.
    pub fn parse(text: &str, rules: &NextLinkRules) -> Result<Self, Invalid> {
        const WRONG: Invalid = Invalid("must be an absolute link such as https://example.org/");
        if text.len() > MAX_BYTES {
            return Err(Invalid("must have at most 2048 bytes"));
        }
        if text.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err(WRONG);
        }
        let url = Url::parse(text).map_err(|_not_a_url| WRONG)?;
        if !rules.schemes.iter().any(|scheme| scheme == url.scheme()) {
            return Err(Invalid("has a scheme that this server does not allow"));
        }
        let host = url.host_str().unwrap_or_default();
        if !rules.hosts.is_empty() && !rules.lists(host) {
            return Err(Invalid("has a host that this server does not allow"));
        }
        Ok(Self(text.to_owned()))
    }

    /// Wraps a link from the database, which contains only checked links.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The host of a web page to which a browser must not go without asking (SES-30):
    /// one that the configuration does not name. `None` for its own hosts, and for the
    /// scheme of an app, which the configuration names as such.
    #[must_use]
    pub fn unknown_host(&self, rules: &NextLinkRules) -> Option<String> {
        let url = Url::parse(&self.0).ok()?;
        if !matches!(url.scheme(), "https" | "http") {
            return None;
        }
        let host = url.host_str().unwrap_or_default();
        (!rules.lists(host)).then(|| host.to_owned())
    }

    /// The link, unchanged.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Appends the session id to the text of the link. Clients expect it in the
    /// fragment, where a URL parser would not add it (SES-26).
    #[must_use]
    pub fn with_sid(&self, sid: &Sid) -> String {
        let separator = if self.0.contains('?') { '&' } else { '?' };
        format!("{}{separator}sid={}", self.0, sid.expose())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(hosts: &[&str]) -> NextLinkRules {
        NextLinkRules {
            schemes: vec!["https".to_owned(), "http".to_owned()],
            hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
            own_hosts: vec!["client.example".to_owned()],
        }
    }

    /// SES-24
    #[test]
    fn next_link_must_be_an_allowed_url() {
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
        let padding = "x".repeat(MAX_BYTES - "https://a/".len());
        let long = format!("https://a/{padding}");
        assert!(NextLink::parse(&long, &rules(&[])).is_ok());
        assert!(NextLink::parse(&format!("{long}x"), &rules(&[])).is_err());
        let only_apps = NextLinkRules {
            schemes: vec!["org.example.app".to_owned()],
            hosts: Vec::new(),
            own_hosts: Vec::new(),
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

    /// SES-30
    #[test]
    fn hosts_of_others_are_unknown() {
        let rules = rules(&["app.example"]);
        for (link, unknown) in [
            ("https://app.example/#/x", None),
            ("https://APP.example:8443/", None),
            ("http://client.example/", None),
            ("org.example.app:/done", None),
            ("https://evil.example/", Some("evil.example")),
            ("https://app.example@evil.example/", Some("evil.example")),
            (
                "https://app.example.evil.example/",
                Some("app.example.evil.example"),
            ),
            ("https://[::1]/", Some("[::1]")),
        ] {
            let found = NextLink::from_stored(link.to_owned()).unknown_host(&rules);
            assert_eq!(found.as_deref(), unknown, "{link}");
        }
    }

    /// SES-26
    #[test]
    fn sid_is_appended_as_text() {
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
