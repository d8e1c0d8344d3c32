//! A generic provider that accepts an SMS in one HTTP request, which templates
//! describe.

use awc::http::{Method, header};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use super::http::{HttpClient, Response, status_failure};
use super::{Provider, SmsMessage, rejected};
use crate::config::{self, BodyForm, StatusRange};
use crate::delivery::failure::SendFailure;
use crate::delivery::percent;
use crate::domain::placeholders::fill;

pub(super) struct Gateway {
    pub(super) client: HttpClient,
    pub(super) settings: config::Gateway,
}

impl Provider for Gateway {
    fn send<'a>(&'a self, sms: &'a SmsMessage) -> LocalBoxFuture<'a, Result<(), SendFailure>> {
        async move {
            let url = fill(&self.settings.access.url, |name| {
                percent::encode(self.value(sms, name))
            });
            let mut request = self.client.request(self.method(), &url)?;
            let (mut content_type, body) = self.body(sms);
            for (name, template) in &self.settings.headers {
                let value = fill(template.expose(), |name| self.value(sms, name).to_owned());
                request = request.insert_header((name.as_str(), value.as_str()));
                if name.eq_ignore_ascii_case(header::CONTENT_TYPE.as_str()) {
                    content_type = None;
                }
            }
            let response = self.client.exchange(request, content_type, body).await?;
            self.outcome(&response)
        }
        .boxed_local()
    }
}

impl Gateway {
    /// The body and its content type.
    fn body(&self, sms: &SmsMessage) -> (Option<&'static str>, String) {
        let template = &self.settings.body;
        match (self.settings.method, self.settings.body_form) {
            (config::Method::Get, _) => (None, String::new()),
            (_, BodyForm::Json) => (
                Some("application/json"),
                fill(template, |name| escape_json(self.value(sms, name))),
            ),
            (_, BodyForm::Form) => (
                Some("application/x-www-form-urlencoded"),
                fill(template, |name| percent::encode(self.value(sms, name))),
            ),
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
        let body = String::from_utf8_lossy(&response.body);
        let has_text = |texts: &[String]| texts.iter().any(|text| body.contains(text));
        let has_status =
            |ranges: &[StatusRange]| ranges.iter().any(|range| range.contains(response.status));
        if has_status(&settings.refused_statuses) || has_text(&settings.refused_answers) {
            let reason = "the provider rejected the SMS";
            return Err(rejected(reason, response.status, true));
        }
        if !has_status(&settings.accepted_statuses) {
            return Err(status_failure(response.status));
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
