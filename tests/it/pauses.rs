//! Relays, providers and homeservers that are down are left alone, whatever is queued for
//! them (OPS-17).

use std::time::Duration;

use serde_json::json;
use sydent::config::{Encryption, ProviderKind, Settings};

use crate::harness::{
    Behaviour, ClosedPort, Homeserver, ONBIND, Reply, SmsProvider, SmtpServer, TestServer, Tls,
    fresh_address, fresh_msisdn, wait_for, wait_until,
};

fn pause_soon(settings: &mut Settings) {
    settings.delivery.answer_within = Duration::from_millis(400);
    settings.delivery.retry_first = Duration::from_millis(50);
    settings.delivery.poll_every = Duration::from_millis(50);
    settings.delivery.pause_after_failures = 3;
    settings.delivery.pause_max = Duration::from_secs(2);
}

/// OPS-17
#[actix_web::test]
async fn failing_gateway_is_asked_a_few_times() {
    let provider = SmsProvider::start(ProviderKind::OpenMarket);
    let server = TestServer::start(|settings| {
        provider.configure(settings);
        pause_soon(settings);
        settings.delivery.answer_within = Duration::from_secs(5);
        settings.delivery.pause_max = Duration::from_mins(10);
        settings.delivery.retry_max = Duration::from_mins(10);
    });
    let api = server.api();
    provider.behave(Reply::Status(503, String::new()));
    for _ in 0..20 {
        let number = format!("+{}", fresh_msisdn());
        let answer = api.request_sms("GB", &number, "secret", 1).await;
        answer.refused(400, "M_SEND_ERROR");
    }
    let asked = provider.requests().len();
    assert!((3..=12).contains(&asked), "{asked}");
    assert_eq!(server.database.count("outbox"), 0);
}

/// OPS-17
#[actix_web::test]
async fn relay_that_is_back_gets_mail_again() {
    let port = ClosedPort::new();
    let server = TestServer::start(|settings| {
        settings.email.smtp.port = Some(port.number);
        settings.email.smtp.encryption = Encryption::None;
        pause_soon(settings);
    });
    let api = server.api();
    let mut refused = 0;
    for _ in 0..8 {
        let address = fresh_address("down");
        let answer = api.request_token(&address, "secret", 1).await;
        // A mail that is just being tried when the wait ends is promised.
        if answer.status != 200 {
            answer.refused(400, "M_EMAIL_SEND_ERROR");
            refused += 1;
        }
    }
    assert!(refused >= 4, "{refused}");
    let metrics = server.operations().get("/metrics").await.text();
    let label = "kind=\"mail\",outcome=\"paused\"";
    assert!(metrics.contains(label), "{metrics}");
    let paused = "sydent_destinations_paused{kind=\"mail relay\"} 1\n";
    assert!(metrics.contains(paused), "{metrics}");
    let number = port.number.to_string();
    let _relay = SmtpServer::start(Tls::None, "localhost", &["--port", &number]);
    wait_for("a mail that is accepted", async || {
        let address = fresh_address("back");
        let answer = api.request_token(&address, "secret", 1).await;
        (answer.status == 200).then_some(())
    })
    .await;
}

/// OPS-17
#[actix_web::test]
async fn failing_homeserver_gets_one_attempt_at_a_time() {
    let hs = Homeserver::start();
    let server = TestServer::start(|settings| {
        hs.configure(settings);
        pause_soon(settings);
        settings.delivery.pause_max = Duration::from_secs(4);
    });
    hs.behave(ONBIND, Behaviour::json(500, &json!({})));
    let (internal, mxid) = (server.internal(), hs.user("alice"));
    for _ in 0..20 {
        let address = fresh_address("bound");
        internal.internal_bind("email", &address, &mxid).await.ok();
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let asked = hs.requests_to(ONBIND).len();
    assert!(asked <= 40, "{asked}");
    hs.behave_normally(ONBIND);
    wait_until("all notifications", || server.database.count("outbox") == 0).await;
}
