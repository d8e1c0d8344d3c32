//! Any service that takes a text in one HTTP request, described by templates.

use awc::http::{Method, header};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::http::{Answer, HttpClient, failure, uncertain};
use super::{Provider, SmsMessage, refused};
use crate::config::{self, BodyForm, StatusRange};
use crate::delivery::failure::SendFailure;
use crate::domain::placeholders::fill;

pub(super) struct Gateway {
    pub(super) client: HttpClient,
    pub(super) settings: config::Gateway,
}

const IN_A_QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

impl Provider for Gateway {
    fn send<'a>(&'a self, text: &'a SmsMessage) -> LocalBoxFuture<'a, Result<(), SendFailure>> {
        async move {
            let settings = &self.settings;
            let value = |name: &str| self.value(text, name);
            let percent = |name: &str| utf8_percent_encode(&value(name), IN_A_QUERY).to_string();
            let url = fill(&settings.access.url, percent);
            let mut request = self.client.request(self.method(), &url)?;
            let (content_type, body) = match (settings.method, settings.body_form) {
                (config::Method::Get, _) => (None, String::new()),
                (_, BodyForm::Json) => (
                    Some("application/json"),
                    fill(&settings.body, |name| in_json(&value(name))),
                ),
                (_, BodyForm::Form) => (
                    Some("application/x-www-form-urlencoded"),
                    fill(&settings.body, percent),
                ),
            };
            let mut content_type = content_type;
            for (name, template) in &settings.headers {
                let header = fill(template.expose(), value);
                request = request.insert_header((name.as_str(), header.as_str()));
                if name.eq_ignore_ascii_case(header::CONTENT_TYPE.as_str()) {
                    content_type = None;
                }
            }
            let answer = self.client.exchange(request, content_type, body);
            self.outcome(&answer.await?)
        }
        .boxed_local()
    }
}

impl Gateway {
    fn method(&self) -> Method {
        match self.settings.method {
            config::Method::Get => Method::GET,
            config::Method::Post => Method::POST,
            config::Method::Put => Method::PUT,
        }
    }

    fn value(&self, text: &SmsMessage, name: &str) -> String {
        match name {
            "to" => text.to.as_str(),
            "from" => text.sender(),
            "text" => &text.body,
            "id" => &text.id,
            "username" => &self.settings.username,
            "password" => self.settings.password.expose(),
            _ => "",
        }
        .to_owned()
    }

    fn outcome(&self, answer: &Answer) -> Result<(), SendFailure> {
        let settings = &self.settings;
        let body = String::from_utf8_lossy(&answer.body);
        let says = |texts: &[String]| texts.iter().any(|text| body.contains(text));
        let among =
            |ranges: &[StatusRange]| ranges.iter().any(|range| range.contains(answer.status));
        if among(&settings.refused_statuses) || says(&settings.refused_answers) {
            let what = "the provider refused the text";
            return Err(refused(what, answer.status, true));
        }
        if !among(&settings.accepted_statuses) {
            return Err(failure(answer.status));
        }
        if settings.accepted_answers.is_empty() || says(&settings.accepted_answers) {
            return Ok(());
        }
        // The status says that it was accepted, the body does not: another try may
        // be a second SMS, which somebody pays for.
        Err(uncertain(
            "the status is a success, but the answer contains none of accepted_answers",
        ))
    }
}

/// A value as it stands inside of a string of JSON.
fn in_json(value: &str) -> String {
    let string = serde_json::Value::from(value).to_string();
    let inner = string
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or_default().to_owned()
}
