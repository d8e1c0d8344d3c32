//! `OpenMarket`'s HTTP API, version 4: a JSON object `mobileTerminate`, Basic
//! authentication, and the id of the SMS in the `Location` of the response.

use awc::http::Method;
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

use super::http::{HttpClient, Response, SmsRequest, status_failure};
use super::{Provider, SmsMessage, rejected};
use crate::delivery::failure::SendFailure;
use crate::delivery::handover::Handover;
use crate::domain::originator::OriginatorKind;

pub(super) struct OpenMarket {
    pub(super) client: HttpClient,
    pub(super) url: String,
}

impl Provider for OpenMarket {
    fn send<'a>(
        &'a self,
        sms: &'a SmsMessage,
        handover: &'a Handover,
    ) -> LocalBoxFuture<'a, Result<(), SendFailure>> {
        async move {
            let request = SmsRequest {
                method: Method::POST,
                url: self.url.clone(),
                headers: Vec::new(),
                body: Some(("application/json", body(sms).to_string())),
            };
            outcome(&self.client.exchange(request, handover).await?)
        }
        .boxed_local()
    }
}

fn body(sms: &SmsMessage) -> Value {
    let mut message = json!({
        "message": { "type": "text", "content": sms.body },
        "destination": { "address": sms.to.as_str() },
    });
    if let (Some(from), Some(message)) = (&sms.from, message.as_object_mut()) {
        let type_of_number = match from.kind() {
            OriginatorKind::Long => 1,
            OriginatorKind::Short => 3,
            OriginatorKind::Alpha => 5,
        };
        let source = json!({ "ton": type_of_number, "address": from.text() });
        message.insert("source".to_owned(), source);
    }
    json!({ "mobileTerminate": message })
}

fn outcome(response: &Response) -> Result<(), SendFailure> {
    match response.status {
        200..300 => {
            let id = response.location.as_deref().map(message_id);
            if id.is_none_or(str::is_empty) {
                // A proxy may have removed the id. The status means that the SMS
                // was accepted, and a retry would send it twice.
                log::warn!("the provider accepted an SMS without returning its id");
            }
            Ok(())
        }
        400 => Err(rejected("the provider rejected the SMS", 400, false)),
        _ => Err(status_failure(response)),
    }
}

/// The id of the SMS: the last segment of the path.
fn message_id(location: &str) -> &str {
    location.rsplit('/').next().unwrap_or_default()
}
