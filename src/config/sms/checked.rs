//! `[sms]` as checked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use rustls_pki_types::CertificateDer;

use super::Rule;
use crate::config::{Credentials, Secret};
use crate::domain::calling_code::ByCallingCode;
use crate::domain::originator::Originator;

/// What texts say, and by which providers they leave.
#[derive(Debug, Clone)]
pub struct Sms {
    /// The text, with the placeholders `{token}` and `{valid_for}`.
    pub body: String,
    /// Texts in delivery at once, 1 to 1000.
    pub concurrency: usize,
    /// By name; none where no text can be sent.
    pub providers: BTreeMap<String, Provider>,
    /// The names of the providers in the order in which they are tried: one, or
    /// a first and a second choice.
    pub routes: ByCallingCode<Vec<String>>,
    /// The senders, of which each number has one.
    pub originators: ByCallingCode<Vec<Originator>>,
    /// Whether texts are sent there.
    pub rules: ByCallingCode<Rule>,
}

impl Sms {
    /// Whether texts are sent to the numbers of that calling code (MSI-11).
    #[must_use]
    pub fn serves(&self, calling_code: u16) -> bool {
        *self.rules.of(Some(calling_code)) == Rule::Allow
    }
}

/// A way out for texts.
#[derive(Debug, Clone)]
pub enum Provider {
    /// `OpenMarket`'s HTTP API, version 4.
    OpenMarket {
        /// How it is reached; it always has a login.
        access: Access,
    },
    /// Twilio's API of messages.
    Twilio {
        /// How it is reached; the login is the account's id and its token.
        access: Access,
        /// The messaging service that chooses the sender, if one does.
        messaging_service: Option<String>,
    },
    /// Any service that takes a text in one HTTP request.
    Gateway(Box<Gateway>),
    /// A folder on this machine.
    File {
        /// It receives a file for each text, and need not exist yet.
        dir: PathBuf,
    },
}

impl Provider {
    /// How long one try may take as a whole.
    #[must_use]
    pub fn attempt_limit(&self) -> Duration {
        match self {
            Self::OpenMarket { access } | Self::Twilio { access, .. } => access.timeout,
            Self::Gateway(gateway) => gateway.access.timeout,
            Self::File { .. } => Duration::from_secs(30),
        }
    }
}

/// How a provider is reached over HTTP.
#[derive(Debug, Clone)]
pub struct Access {
    /// The address, without a slash at the end; a gateway's has placeholders.
    pub url: String,
    /// The login.
    pub login: Option<Credentials>,
    /// Authorities to trust besides the system's own.
    pub extra_authorities: Vec<CertificateDer<'static>>,
    /// How long one request may take with its answer.
    pub timeout: Duration,
}

/// A service that takes a text in one HTTP request. URL, headers and body have
/// placeholders.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// How it is reached.
    pub access: Access,
    /// The method.
    pub method: Method,
    /// For the placeholder `{username}`.
    pub username: String,
    /// For the placeholder `{password}`.
    pub password: Secret,
    /// Further headers; their values may be secrets.
    pub headers: BTreeMap<String, Secret>,
    /// How values are escaped in the body.
    pub body_form: BodyForm,
    /// The body.
    pub body: String,
    /// Statuses that mean that the text was taken.
    pub accepted_statuses: Vec<StatusRange>,
    /// Statuses that mean that it never will be.
    pub refused_statuses: Vec<StatusRange>,
    /// Where any of these are given, a text was taken only if the answer
    /// contains one of them.
    pub accepted_answers: Vec<String>,
    /// A text whose answer contains one of these never will be taken.
    pub refused_answers: Vec<String>,
}

/// The method of a gateway's request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// `GET`, without a body.
    Get,
    /// `POST`.
    #[default]
    Post,
    /// `PUT`.
    Put,
}

/// What a gateway's body is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BodyForm {
    /// JSON; placeholders stand inside its strings.
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
}

/// Statuses of HTTP, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusRange {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

impl StatusRange {
    /// Reads `400` or `200-299`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let status = |text: &str| {
            let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse::<u16>().ok()).flatten()
        };
        let (first, last) = (status(first)?, status(last)?);
        (first <= last && (200..600).contains(&first) && last < 600).then_some(Self { first, last })
    }

    /// Whether a status is among them.
    #[must_use]
    pub fn contains(self, status: u16) -> bool {
        (self.first..=self.last).contains(&status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        let range = StatusRange::parse("200-299").unwrap();
        assert!(range.contains(200) && range.contains(299) && !range.contains(300));
        assert!(StatusRange::parse("400").unwrap().contains(400));
        for wrong in ["", "2xx", "299-200", "100", "20", "600", "200-", "+200"] {
            assert_eq!(StatusRange::parse(wrong), None, "{wrong}");
        }
    }
}
