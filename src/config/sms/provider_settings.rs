//! `[sms.providers.NAME]` as set.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::checked::{Access, BodyForm, Method};
use crate::config::certificates::authorities;
use crate::config::checker::Checker;
use crate::config::duration;
use crate::config::secret::{Credentials, Secret};

/// A provider as set. Its kind determines which settings it supports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProviderSettings {
    /// The kind. Required.
    pub kind: Option<ProviderKind>,
    /// The URL of its API; known services have a default.
    pub url: Option<String>,
    /// The user name of the login; for Twilio the account SID.
    pub username: Option<String>,
    /// The password of the login. This or `password_file`.
    pub password: Option<Secret>,
    /// A file that contains the password.
    pub password_file: Option<PathBuf>,
    /// Certificates of further authorities to trust, PEM.
    pub ca_file: Option<PathBuf>,
    /// The timeout of a request including its response.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// Twilio: the messaging service that chooses the sender.
    pub messaging_service: Option<String>,
    /// Gateway: the method.
    pub method: Method,
    /// Gateway: further headers, with placeholders.
    pub headers: BTreeMap<String, Secret>,
    /// Gateway: the format of the body.
    pub body_form: BodyForm,
    /// Gateway: the body, with placeholders.
    pub body: Option<String>,
    /// Gateway: response statuses for an accepted SMS.
    pub accepted_statuses: Vec<String>,
    /// Gateway: response statuses for a permanently refused SMS.
    pub refused_statuses: Vec<String>,
    /// Gateway: texts in the response for an accepted SMS.
    pub accepted_answers: Vec<String>,
    /// Gateway: texts in the response for a permanently refused SMS.
    pub refused_answers: Vec<String>,
    /// File: the folder.
    pub dir: Option<PathBuf>,
}

/// The kinds of providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// `OpenMarket`.
    OpenMarket,
    /// Twilio.
    Twilio,
    /// Any service that accepts an SMS in one HTTP request.
    Gateway,
    /// Files in a folder.
    File,
}

impl Default for ProviderSettings {
    fn default() -> Self {
        Self {
            kind: None,
            url: None,
            username: None,
            password: None,
            password_file: None,
            ca_file: None,
            timeout: Duration::from_secs(20),
            messaging_service: None,
            method: Method::Post,
            headers: BTreeMap::new(),
            body_form: BodyForm::Json,
            body: None,
            accepted_statuses: vec!["200-299".to_owned()],
            refused_statuses: vec!["400".to_owned(), "422".to_owned()],
            accepted_answers: Vec::new(),
            refused_answers: Vec::new(),
            dir: None,
        }
    }
}

impl ProviderSettings {
    pub(super) fn password(&self, key: &str, checker: &mut Checker<'_>) -> Option<Secret> {
        checker.secret(
            &format!("{key}.password"),
            self.password.as_ref(),
            self.password_file.as_deref(),
        )
    }

    pub(super) fn access(
        &self,
        url: &str,
        login: Option<Credentials>,
        key: &str,
        checker: &mut Checker<'_>,
    ) -> Access {
        let ca_key = format!("{key}.ca_file");
        Access {
            url: url.trim_end_matches('/').to_owned(),
            login,
            extra_authorities: self
                .ca_file
                .as_deref()
                .map_or_else(Vec::new, |file| authorities(&ca_key, file, checker)),
            timeout: self.timeout,
        }
    }

    /// Rejects settings that have no effect for this kind.
    pub(super) fn check_supported(&self, kind: ProviderKind, key: &str, checker: &mut Checker<'_>) {
        use ProviderKind::{File, Gateway, OpenMarket, Twilio};
        let default = Self::default();
        let services: &[_] = &[OpenMarket, Twilio, Gateway];
        for (name, is_set, kinds) in [
            ("url", self.url.is_some(), services),
            ("username", self.username.is_some(), services),
            ("password", self.password.is_some(), services),
            ("password_file", self.password_file.is_some(), services),
            ("ca_file", self.ca_file.is_some(), services),
            (
                "messaging_service",
                self.messaging_service.is_some(),
                &[Twilio],
            ),
            ("method", self.method != default.method, &[Gateway]),
            ("headers", !self.headers.is_empty(), &[Gateway]),
            ("body_form", self.body_form != default.body_form, &[Gateway]),
            ("body", self.body.is_some(), &[Gateway]),
            (
                "accepted_statuses",
                self.accepted_statuses != default.accepted_statuses,
                &[Gateway],
            ),
            (
                "refused_statuses",
                self.refused_statuses != default.refused_statuses,
                &[Gateway],
            ),
            (
                "accepted_answers",
                !self.accepted_answers.is_empty(),
                &[Gateway],
            ),
            (
                "refused_answers",
                !self.refused_answers.is_empty(),
                &[Gateway],
            ),
            ("dir", self.dir.is_some(), &[File]),
        ] {
            if is_set && !kinds.contains(&kind) {
                checker.error(
                    &format!("{key}.{name}"),
                    "has no effect for a provider of this kind; remove it",
                );
            }
        }
    }
}
