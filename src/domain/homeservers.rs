//! Allow and deny lists of homeservers, with wildcards.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Invalid;
use super::ids::ServerName;

/// A pattern of server names, such as `example.org` or `*.example.org`. `*`
/// matches any text, dots included. Case is ignored, as DNS does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HomeserverPattern(String);

impl HomeserverPattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// The pattern cannot match any server name.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        // A letter is valid almost everywhere a wildcard can be.
        let example = text.replace('*', "a");
        if ServerName::parse(&example).is_err() && text != "*" {
            return Err(Invalid(
                "must be a server name such as example.org, or a pattern such as *.example.org",
            ));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// Whether the pattern matches the whole name.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        let mut parts = self.0.split('*');
        let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
            return false;
        };
        let mut parts: Vec<&str> = parts.collect();
        let Some(last) = parts.pop() else {
            return rest.is_empty();
        };
        for part in parts {
            let Some((_, after)) = rest.split_once(part) else {
                return false;
            };
            rest = after;
        }
        rest.ends_with(last)
    }
}

impl FromStr for HomeserverPattern {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::parse(text)
    }
}

parse_from_string!(HomeserverPattern);

impl From<HomeserverPattern> for String {
    fn from(pattern: HomeserverPattern) -> Self {
        pattern.0
    }
}

/// The homeservers whose users may register, and those that are never contacted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HomeserverLists {
    /// If not empty, only users of these homeservers can register (AUTH-14).
    pub allow: Vec<HomeserverPattern>,
    /// Homeservers that are never contacted.
    pub deny: Vec<HomeserverPattern>,
}

impl HomeserverLists {
    /// Whether the server may be contacted. A denied host is denied with every
    /// port, because its owner could use any of them.
    #[must_use]
    pub fn may_be_contacted(&self, server: &ServerName) -> bool {
        !self
            .deny
            .iter()
            .any(|pattern| pattern.matches(server.as_str()) || pattern.matches(server.host()))
    }

    /// The patterns that allow homeservers to register which are all denied.
    #[must_use]
    pub fn contradictions(&self) -> Vec<&HomeserverPattern> {
        let is_denied = |allowed: &&HomeserverPattern| {
            let without_port = match allowed.0.rsplit_once(':') {
                Some((host, port)) if !port.contains(']') => host,
                _ => &allowed.0,
            };
            // The wildcards of `allowed` match only wildcards, so that all names that it
            // matches are denied.
            self.deny
                .iter()
                .any(|denied| denied.matches(&allowed.0) || denied.matches(without_port))
        };
        self.allow.iter().filter(is_denied).collect()
    }

    /// Whether users of the server may register. The whole name must match:
    /// another port of an allowed host is another homeserver.
    #[must_use]
    pub fn may_register(&self, server: &ServerName) -> bool {
        let allowed = self.allow.is_empty()
            || self
                .allow
                .iter()
                .any(|pattern| pattern.matches(server.as_str()));
        allowed && self.may_be_contacted(server)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lists(allow: &[&str], deny: &[&str]) -> HomeserverLists {
        let read = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        HomeserverLists {
            allow: read(allow),
            deny: read(deny),
        }
    }

    #[test]
    fn pattern_matches_whole_names() {
        for (pattern, name, matches) in [
            ("example.org", "example.org", true),
            ("example.org", "EXAMPLE.org", true),
            ("Example.org", "example.org", true),
            ("example.org", "a.example.org", false),
            ("example.org", "example.org.evil", false),
            ("example.org", "example.org:8448", false),
            ("*.example.org", "a.b.example.org", true),
            ("*.example.org", "example.org", false),
            ("*.example.org", "a.example.orgs", false),
            ("matrix.*", "matrix.example.org", true),
            ("m*x.*.org", "matrix.example.org", true),
            ("m*x.*.org", "matrix.org", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*", "anything:1", true),
            ("[::1]", "[::1]", true),
        ] {
            let read = HomeserverPattern::parse(pattern).unwrap();
            assert_eq!(read.matches(name), matches, "{pattern} {name}");
        }
        for bad in ["", "a b", "https://a.example", "a/b", "*:x", "é"] {
            assert!(HomeserverPattern::parse(bad).is_err(), "{bad}");
        }
    }

    /// AUTH-14
    #[test]
    fn lists_limit_registration_and_contact() {
        let name = |text: &str| ServerName::parse(text).unwrap();
        let none = lists(&[], &[]);
        assert!(none.may_register(&name("a.example")) && none.may_be_contacted(&name("a.example")));
        let both = lists(&["*.good.example"], &["bad.good.example"]);
        for (server, registers, contacted) in [
            ("a.good.example", true, true),
            ("a.good.example:1", false, true),
            ("bad.good.example", false, false),
            ("bad.good.example:8449", false, false),
            ("elsewhere.example", false, true),
        ] {
            assert_eq!(both.may_register(&name(server)), registers, "{server}");
            assert_eq!(both.may_be_contacted(&name(server)), contacted, "{server}");
        }
    }

    /// AUTH-14
    #[test]
    fn allowed_and_denied_is_a_contradiction() {
        for (allow, deny, contradicts) in [
            ("a.example", "a.example", true),
            ("A.example", "a.EXAMPLE", true),
            ("a.example:8448", "a.example", true),
            ("a.example", "*.example", true),
            ("*.a.example", "*.example", true),
            ("*", "*", true),
            ("[::1]:8448", "[::1]", true),
            ("*.example", "a.example", false),
            ("*", "*.example", false),
            ("a.example", "a.example:8448", false),
            ("a.example", "b.example", false),
        ] {
            let found = lists(&[allow], &[deny]);
            assert_eq!(
                !found.contradictions().is_empty(),
                contradicts,
                "{allow} {deny}"
            );
        }
    }

    proptest! {
        #[test]
        fn wildcard_matches_any_middle_part(left in "[a-z.]{0,8}", middle in "[a-z.:0-9]{0,8}", right in "[a-z.]{0,8}") {
            let pattern = HomeserverPattern(format!("{left}*{right}"));
            let name = format!("{left}{middle}{right}");
            prop_assert!(pattern.matches(&name));
        }
    }
}
