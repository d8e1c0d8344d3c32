//! Several requests that wait for one mail: each gets a true answer.

use std::time::Duration;

use futures_util::future::{join, join_all};
use serde_json::json;
use sydent::config::{Encryption, Settings};

use crate::harness::{ClosedPort, SmtpServer, TestServer, Tls, V1, fresh_address, wait_until};

const SECOND: Duration = Duration::from_secs(1);

fn dead_relay(settings: &mut Settings, port: &ClosedPort) {
    settings.email.smtp.port = Some(port.number);
    settings.email.smtp.encryption = Encryption::None;
    settings.delivery.answer_within = 2 * SECOND;
    // The second attempt would come long after the wait.
    settings.delivery.retry_first = 20 * SECOND;
}

#[actix_web::test]
async fn repeated_request_fails_with_the_dropped_mail() {
    let port = ClosedPort::new();
    let server = TestServer::start(|settings| dead_relay(settings, &port));
    let (api, address) = (server.api(), fresh_address("twice"));
    let first = api.request_token(&address, "secret", 1);
    let second = async {
        wait_until("the first is queued", || {
            server.database.count("outbox") == 1
        })
        .await;
        api.request_token(&address, "secret", 1).await
    };
    let (first, second) = join(first, second).await;
    first.refused(400, "M_EMAIL_SEND_ERROR");
    second.refused(400, "M_EMAIL_SEND_ERROR");
    assert_eq!(server.database.count("outbox"), 0);
}

#[actix_web::test]
async fn acknowledged_mail_is_not_dropped_by_another() {
    let relay = SmtpServer::start(Tls::None, "localhost", &[]);
    relay.behave(&json!({"delay_ms": 4000, "data": "451 4.3.0 not now"}));
    let server = TestServer::start(|settings| {
        relay.configure(settings);
        settings.delivery.answer_within = SECOND;
        settings.delivery.retry_first = 8 * SECOND;
    });
    let (api, address) = (server.api(), fresh_address("promised"));
    // Still in progress when the wait ends, so it is acknowledged.
    api.request_token(&address, "secret", 1).await.ok();
    wait_until("the first attempt failed", || {
        server.database.queued("lease_until = 0 AND tries = 1") == 1
    })
    .await;
    relay.behave(&json!({}));
    // No attempt is in progress now. A further request is acknowledged too.
    api.request_token(&address, "secret", 1).await.ok();
    assert_eq!(server.database.count("outbox"), 1);
    relay.mail_to(&address).await;
}

/// SES-11
#[actix_web::test]
async fn dropped_attempts_do_not_count_in_any_order() {
    let port = ClosedPort::new();
    let server = TestServer::start(|settings| dead_relay(settings, &port));
    let (api, address) = (server.api(), fresh_address("order"));
    let second = async {
        wait_until("the first is queued", || {
            server.database.count("outbox") == 1
        })
        .await;
        api.request_token(&address, "secret", 2).await
    };
    let (first, second) = join(api.request_token(&address, "secret", 1), second).await;
    first.refused(400, "M_EMAIL_SEND_ERROR");
    second.refused(400, "M_EMAIL_SEND_ERROR");
    assert_eq!(server.database.count("validation_sessions"), 0);
}

#[actix_web::test]
async fn instances_give_their_clients_the_same_answer() {
    let port = ClosedPort::new();
    let one = TestServer::start(|settings| dead_relay(settings, &port));
    let other = TestServer::start_on(
        crate::harness::TestDatabase::existing(&one.database.url),
        |settings| dead_relay(settings, &port),
    );
    let address = fresh_address("instances");
    let second_request = async {
        wait_until("the first is queued", || one.database.count("outbox") == 1).await;
        other.api().request_token(&address, "secret", 1).await
    };
    let (first, second) = join(
        one.api().request_token(&address, "secret", 1),
        second_request,
    )
    .await;
    first.refused(400, "M_EMAIL_SEND_ERROR");
    second.refused(400, "M_EMAIL_SEND_ERROR");
}

/// Copies of a request take no places from others.
#[actix_web::test]
async fn few_copies_of_a_request_wait() {
    let relay = SmtpServer::start(Tls::None, "localhost", &[]);
    relay.behave(&json!({"delay_ms": 3000}));
    let server = TestServer::start(|settings| {
        relay.configure(settings);
        settings.delivery.answer_within = 5 * SECOND;
    });
    let (api, address) = (server.api(), fresh_address("copies"));
    let copies = (0..40).map(|_| api.request_token(&address, "secret", 1));
    let answers = join_all(copies).await;
    let sent = answers.iter().filter(|answer| answer.status == 200).count();
    assert!((1..=8).contains(&sent), "{sent} were answered");
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        let wait_ms = answer.refused(429, "M_LIMIT_EXCEEDED")["retry_after_ms"].as_i64();
        assert_eq!(wait_ms, Some(5000));
    }
    assert_eq!(relay.mails_to(&address).len(), 1);
}

/// One client leaves places to others, and to unbinds.
#[actix_web::test]
async fn waiting_requests_of_one_client_are_limited() {
    let relay = SmtpServer::start(Tls::None, "localhost", &[]);
    relay.behave(&json!({"delay_ms": 3000}));
    let server = TestServer::start(|settings| {
        relay.configure(settings);
        settings.database.queue = 32;
        settings.http.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    });
    let many = (0..30).map(|_| request_by(&server, "192.0.2.1"));
    let others = async {
        actix_web::rt::time::sleep(SECOND).await;
        request_by(&server, "192.0.2.2").await
    };
    let (many, other) = join(join_all(many), others).await;
    assert_eq!(other, 200);
    let sent = many.iter().filter(|status| **status == 200).count();
    assert_eq!(sent, 8);
    assert!(many.iter().all(|status| [200, 429].contains(status)));
}

async fn request_by(server: &TestServer, client: &str) -> u16 {
    let headers = [
        ("content-type", "application/json"),
        ("x-forwarded-for", client),
    ];
    let address = fresh_address("by");
    let body = json!({"client_secret": "secret", "email": address, "send_attempt": 1});
    let path = format!("{V1}/validate/email/requestToken");
    let (method, body) = (awc::http::Method::POST, body.to_string().into_bytes());
    server
        .api()
        .send(method, &path, &headers, body)
        .await
        .status
}
