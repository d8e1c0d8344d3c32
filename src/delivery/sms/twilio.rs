//! Twilio's API of messages (2010-04-01): a form with `To`, `From` and `Body`, a
//! Basic login, and errors that have a code.

use awc::http::Method;
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use super::http::{Answer, HttpClient, failure};
use super::{Provider, SmsMessage, refused};
use crate::delivery::failure::SendFailure;
use crate::domain::originator::{Originator, OriginatorKind};

/// Errors that concern the number: it is none, or no mobile one, is in a country
/// that the account does not serve, or its owner wants no texts.
const ABOUT_THE_NUMBER: [u32; 7] = [21211, 21214, 21217, 21408, 21610, 21612, 21614];

pub(super) struct Twilio {
    pub(super) client: HttpClient,
    /// With the account's id.
    pub(super) url: String,
    pub(super) messaging_service: Option<String>,
}

impl Provider for Twilio {
    fn send<'a>(&'a self, text: &'a SmsMessage) -> LocalBoxFuture<'a, Result<(), SendFailure>> {
        async move {
            let request = self.client.request(Method::POST, &self.url)?;
            let form = Some("application/x-www-form-urlencoded");
            let answer = self.client.exchange(request, form, self.body(text));
            outcome(&answer.await?)
        }
        .boxed_local()
    }
}

impl Twilio {
    fn body(&self, text: &SmsMessage) -> String {
        let mut form = Serializer::new(String::new());
        form.append_pair("To", &format!("+{}", text.to.as_str()));
        match (&self.messaging_service, &text.from) {
            (Some(service), _) => {
                form.append_pair("MessagingServiceSid", service);
            }
            (None, Some(from)) => {
                form.append_pair("From", &sender(from));
            }
            (None, None) => {}
        }
        form.append_pair("Body", &text.body).finish()
    }
}

fn sender(from: &Originator) -> String {
    let plus = match from.kind() {
        OriginatorKind::Long => "+",
        OriginatorKind::Short | OriginatorKind::Alpha => "",
    };
    format!("{plus}{}", from.text())
}

#[derive(Deserialize)]
struct Refusal {
    code: u32,
}

fn outcome(answer: &Answer) -> Result<(), SendFailure> {
    let status = answer.status;
    if (200..300).contains(&status) {
        return Ok(());
    }
    match serde_json::from_slice::<Refusal>(&answer.body) {
        Ok(Refusal { code }) if status < 500 && ABOUT_THE_NUMBER.contains(&code) => {
            let what = format!("the provider does not take texts to this number (error {code})");
            Err(refused(what, status, true))
        }
        // A wrong sender and the like are the administrator's to fix.
        Ok(Refusal { code }) if status < 500 => {
            let what = format!("the provider did not take it (status {status}, error {code})");
            Err(SendFailure::passing(what))
        }
        _ => Err(failure(status)),
    }
}
