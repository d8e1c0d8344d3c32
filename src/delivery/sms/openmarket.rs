//! `OpenMarket`'s HTTP API, version 4: a JSON object `mobileTerminate`, a Basic
//! login, and the id of the text in the answer's `Location`.

use awc::http::Method;
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

use super::http::{Answer, HttpClient, failure};
use super::{Provider, SmsMessage, refused};
use crate::delivery::failure::SendFailure;
use crate::domain::originator::OriginatorKind;

pub(super) struct OpenMarket {
    pub(super) client: HttpClient,
    pub(super) url: String,
}

impl Provider for OpenMarket {
    fn send<'a>(&'a self, text: &'a SmsMessage) -> LocalBoxFuture<'a, Result<(), SendFailure>> {
        async move {
            let request = self.client.request(Method::POST, &self.url)?;
            let body = body(text).to_string();
            let answer = self
                .client
                .exchange(request, Some("application/json"), body);
            outcome(&answer.await?)
        }
        .boxed_local()
    }
}

fn body(text: &SmsMessage) -> Value {
    let mut send = json!({
        "message": { "type": "text", "content": text.body },
        "destination": { "address": text.to.as_str() },
    });
    if let (Some(from), Some(send)) = (&text.from, send.as_object_mut()) {
        let type_of_number = match from.kind() {
            OriginatorKind::Long => 1,
            OriginatorKind::Short => 3,
            OriginatorKind::Alpha => 5,
        };
        let source = json!({ "ton": type_of_number, "address": from.text() });
        send.insert("source".to_owned(), source);
    }
    json!({ "mobileTerminate": send })
}

fn outcome(answer: &Answer) -> Result<(), SendFailure> {
    match answer.status {
        200..300 => {
            let id = answer.location.as_deref().map(message_id);
            if id.is_none_or(str::is_empty) {
                // A proxy may have taken it away. The status says that the text
                // was taken, and a second try would send it twice.
                log::warn!("a text was taken, but the provider's answer has no id of it");
            }
            Ok(())
        }
        400 => Err(refused("the provider refused the text", 400, false)),
        status => Err(failure(status)),
    }
}

/// The last part of the path.
fn message_id(location: &str) -> &str {
    location.rsplit('/').next().unwrap_or_default()
}
