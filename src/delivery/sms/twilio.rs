//! Twilio's Messages API (2010-04-01): a form with `To`, `From` and `Body`, Basic
//! authentication, and error codes.

use awc::http::Method;
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::http::{HttpClient, Response, SmsRequest, status_failure};
use super::{Provider, SmsMessage, rejected};
use crate::delivery::failure::SendFailure;
use crate::delivery::handover::Handover;
use crate::domain::originator::{Originator, OriginatorKind};

/// Error codes that concern the number: it is invalid, not a mobile number, in a
/// country that the account does not serve, or its owner has opted out.
const NUMBER_ERRORS: [u32; 7] = [21211, 21214, 21217, 21408, 21610, 21612, 21614];

pub(super) struct Twilio {
    pub(super) client: HttpClient,
    /// The URL with the account id.
    pub(super) url: String,
    pub(super) messaging_service: Option<String>,
}

impl Provider for Twilio {
    fn send<'a>(
        &'a self,
        sms: &'a SmsMessage,
        handover: &'a Handover,
    ) -> LocalBoxFuture<'a, Result<(), SendFailure>> {
        async move {
            let form = "application/x-www-form-urlencoded";
            let request = SmsRequest {
                method: Method::POST,
                url: self.url.clone(),
                headers: Vec::new(),
                body: Some((form, self.body(sms))),
            };
            outcome(&self.client.exchange(request, handover).await?)
        }
        .boxed_local()
    }
}

impl Twilio {
    fn body(&self, sms: &SmsMessage) -> String {
        let mut form = Serializer::new(String::new());
        form.append_pair("To", &format!("+{}", sms.to.as_str()));
        match (&self.messaging_service, &sms.from) {
            (Some(service), _) => {
                form.append_pair("MessagingServiceSid", service);
            }
            (None, Some(from)) => {
                form.append_pair("From", &sender(from));
            }
            (None, None) => {}
        }
        form.append_pair("Body", &sms.body).finish()
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
struct ErrorBody {
    code: u32,
}

fn outcome(response: &Response) -> Result<(), SendFailure> {
    let status = response.status;
    let body = response.body.as_deref().unwrap_or_default();
    if (200..300).contains(&status) {
        // A page of a proxy, for example, is no answer of Twilio's.
        let is_object = serde_json::from_slice::<serde_json::Map<String, Value>>(body).is_ok();
        return if is_object {
            Ok(())
        } else {
            Err(SendFailure::uncertain(
                "the status is a success, but the response is not a JSON object",
            ))
        };
    }
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(ErrorBody { code }) if status < 500 && NUMBER_ERRORS.contains(&code) => {
            let reason = format!("the provider does not accept this number (error {code})");
            Err(rejected(reason, status, true))
        }
        // The administrator can correct errors such as an invalid sender.
        Ok(ErrorBody { code }) if (400..500).contains(&status) && status != 429 => {
            let reason =
                format!("the provider did not accept the SMS (status {status}, error {code})");
            Err(SendFailure::transient(reason))
        }
        _ => Err(status_failure(response)),
    }
}
