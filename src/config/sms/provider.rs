//! `[sms.providers.NAME]`: one way out for texts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use super::gateway;
use super::{Access, BodyForm, Method, Provider};
use crate::config::checker::Checker;
use crate::config::period;
use crate::config::secret::Secret;
use crate::config::smtp::{Credentials, authorities, is_loopback};

const OPENMARKET: &str = "https://smsc.openmarket.com/sms/v4/mt";
const TWILIO: &str = "https://api.twilio.com";

/// A provider as written. Which settings it takes depends on its kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProviderSettings {
    /// What it is. Required.
    pub kind: Option<ProviderKind>,
    /// Where it is reached; the services that are known have a default.
    pub url: Option<String>,
    /// The login's name; of Twilio the account's id.
    pub username: Option<String>,
    /// The login's password. This or `password_file`.
    pub password: Option<Secret>,
    /// A file that holds the password.
    pub password_file: Option<PathBuf>,
    /// Certificates of further authorities, PEM.
    pub ca_file: Option<PathBuf>,
    /// How long one request may take with its answer.
    #[serde(with = "period")]
    pub timeout: Duration,
    /// Twilio: the messaging service that chooses the sender.
    pub messaging_service: Option<String>,
    /// Gateway: the method.
    pub method: Method,
    /// Gateway: further headers, with placeholders.
    pub headers: BTreeMap<String, Secret>,
    /// Gateway: what the body is.
    pub body_form: BodyForm,
    /// Gateway: the body, with placeholders.
    pub body: Option<String>,
    /// Gateway: statuses of texts that were taken.
    pub accepted_statuses: Vec<String>,
    /// Gateway: statuses of texts that never will be.
    pub refused_statuses: Vec<String>,
    /// Gateway: what the answer to a text that was taken contains.
    pub accepted_answers: Vec<String>,
    /// Gateway: what the answer to a text that never will be contains.
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
    /// Any service that takes a text in one HTTP request.
    Gateway,
    /// A folder on this machine.
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

const IN_THE_CLEAR: &str = "must begin with https://, or codes and passwords would travel in the \
    clear to another machine; http:// is for localhost";
const URL: &str = "must be an address that begins with https://";

impl ProviderSettings {
    pub(super) fn check(mut self, key: &str, checker: &mut Checker<'_>) -> Option<Provider> {
        let Some(kind) = self.kind else {
            let sentence = "is missing; give \"openmarket\", \"twilio\", \"gateway\" or \"file\"";
            checker.refuse(&format!("{key}.kind"), sentence);
            return None;
        };
        self.refuse_foreign(kind, key, checker);
        let second = Duration::from_secs(1);
        let timeout_key = format!("{key}.timeout");
        checker.period(&timeout_key, self.timeout, second, 300 * second);
        if kind == ProviderKind::File {
            return self.folder(key, checker);
        }
        let known_url = match kind {
            ProviderKind::OpenMarket => Some(OPENMARKET),
            ProviderKind::Twilio => Some(TWILIO),
            ProviderKind::Gateway | ProviderKind::File => None,
        };
        if self.url.is_none() {
            self.url = known_url.map(str::to_owned);
        }
        if kind == ProviderKind::Gateway {
            return gateway::check(self, key, checker);
        }
        let url = self.url.take()?;
        check_url(&format!("{key}.url"), &url, checker);
        let password = self.password(key, checker);
        for (name, missing) in [
            ("username", self.username.is_none()),
            (
                "password",
                self.password.is_none() && self.password_file.is_none(),
            ),
        ] {
            if missing {
                checker.refuse(
                    &format!("{key}.{name}"),
                    "is missing; this provider asks for it",
                );
            }
        }
        let login = Credentials {
            username: self.username.take()?,
            password: password?,
        };
        let access = self.access(&url, Some(login), key, checker);
        Some(match kind {
            ProviderKind::Twilio => Provider::Twilio {
                access,
                messaging_service: self.messaging_service,
            },
            _ => Provider::OpenMarket { access },
        })
    }

    pub(super) fn password(&self, key: &str, checker: &mut Checker<'_>) -> Option<Secret> {
        let (direct, file) = (self.password.as_ref(), self.password_file.as_deref());
        checker.secret(&format!("{key}.password"), direct, file)
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

    fn folder(self, key: &str, checker: &mut Checker<'_>) -> Option<Provider> {
        let key = format!("{key}.dir");
        let Some(dir) = self.dir else {
            checker.refuse(
                &key,
                "is missing; give the folder that texts are written to",
            );
            return None;
        };
        let dir = checker.resolve(&key, &dir);
        if dir.exists() && !dir.is_dir() {
            checker.refuse(&key, "must be a folder; there is a file of this name");
        }
        Some(Provider::File { dir })
    }

    /// A setting that has no effect is a mistake.
    fn refuse_foreign(&self, kind: ProviderKind, key: &str, checker: &mut Checker<'_>) {
        use ProviderKind::{File, Gateway, OpenMarket, Twilio};
        let plain = Self::default();
        let services: &[_] = &[OpenMarket, Twilio, Gateway];
        for (name, given, takers) in [
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
            ("method", self.method != plain.method, &[Gateway]),
            ("headers", !self.headers.is_empty(), &[Gateway]),
            ("body_form", self.body_form != plain.body_form, &[Gateway]),
            ("body", self.body.is_some(), &[Gateway]),
            (
                "accepted_statuses",
                self.accepted_statuses != plain.accepted_statuses,
                &[Gateway],
            ),
            (
                "refused_statuses",
                self.refused_statuses != plain.refused_statuses,
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
            if given && !takers.contains(&kind) {
                let sentence = "has no meaning for a provider of this kind; remove it";
                checker.refuse(&format!("{key}.{name}"), sentence);
            }
        }
    }
}

/// Expects an address that a text may be sent to.
pub(super) fn check_url(key: &str, url: &str, checker: &mut Checker<'_>) {
    match Url::parse(url) {
        Ok(url) if url.host_str().is_none_or(str::is_empty) => checker.refuse(key, URL),
        Ok(url) if url.scheme() == "https" => {}
        Ok(url) if url.scheme() == "http" => {
            let host = url.host_str().unwrap_or_default();
            if !is_loopback(host.trim_matches(['[', ']'])) {
                checker.refuse(key, IN_THE_CLEAR);
            }
        }
        _ => checker.refuse(key, URL),
    }
}
