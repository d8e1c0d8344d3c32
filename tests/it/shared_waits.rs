//! Several requests that wait for one mail: each gets a true answer.

use std::time::Duration;

use futures_util::future::join;
use serde_json::json;
use sydent::config::{Encryption, Settings};

use crate::harness::{ClosedPort, SmtpServer, TestServer, Tls, fresh_address, wait_until};

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
    assert_eq!(
        server
            .database
            .count("validation_sessions WHERE send_attempt IS NULL"),
        1
    );
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
