//! `[validation]`: the limits of validation sessions.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::checker::Checker;
use super::duration;
use crate::domain::next_link::NextLinkRules;

/// `[validation]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ValidationSettings {
    /// The lifetime of a session from its creation, and again from its validation
    /// (SES-07).
    #[serde(with = "duration")]
    pub session_lifetime: Duration,
    /// The maximum number of wrong codes per session (SES-19), 1 to 100.
    pub max_wrong_tokens: u32,
    /// The same for sessions of phone numbers, whose codes are short.
    pub max_wrong_sms_tokens: u32,
    /// The allowed schemes of `next_link` (SES-24), in lower case.
    pub next_link_schemes: Vec<String>,
    /// The hosts to which `next_link` may lead, besides those of the web clients and
    /// the server, in lower case; none means any, after a page that asks (SES-30).
    pub next_link_hosts: Vec<String>,
    /// Validate an address only when a person presses a button on the page that the
    /// link opens (EML-23).
    pub confirm_with_button: bool,
}

impl Default for ValidationSettings {
    fn default() -> Self {
        Self {
            session_lifetime: DAY,
            max_wrong_tokens: 10,
            max_wrong_sms_tokens: 5,
            next_link_schemes: vec!["https".to_owned(), "http".to_owned()],
            next_link_hosts: Vec::new(),
            confirm_with_button: false,
        }
    }
}

const DAY: Duration = Duration::from_hours(24);
const MINUTE: Duration = Duration::from_mins(1);

/// Schemes that a browser executes or opens as a local file.
const DANGEROUS: [&str; 7] = [
    "javascript",
    "data",
    "file",
    "vbscript",
    "blob",
    "about",
    "filesystem",
];

impl ValidationSettings {
    /// Checks the settings, and normalizes schemes and hosts for comparison.
    pub(super) fn check(mut self, checker: &mut Checker<'_>) -> Self {
        let year = 366 * DAY;
        checker.duration(
            "validation.session_lifetime",
            self.session_lifetime,
            MINUTE,
            year,
        );
        for (key, max) in [
            ("validation.max_wrong_tokens", self.max_wrong_tokens),
            ("validation.max_wrong_sms_tokens", self.max_wrong_sms_tokens),
        ] {
            checker.range(key, max, 1..=100);
        }
        for (index, scheme) in self.next_link_schemes.iter_mut().enumerate() {
            scheme.make_ascii_lowercase();
            if let Some(message) = scheme_problem(scheme) {
                checker.error(&format!("validation.next_link_schemes[{index}]"), message);
            }
        }
        for (index, host) in self.next_link_hosts.iter_mut().enumerate() {
            match url::Host::parse(host) {
                Ok(parsed) => *host = parsed.to_string(),
                Err(_) => checker.error(
                    &format!("validation.next_link_hosts[{index}]"),
                    "must be only a host name, such as \"app.example.org\"",
                ),
            }
        }
        self
    }

    /// The rules for `next_link`; `own_hosts` are those of the web clients and of the
    /// server.
    #[must_use]
    pub fn next_link_rules(&self, own_hosts: Vec<String>) -> NextLinkRules {
        NextLinkRules {
            schemes: self.next_link_schemes.clone(),
            hosts: self.next_link_hosts.clone(),
            own_hosts,
        }
    }
}

fn scheme_problem(scheme: &str) -> Option<&'static str> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let starts_with_letter = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    if !starts_with_letter || !scheme.bytes().all(is_allowed) {
        return Some("must be only a scheme, such as \"https\" or \"org.example.app\"");
    }
    DANGEROUS
        .contains(&scheme)
        .then_some("must not be a scheme that browsers execute or open as a local file; remove it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::origins::Origins;

    fn check(settings: ValidationSettings) -> (ValidationSettings, usize) {
        let origins = Origins::default();
        let mut checker = Checker::new(&origins);
        let settings = settings.check(&mut checker);
        (settings, checker.problems.len())
    }

    /// SES-24
    #[test]
    fn next_link_schemes_and_hosts_are_checked() {
        for (scheme, problems) in [
            ("https", 0),
            ("org.example.app", 0),
            ("IM.Vector", 0),
            ("javascript", 1),
            ("JavaScript", 1),
            ("data", 1),
            ("https://", 1),
            ("", 1),
            ("1a", 1),
            ("a b", 1),
        ] {
            let next_link_schemes = vec![scheme.to_owned()];
            let (checked, found) = check(ValidationSettings {
                next_link_schemes,
                ..ValidationSettings::default()
            });
            assert_eq!(found, problems, "{scheme}");
            assert_eq!(checked.next_link_schemes, [scheme.to_ascii_lowercase()]);
        }
        for (host, becomes) in [
            ("App.Example.org", Some("app.example.org")),
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("[::1]", Some("[::1]")),
            ("https://a.b", None),
            ("a.b:80", None),
            ("", None),
        ] {
            let next_link_hosts = vec![host.to_owned()];
            let (checked, found) = check(ValidationSettings {
                next_link_hosts,
                ..ValidationSettings::default()
            });
            assert_eq!(found == 0, becomes.is_some(), "{host}");
            if let Some(becomes) = becomes {
                assert_eq!(checked.next_link_hosts, [becomes]);
            }
        }
    }

    /// SES-19
    #[test]
    fn max_wrong_tokens_is_between_1_and_100() {
        for (max_wrong_tokens, problems) in [(0, 1), (1, 0), (100, 0), (101, 1)] {
            let settings = ValidationSettings {
                max_wrong_tokens,
                ..ValidationSettings::default()
            };
            assert_eq!(check(settings).1, problems, "{max_wrong_tokens}");
        }
    }
}
