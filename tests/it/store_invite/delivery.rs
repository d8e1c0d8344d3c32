//! An invite and its mail are accepted together or not at all (INV-18).

use std::time::Duration;

use awc::http::Method;
use serde_json::json;

use super::by_synapse;
use crate::harness::{
    BASE_URL, SmtpServer, TestDatabase, TestProcess, TestServer, Tls, fresh_address, wait_until,
};

/// INV-18, PUB-08
#[actix_web::test]
async fn unsendable_invite_is_not_stored() {
    let relay = SmtpServer::start(Tls::None, "localhost", &[]);
    relay.behave(&json!({"rcpt": "550 5.1.1 nobody here"}));
    let server = TestServer::start(|settings| {
        relay.configure(settings);
        settings.limits.invites_per_client.burst = 3;
        settings.limits.invites_per_address.burst = 1;
    });
    let address = fresh_address("no");
    for _ in 0..3 {
        let answer = server.api().store_invite(by_synapse(&address)).await;
        answer.refused(400, "M_EMAIL_SEND_ERROR");
        for table in ["invites", "ephemeral_keys", "outbox"] {
            assert_eq!(server.database.count(table), 0, "{table}");
        }
    }
    // They count for who invites, and not for the recipient.
    let fourth = server.api().store_invite(by_synapse(&address)).await;
    fourth.refused(429, "M_LIMIT_EXCEEDED");
}

/// INV-18
#[actix_web::test]
async fn unreachable_relay_stores_no_invite() {
    let relay = SmtpServer::start(Tls::None, "localhost", &[]);
    let server = TestServer::start(|settings| {
        relay.configure(settings);
        // The first attempt fails long before the wait ends, and no second one can
        // be in progress then, however slow the machine is.
        settings.delivery.answer_within = Duration::from_secs(3);
        settings.delivery.retry_first = Duration::from_secs(20);
    });
    relay.kill();
    let answer = server
        .api()
        .store_invite(by_synapse(&fresh_address("away")))
        .await;
    answer.refused(400, "M_EMAIL_SEND_ERROR");
    for table in ["invites", "ephemeral_keys", "outbox"] {
        assert_eq!(server.database.count(table), 0, "{table}");
    }
}

/// INV-18
#[actix_web::test]
async fn missing_transport_stores_no_invite() {
    let server = TestServer::start(|settings| {
        settings.email.transport = sydent::config::TransportKind::None;
    });
    let answer = server
        .api()
        .store_invite(by_synapse(&fresh_address("none")))
        .await;
    answer.refused(400, "M_EMAIL_SEND_ERROR");
    assert_eq!(server.database.count("invites"), 0);
}

/// PUB-09
#[actix_web::test]
async fn acknowledged_invite_survives_a_late_refusal() {
    let relay = SmtpServer::start(Tls::None, "localhost", &[]);
    relay.behave(&json!({"delay_ms": 1000, "data": "550 5.7.1 not wanted"}));
    let server = TestServer::start(|settings| {
        relay.configure(settings);
        settings.delivery.answer_within = Duration::from_millis(300);
    });
    let fields = by_synapse(&fresh_address("late"));
    server.api().store_invite(fields).await.ok();
    wait_until("the refusal", || server.database.count("outbox") == 0).await;
    assert_eq!(server.database.count("invites"), 1);
    assert_eq!(server.database.count("ephemeral_keys"), 1);
}

/// INV-14, MSG-09, SGN-10
#[actix_web::test]
async fn log_contains_no_address_token_or_key() {
    let database = TestDatabase::fresh();
    let process = TestProcess::start(&database, |_| {});
    let (api, address) = (process.api(), fresh_address("logged"));
    api.store_invite(by_synapse(&address)).await.ok();
    let mail = SmtpServer::shared().mail_to(&address).await;
    let parameters = mail.sign_parameters();
    let query = mail.join_link().1["signurl"].replace(BASE_URL, "");
    let path = format!("{query}&mxid=@alice:example.org");
    api.send(Method::POST, &path, &[], Vec::new()).await.ok();
    let log = process.log_containing("sign-ed25519").await;
    for secret in [&address, &parameters["token"], &parameters["private_key"]] {
        assert!(!log.contains(secret.as_str()), "{log}");
    }
}
