//! What the answer of a provider means for the client, and for the next try (MSI-10).

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sydent::config::ProviderKind;

use super::{main_of, server};
use crate::harness::{Reply, SmsProvider, fresh_msisdn};

/// The status and errcode that a client gets when the provider answers with this,
/// and the number of requests to the provider.
async fn outcome(kind: ProviderKind, status: u16, body: Value) -> (u16, String, usize) {
    let provider = SmsProvider::start(kind);
    let server = server(&provider, |_| {});
    provider.behave(Reply::Status(status, body.to_string()));
    let number = format!("+{}", fresh_msisdn());
    let answer = server.api().request_sms("GB", &number, "secret", 1).await;
    let body = answer.json();
    let errcode = body["errcode"].as_str().unwrap_or_default().to_owned();
    (answer.status, errcode, provider.requests().len())
}

/// MSI-10
#[actix_web::test]
async fn refusal_is_an_immediate_send_error() {
    for (kind, status, body) in [
        (ProviderKind::OpenMarket, 400, json!({})),
        (
            ProviderKind::Twilio,
            400,
            json!({"code": 21211, "status": 400}),
        ),
        (
            ProviderKind::Twilio,
            400,
            json!({"code": 21610, "status": 400}),
        ),
        (ProviderKind::Gateway, 422, json!("no such number")),
    ] {
        let outcome = outcome(kind, status, body).await;
        assert_eq!(outcome, (400, "M_SEND_ERROR".to_owned(), 1), "{kind:?}");
    }
}

#[actix_web::test]
async fn accepted_sms_without_an_id_is_not_resent() {
    let (status, _, requests) = outcome(ProviderKind::OpenMarket, 202, json!({})).await;
    assert_eq!((status, requests), (200, 1));
}

/// MSI-10
#[actix_web::test]
async fn transient_failure_is_retried_until_timeout() {
    for (kind, status, body) in [
        (ProviderKind::OpenMarket, 503, json!({})),
        (ProviderKind::OpenMarket, 401, json!({})),
        (ProviderKind::Twilio, 429, json!({"code": 20429})),
        // A wrong sender is a mistake that the administrator can fix.
        (ProviderKind::Twilio, 400, json!({"code": 21606})),
        (ProviderKind::Gateway, 404, json!({})),
    ] {
        let (answered, errcode, requests) = outcome(kind, status, body).await;
        assert_eq!(
            (answered, errcode.as_str()),
            (400, "M_SEND_ERROR"),
            "{kind:?} {status}"
        );
        assert!(requests > 1, "{kind:?} {status}: {requests} requests");
    }
}

/// Each SMS costs money, so one that may have been sent is not retried quickly.
#[actix_web::test]
async fn unexpected_response_is_uncertain() {
    for (kind, status, answer) in [
        (ProviderKind::Gateway, 200, "STATUS=BUSY"),
        (ProviderKind::Gateway, 200, ""),
        (ProviderKind::Gateway, 204, ""),
        (ProviderKind::Gateway, 302, "STATUS=OK"),
        (ProviderKind::Gateway, 409, "duplicate"),
        (ProviderKind::Gateway, 499, "gone"),
        (ProviderKind::Twilio, 425, ""),
        (ProviderKind::Gateway, 502, "STATUS=OK"),
        (ProviderKind::OpenMarket, 303, "{}"),
        (ProviderKind::Twilio, 200, "<html>"),
        (ProviderKind::Twilio, 200, "{"),
        (ProviderKind::Twilio, 201, ""),
        (ProviderKind::Twilio, 307, r#"{"code": 20307}"#),
        (ProviderKind::OpenMarket, 500, "{}"),
        (ProviderKind::Twilio, 504, r#"{"code": 20500}"#),
    ] {
        let provider = SmsProvider::start(kind);
        let server = server(&provider, |settings| {
            settings.delivery.retry_first = Duration::from_millis(50);
            settings.delivery.answer_within = Duration::from_secs(10);
            let main = main_of(settings);
            if kind == ProviderKind::Gateway {
                main.accepted_statuses = vec!["200".to_owned()];
                main.accepted_answers = vec!["=OK".to_owned()];
            }
        });
        provider.behave(Reply::Status(status, answer.to_owned()));
        let started = Instant::now();
        let response = server
            .api()
            .request_sms("GB", "07700900001", "secret", 1)
            .await;
        let (took, tries) = (started.elapsed(), provider.requests().len());
        assert_eq!(
            (response.status, tries),
            (200, 3),
            "{kind:?} {status} {answer}"
        );
        // The delays are 10 and 40 times the first retry delay.
        assert!(took >= Duration::from_millis(2500), "{took:?}");
    }
}

/// The provider says when it may be asked again: not within the time that the client
/// waits, so there is one request.
#[actix_web::test]
async fn retry_after_is_respected() {
    for (status, requests) in [("429 Slow", 1), ("503 Busy", 1), ("401 Login", 2)] {
        let provider = SmsProvider::start(ProviderKind::Twilio);
        let server = server(&provider, |settings| {
            settings.delivery.retry_first = Duration::from_millis(200);
        });
        provider.behave(Reply::Bytes(format!(
            "HTTP/1.1 {status}\r\nRetry-After: 60\r\n\r\n{{\"code\": 20429}}"
        )));
        let api = server.api();
        let answer = api.request_sms("GB", "07700900001", "secret", 1).await;
        answer.refused(400, "M_SEND_ERROR");
        let found = provider.requests().len();
        assert!(found >= requests, "{status}: {found}");
        assert_eq!(found == 1, requests == 1, "{status}: {found}");
    }
}
