//! Relays that are down or refuse mail: the client gets a true answer, and
//! acknowledged mail is sent.

use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use sydent::config::{Encryption, Settings};

use crate::harness::{ClosedPort, SmtpServer, TestServer, Tls, fresh_address, wait_until};

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(29);
const SHORT: Duration = Duration::from_millis(100);

fn relay() -> SmtpServer {
    SmtpServer::start(Tls::None, "localhost", &[])
}

/// Starts a relay on this port, where none was running.
fn relay_at(port: &ClosedPort) -> SmtpServer {
    SmtpServer::start(
        Tls::None,
        "localhost",
        &["--port", &port.number.to_string()],
    )
}

fn use_port(settings: &mut Settings, port: &ClosedPort) {
    settings.email.smtp.port = Some(port.number);
    settings.email.smtp.encryption = Encryption::None;
}

/// A long wait for the outcome, with frequent attempts.
fn wait_long(settings: &mut Settings) {
    settings.delivery.answer_within = LONG;
    settings.delivery.retry_first = SHORT;
}

/// A short wait for the outcome. The second attempt would come later, so that none
/// is in progress when the wait ends.
fn wait_briefly(settings: &mut Settings) {
    settings.delivery.answer_within = Duration::from_secs(3);
    settings.delivery.retry_first = LONG;
}

/// Expects that a request fails, with nothing queued and nothing sent.
async fn expect_refused(server: &TestServer, relay: &SmtpServer, address: &str) -> Value {
    let answer = server.api().request_token(address, "secret", 1).await;
    let error = answer.refused(400, "M_EMAIL_SEND_ERROR");
    assert_eq!(server.database.count("outbox"), 0);
    assert_eq!(relay.mails_to(address).len(), 0);
    error
}

/// Repeats the attempt that was refused: it counts as a new one.
async fn repeat_attempt(server: &TestServer, relay: &SmtpServer, address: &str) {
    server.api().request_token(address, "secret", 1).await.ok();
    assert_eq!(relay.mails_to(address).len(), 1);
}

/// SES-11, EML-08
#[actix_web::test]
async fn unreachable_relay_fails_and_is_not_counted() {
    let (port, address) = (ClosedPort::new(), fresh_address("away"));
    let server = TestServer::start(|settings| {
        wait_briefly(settings);
        use_port(settings, &port);
    });
    let answer = server.api().request_token(&address, "secret", 1).await;
    answer.refused(400, "M_EMAIL_SEND_ERROR");
    assert_eq!(server.database.count("outbox"), 0);

    repeat_attempt(&server, &relay_at(&port), &address).await;
}

#[actix_web::test]
async fn mail_is_sent_if_the_relay_returns_in_time() {
    let (port, address) = (ClosedPort::new(), fresh_address("back"));
    let server = TestServer::start(|settings| {
        wait_long(settings);
        use_port(settings, &port);
    });
    let api = server.api();
    let comes_back = async {
        wait_until("a failed attempt", || {
            server.database.queued("tries > 0") == 1
        })
        .await;
        relay_at(&port)
    };
    let (answer, relay) = join(api.request_token(&address, "secret", 1), comes_back).await;
    answer.ok();
    assert_eq!(relay.mails_to(&address).len(), 1);
}

/// SES-11, EML-08
#[actix_web::test]
async fn permanent_refusal_fails_and_is_not_counted() {
    let relay = relay();
    let server = TestServer::start(|settings| {
        wait_long(settings);
        relay.configure(settings);
    });
    let address_sentence = "The mail server does not accept email to this address";
    let other_sentence = "The email could not be sent";
    for (behaviour, sentence) in [
        (json!({"rcpt": "550 5.1.1 no such user"}), address_sentence),
        (json!({"rcpt": "553 5.1.3 bad address"}), address_sentence),
        (json!({"data": "554 5.7.1 spam"}), other_sentence),
        (json!({"data": "552 5.2.2 mailbox full"}), other_sentence),
    ] {
        let (address, started) = (fresh_address("refused"), Instant::now());
        relay.behave(&behaviour);
        let error = expect_refused(&server, &relay, &address).await;
        assert_eq!(error["error"], sentence, "{behaviour}");
        assert!(started.elapsed() < Duration::from_secs(20));
        relay.behave(&json!({}));
        repeat_attempt(&server, &relay, &address).await;
    }
}

/// SES-11, EML-08
#[actix_web::test]
async fn lasting_deferral_fails_and_is_not_counted() {
    let check = async |behaviour: Value| {
        let (relay, address) = (relay(), fresh_address("deferred"));
        relay.behave(&behaviour);
        let server = TestServer::start(|settings| {
            wait_briefly(settings);
            relay.configure(settings);
        });
        expect_refused(&server, &relay, &address).await;
        relay.behave(&json!({}));
        repeat_attempt(&server, &relay, &address).await;
    };
    let behaviours = [
        json!({"rcpt": "451 4.3.0 not now"}),
        json!({"rcpt": "421 4.3.2 closing"}),
        json!({"data": "452 4.3.1 disk full"}),
        json!({"drop": true}),
    ];
    join_all(behaviours.map(check)).await;
}

#[actix_web::test]
async fn deferral_is_retried_while_the_client_waits() {
    let (relay, address) = (relay(), fresh_address("deferred"));
    relay.behave(&json!({"rcpt": "451 4.3.0 not now"}));
    let server = TestServer::start(|settings| {
        wait_long(settings);
        relay.configure(settings);
    });
    let api = server.api();
    let recovers = async {
        wait_until("failed attempts", || {
            server.database.queued("tries > 1") == 1
        })
        .await;
        relay.behave(&json!({}));
    };
    let (answer, ()) = join(api.request_token(&address, "secret", 1), recovers).await;
    answer.ok();
    assert_eq!(relay.mails_to(&address).len(), 1);
}

#[actix_web::test]
async fn mails_share_one_connection() {
    let relay = relay();
    let server = TestServer::start(|settings| relay.configure(settings));
    let mut connections = Vec::new();
    for _ in 0..5 {
        let address = fresh_address("reuse");
        server.api().request_token(&address, "secret", 1).await.ok();
        connections.push(relay.mail_to(&address).await.received["connection"].clone());
    }
    assert_eq!(connections, vec![connections[0].clone(); 5]);
}
