//! A generic provider that accepts an SMS in one HTTP request, which templates
//! describe.

use awc::http::Method;
use awc::http::header::{HeaderName, HeaderValue};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use super::http::{HttpClient, Response, SmsRequest, status_failure};
use super::{Provider, SmsMessage, rejected};
use crate::config::{self, BodyForm, Secret, StatusRange};
use crate::delivery::failure::SendFailure;
use crate::delivery::handover::Handover;
use crate::delivery::percent;
use crate::domain::placeholders::fill;

pub(super) struct Gateway {
    pub(super) client: HttpClient,
    pub(super) settings: config::Gateway,
}

impl Provider for Gateway {
    fn send<'a>(
        &'a self,
        sms: &'a SmsMessage,
        handover: &'a Handover,
    ) -> LocalBoxFuture<'a, Result<(), SendFailure>> {
        async move {
            let url = fill(&self.settings.access.url, |name| {
                percent::encode(self.value(sms, name))
            });
            let request = SmsRequest {
                method: self.method(),
                url,
                headers: self.headers(sms)?,
                body: self.body(sms),
            };
            self.outcome(&self.client.exchange(request, handover).await?)
        }
        .boxed_local()
    }
}

impl Gateway {
    fn headers(&self, sms: &SmsMessage) -> Result<Vec<(HeaderName, HeaderValue)>, SendFailure> {
        let header = |(name, template): (&String, &Secret)| {
            let value = fill(template.expose(), |name| self.value(sms, name).to_owned());
            let name = HeaderName::try_from(name.as_str()).ok()?;
            Some((name, HeaderValue::try_from(value).ok()?))
        };
        let headers: Option<_> = self.settings.headers.iter().map(header).collect();
        headers.ok_or_else(|| SendFailure::transient("a header for the provider is invalid"))
    }

    /// The body and its content type.
    fn body(&self, sms: &SmsMessage) -> Option<(&'static str, String)> {
        let template = &self.settings.body;
        match (self.settings.method, self.settings.body_form) {
            (config::Method::Get, _) => None,
            (_, BodyForm::Json) => Some((
                "application/json",
                fill(template, |name| escape_json(self.value(sms, name))),
            )),
            (_, BodyForm::Form) => Some((
                "application/x-www-form-urlencoded",
                fill(template, |name| percent::encode(self.value(sms, name))),
            )),
        }
    }

    fn method(&self) -> Method {
        match self.settings.method {
            config::Method::Get => Method::GET,
            config::Method::Post => Method::POST,
            config::Method::Put => Method::PUT,
        }
    }

    /// The value of a placeholder.
    fn value<'a>(&'a self, sms: &'a SmsMessage, name: &str) -> &'a str {
        match name {
            "to" => sms.to.as_str(),
            "from" => sms.sender(),
            "text" => &sms.body,
            "id" => &sms.id,
            "username" => &self.settings.username,
            "password" => self.settings.password.expose(),
            _ => "",
        }
    }

    fn outcome(&self, response: &Response) -> Result<(), SendFailure> {
        let settings = &self.settings;
        let received = response.body.as_deref().unwrap_or_default();
        let body = String::from_utf8_lossy(received);
        let has_text = |texts: &[String]| texts.iter().any(|text| body.contains(text));
        let has_status =
            |ranges: &[StatusRange]| ranges.iter().any(|range| range.contains(response.status));
        if has_status(&settings.refused_statuses) || has_text(&settings.refused_answers) {
            let reason = "the provider rejected the SMS";
            return Err(rejected(reason, response.status, true));
        }
        if !has_status(&settings.accepted_statuses) {
            return Err(status_failure(response));
        }
        if response.body.is_none() && !settings.refused_answers.is_empty() {
            return Err(SendFailure::uncertain(
                "the status is a success, but the response is incomplete",
            ));
        }
        if settings.accepted_answers.is_empty() || has_text(&settings.accepted_answers) {
            return Ok(());
        }
        // The status means that the SMS was accepted, the body does not. A retry
        // could send a second SMS, which costs money.
        Err(SendFailure::uncertain(
            "the status is a success, but the response contains none of accepted_answers",
        ))
    }
}

/// Escapes a value for the inside of a JSON string.
fn escape_json(value: &str) -> String {
    let string = serde_json::Value::from(value).to_string();
    string
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or_default()
        .to_owned()
}
