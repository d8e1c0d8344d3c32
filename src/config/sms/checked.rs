//! `[sms]` as checked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use rustls_pki_types::CertificateDer;

use crate::config::secret::{Credentials, Secret};
use crate::domain::calling_code::ByCallingCode;
use crate::domain::originator::Originator;

/// The content, providers and routes of SMS.
#[derive(Debug, Clone)]
pub struct Sms {
    /// The content, with the placeholders `{token}` and `{valid_for}`.
    pub body: String,
    /// The maximum number of SMS in delivery at the same time, 1 to 1000.
    pub concurrency: usize,
    /// By name; without providers, no SMS are sent.
    pub providers: BTreeMap<String, Provider>,
    /// The names of the providers to use: one, or a first and a second choice.
    pub routes: ByCallingCode<Vec<String>>,
    /// The senders. One number always receives from the same one.
    pub originators: ByCallingCode<Vec<Originator>>,
    /// Whether SMS are sent.
    pub rules: ByCallingCode<Rule>,
}

/// Whether SMS are sent to the numbers of a calling code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// They are sent.
    Allow,
    /// They are rejected with `M_DESTINATION_REJECTED` (MSI-11).
    Reject,
}

impl Sms {
    /// Whether SMS are sent to the numbers of a calling code (MSI-11).
    #[must_use]
    pub fn serves(&self, calling_code: u16) -> bool {
        *self.rules.get(Some(calling_code)) == Rule::Allow
    }
}

/// An SMS provider.
#[derive(Debug, Clone)]
pub enum Provider {
    /// The HTTP API of `OpenMarket`, version 4.
    OpenMarket {
        /// The URL and login, which is always present.
        access: Access,
    },
    /// The messages API of Twilio.
    Twilio {
        /// The URL and login, which consists of account SID and auth token.
        access: Access,
        /// The messaging service that chooses the sender.
        messaging_service: Option<String>,
    },
    /// Any service that accepts an SMS in one HTTP request.
    Gateway(Box<Gateway>),
    /// Files in a folder.
    File {
        /// The folder for the files, one per SMS; it need not exist yet.
        dir: PathBuf,
    },
}

impl Provider {
    /// How long one attempt may take in total.
    #[must_use]
    pub fn attempt_limit(&self) -> Duration {
        match self {
            Self::OpenMarket { access } | Self::Twilio { access, .. } => access.timeout,
            Self::Gateway(gateway) => gateway.access.timeout,
            Self::File { .. } => Duration::from_secs(30),
        }
    }
}

/// The HTTP access to a provider.
#[derive(Debug, Clone)]
pub struct Access {
    /// The URL, without a trailing slash; that of a gateway has placeholders.
    pub url: String,
    /// The login.
    pub login: Option<Credentials>,
    /// Authorities to trust in addition to the system's.
    pub extra_authorities: Vec<CertificateDer<'static>>,
    /// The timeout of a request including its response.
    pub timeout: Duration,
}

/// A service that accepts an SMS in one HTTP request. URL, headers and body have
/// placeholders.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// The URL and login.
    pub access: Access,
    /// The method.
    pub method: Method,
    /// The value of the placeholder `{username}`.
    pub username: String,
    /// The value of the placeholder `{password}`.
    pub password: Secret,
    /// Further headers; their values may be secrets.
    pub headers: BTreeMap<String, Secret>,
    /// The format of the body, which determines the escaping of values.
    pub body_form: BodyForm,
    /// The body.
    pub body: String,
    /// Response statuses for an accepted SMS.
    pub accepted_statuses: Vec<StatusRange>,
    /// Response statuses for a permanently refused SMS.
    pub refused_statuses: Vec<StatusRange>,
    /// If not empty, an SMS is accepted only if the response contains one of these.
    pub accepted_answers: Vec<String>,
    /// An SMS is permanently refused if the response contains one of these.
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

/// The format of a gateway's body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BodyForm {
    /// JSON, with placeholders inside its strings.
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
}

/// A range of HTTP statuses, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusRange {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

impl StatusRange {
    /// Parses `400` or `200-299`.
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

    /// Whether a status is in the range.
    #[must_use]
    pub fn contains(self, status: u16) -> bool {
        (self.first..=self.last).contains(&status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_status_ranges() {
        let range = StatusRange::parse("200-299").unwrap();
        assert!(range.contains(200) && range.contains(299) && !range.contains(300));
        assert!(StatusRange::parse("400").unwrap().contains(400));
        for wrong in ["", "2xx", "299-200", "100", "20", "600", "200-", "+200"] {
            assert_eq!(StatusRange::parse(wrong), None, "{wrong}");
        }
    }
}
