//! What the administrator hears of a relay that takes no mail, and that clients are
//! not told what is not their fault.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sydent::config::{Encryption, Settings};

use crate::harness::{ClosedPort, SmtpServer, TestServer, Tls, fresh_address, wait_until};

fn relay() -> SmtpServer {
    SmtpServer::start(Tls::None, "localhost", &[])
}

fn wait_briefly(settings: &mut Settings) {
    settings.delivery.answer_within = Duration::from_secs(3);
    settings.delivery.retry_first = Duration::from_secs(29);
}

fn retry_often(settings: &mut Settings) {
    settings.delivery.retry_first = Duration::from_millis(50);
    settings.delivery.retry_max = Duration::from_millis(200);
    settings.delivery.poll_every = Duration::from_millis(50);
}

/// The relay as `/ready` reports it, which is ready all the same.
async fn relay_in_ready(server: &TestServer) -> Value {
    let ready = server.operations().get("/ready").await.ok();
    assert_eq!(ready.get("database"), Some(&json!("ok")));
    ready.get("mail_relay").cloned().unwrap_or_default()
}

async fn assert_dropped(server: &TestServer, reason: &str, count: u32) {
    let metrics = server.operations().get("/metrics").await.text();
    let labels = format!("{{kind=\"mail\",reason=\"{reason}\"}}");
    let line = format!("sydent_messages_dropped_total{labels} {count}");
    assert!(metrics.contains(&line), "{line} is not in {metrics}");
}

/// EML-08
#[actix_web::test]
async fn relay_that_wants_a_login_is_reported() {
    let relay = relay();
    let server = TestServer::start(|settings| {
        relay.configure(settings);
        settings.delivery.answer_within = Duration::from_secs(20);
    });
    assert_eq!(relay_in_ready(&server).await, Value::Null);
    for (count, reply) in [
        (1, "554 5.7.1 <a@b.example>: Relay access denied"),
        (2, "571 5.7.1 Delivery not authorized"),
        (3, "550 relay not permitted"),
        (4, "530 5.7.0 Authentication required"),
    ] {
        let (address, started) = (fresh_address("relayed"), Instant::now());
        relay.behave(&json!({"rcpt": reply}));
        let answer = server.api().request_token(&address, "secret", 1).await;
        let error = answer.refused(400, "M_EMAIL_SEND_ERROR");
        assert_eq!(error["error"], "The email could not be sent", "{reply}");
        assert!(started.elapsed() < Duration::from_secs(10), "{reply}");
        assert_eq!(server.database.count("outbox"), 0);
        assert_dropped(&server, "misconfigured", count).await;

        let trouble = relay_in_ready(&server).await;
        assert_eq!(trouble["name"], format!("localhost:{}", relay.port));
        assert_eq!(trouble["state"], "refuses");
        let reason = trouble["last_failure"].as_str().unwrap();
        assert!(reason.starts_with("the relay wants a login"), "{reason}");
        relay.behave(&json!({}));
        server.api().request_token(&address, "secret", 1).await.ok();
        assert_eq!(relay_in_ready(&server).await, Value::Null);
    }
}

#[actix_web::test]
async fn wrong_setting_loses_no_acknowledged_mail() {
    let (relay, address) = (relay(), fresh_address("promised"));
    let reply = format!("554 5.7.1 <{address}>: Relay access denied");
    relay.behave(&json!({"rcpt": reply}));
    let server = TestServer::start(|settings| {
        relay.configure(settings);
        retry_often(settings);
    });
    server.database.queue_mails(std::slice::from_ref(&address));
    wait_until("a second attempt", || {
        server.database.queued("tries > 1") == 1
    })
    .await;
    let noted = "last_failure LIKE '%554 5.7.1 to RCPT TO: \"[address]: Relay access denied\"%'";
    assert_eq!(server.database.queued(noted), 1);

    relay.behave(&json!({}));
    relay.mail_to(&address).await;
    wait_until("an empty queue", || server.database.count("outbox") == 0).await;
}

#[actix_web::test]
async fn outage_is_counted_and_reported() {
    let (port, address) = (ClosedPort::new(), fresh_address("away"));
    let server = TestServer::start(|settings| {
        wait_briefly(settings);
        settings.email.smtp.port = Some(port.number);
        settings.email.smtp.encryption = Encryption::None;
    });
    let answer = server.api().request_token(&address, "secret", 1).await;
    answer.refused(400, "M_EMAIL_SEND_ERROR");
    assert_dropped(&server, "gave_up", 1).await;
    let trouble = relay_in_ready(&server).await;
    assert_eq!(trouble["state"], "no_answer");
    assert_eq!(trouble["failed_attempts"], 1);
    let name = trouble["name"].as_str().unwrap();
    assert!(name.ends_with(&format!(":{}", port.number)), "{name}");
}

#[actix_web::test]
async fn greylisting_is_counted_and_reported() {
    let (relay, address) = (relay(), fresh_address("grey"));
    relay.behave(&json!({"rcpt": "451 4.7.1 Greylisted, come back later"}));
    let server = TestServer::start(|settings| {
        relay.configure(settings);
        wait_briefly(settings);
    });
    let answer = server.api().request_token(&address, "secret", 1).await;
    answer.refused(400, "M_EMAIL_SEND_ERROR");
    assert_dropped(&server, "gave_up", 1).await;
    let trouble = relay_in_ready(&server).await;
    assert_eq!(trouble["state"], "refuses");
    let expected = "the relay replied 451 4.7.1 to RCPT TO: \"Greylisted, come back later\"";
    assert_eq!(trouble["last_failure"], expected);
}

/// RFC 5321, section 4.3.2
#[actix_web::test]
async fn unknown_code_after_the_message_is_a_refusal() {
    let relay = relay();
    let server = TestServer::start(|settings| relay.configure(settings));
    for (count, behaviour) in [
        (1, json!({"data": "577 no"})),
        (2, json!({"data": "560"})),
        (3, json!({"rcpt": "599 5.1.1 unknown"})),
    ] {
        let address = fresh_address("unknown");
        relay.behave(&behaviour);
        let answer = server.api().request_token(&address, "secret", 1).await;
        answer.refused(400, "M_EMAIL_SEND_ERROR");
        assert_eq!(relay.mails_to(&address).len(), 0);
        assert_dropped(&server, "refused", count).await;
    }
}

#[actix_web::test]
async fn sender_domain_is_sent_in_a_labels() {
    let (relay, address) = (relay(), fresh_address("sender"));
    let server = TestServer::start(|settings| {
        relay.configure(settings);
        settings.email.from = Some("Bücherei <noreply@bücher.example>".to_owned());
    });
    server.api().request_token(&address, "secret", 1).await.ok();
    let mail = relay.mail_to(&address).await;
    assert_eq!(mail.received["mail_from"], "noreply@xn--bcher-kva.example");
    assert!(
        mail.header("From")
            .ends_with("<noreply@xn--bcher-kva.example>")
    );
}

#[actix_web::test]
async fn empty_user_name_sends_without_a_login() {
    let (relay, address) = (relay(), fresh_address("nologin"));
    let server = TestServer::start(|settings| {
        relay.configure(settings);
        settings.email.smtp.username = Some(String::new());
        settings.email.smtp.password = Some(String::new().into());
    });
    server.api().request_token(&address, "secret", 1).await.ok();
    let mail = relay.mail_to(&address).await;
    assert_eq!(mail.received["auth_user"], Value::Null);
}
