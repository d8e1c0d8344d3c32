//! Slow relays: no client waits longer than `answer_within`, and acknowledged mail
//! is sent.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select, select_all};
use serde_json::json;
use sydent::config::Settings;

use crate::harness::{SmtpServer, TestServer, Tls, V2, fresh_address, wait_until};

fn relay(delay_ms: u32) -> SmtpServer {
    let relay = SmtpServer::start(Tls::None, "localhost", &[]);
    relay.behave(&json!({"delay_ms": delay_ms}));
    relay
}

/// A very short wait for the outcome, with frequent attempts.
fn retry_often(settings: &mut Settings) {
    settings.delivery.answer_within = Duration::from_millis(500);
    settings.delivery.retry_first = Duration::from_millis(50);
    settings.delivery.retry_max = Duration::from_millis(200);
    settings.delivery.poll_every = Duration::from_millis(50);
    settings.http.shutdown_timeout = Duration::from_secs(1);
}

#[actix_web::test]
async fn slow_relay_is_not_awaited_and_gets_one_mail() {
    let (relay, address) = (relay(5000), fresh_address("slow"));
    let server = TestServer::start(|settings| {
        relay.configure(settings);
        settings.delivery.answer_within = Duration::from_secs(1);
    });
    server.api().request_token(&address, "secret", 1).await.ok();
    assert_eq!(relay.mails_to(&address).len(), 0);

    wait_until("an empty queue", || server.database.count("outbox") == 0).await;
    assert_eq!(relay.mails_to(&address).len(), 1);
}

#[actix_web::test]
async fn clock_jump_does_not_send_a_mail_twice() {
    let (relay, address) = (relay(3000), fresh_address("jump"));
    let server = TestServer::start_with_clock(|settings| {
        relay.configure(settings);
        retry_often(settings);
    });
    server.api().request_token(&address, "secret", 1).await.ok();
    wait_until("an attempt", || server.database.queued("tries = 1") == 1).await;

    server.advance(60 * 60 * 1000);
    wait_until("an empty queue", || {
        assert_eq!(server.database.queued("tries > 1"), 0);
        server.database.count("outbox") == 0
    })
    .await;
    assert_eq!(relay.mails_to(&address).len(), 1);
}

#[actix_web::test]
async fn acknowledged_mail_stays_queued_until_sent() {
    let (relay, address) = (relay(0), fresh_address("promised"));
    relay.behave(&json!({"delay_ms": 3000, "data": "451 4.3.0 not now"}));
    let server = TestServer::start(|settings| {
        relay.configure(settings);
        retry_often(settings);
    });
    server.api().request_token(&address, "secret", 1).await.ok();
    wait_until("a second attempt", || {
        server.database.queued("tries > 1") == 1
    })
    .await;

    relay.behave(&json!({}));
    wait_until("an empty queue", || server.database.count("outbox") == 0).await;
    assert_eq!(relay.mails_to(&address).len(), 1);
}

#[actix_web::test]
async fn mail_of_an_expired_session_is_not_sent() {
    let (relay, address) = (relay(0), fresh_address("late"));
    relay.behave(&json!({"delay_ms": 2000, "data": "451 4.3.0 not now"}));
    let server = TestServer::start_with_clock(|settings| {
        relay.configure(settings);
        retry_often(settings);
    });
    server.api().request_token(&address, "secret", 1).await.ok();

    server.advance(24 * 60 * 60 * 1000 + 1);
    relay.behave(&json!({}));
    wait_until("an empty queue", || {
        // The next attempt is due one retry delay after the current one.
        server.advance(1000);
        server.database.count("outbox") == 0
    })
    .await;
    assert_eq!(relay.mails_to(&address).len(), 0);
}

/// SEC-25, MSG-08
#[actix_web::test]
async fn stalled_relay_does_not_block_other_requests() {
    let (relay, bound) = (relay(60_000), fresh_address("bound"));
    let server = TestServer::start(|settings| {
        relay.configure(settings);
        retry_often(settings);
        settings.delivery.answer_within = Duration::from_secs(29);
        settings.http.max_requests_per_client = 100;
    });
    let api = server.api();
    let internal = server.internal();
    internal
        .internal_bind("email", &bound, "@bound:example.org")
        .await
        .ok();

    let requests: Vec<_> = (0..50).map(|_| fresh_address("stalled")).collect();
    let open = requests
        .iter()
        .map(|address| Box::pin(api.request_token(address, "secret", 1)));
    let others = async {
        wait_until("50 mails", || server.database.queued("kind = 'mail'") == 50).await;
        for _ in 0..100 {
            let found = api.lookup("email", &bound).await.ok();
            assert_eq!(found["mxid"], "@bound:example.org");
            api.get(V2).await.ok();
        }
    };
    match select(select_all(open), pin!(others)).await {
        Either::Right(((), _all_still_open)) => {}
        Either::Left(((answer, ..), _)) => panic!("the relay did not stall: {answer:?}"),
    }
}

#[actix_web::test]
async fn lost_reply_sends_at_most_three_mails() {
    let (relay, address) = (relay(0), fresh_address("lost"));
    relay.behave(&json!({"lose": true}));
    let server = TestServer::start(|settings| {
        relay.configure(settings);
        retry_often(settings);
        settings.delivery.answer_within = Duration::from_secs(20);
    });
    // The mail may have arrived, so the client must not get an error.
    server.api().request_token(&address, "secret", 1).await.ok();
    wait_until("an empty queue", || server.database.count("outbox") == 0).await;
    assert_eq!(relay.mails_to(&address).len(), 3);
    // The attempt counts.
    server.api().request_token(&address, "secret", 1).await.ok();
    assert_eq!(relay.mails_to(&address).len(), 3);
}

#[actix_web::test]
async fn uncertain_mail_is_acknowledged_to_the_client() {
    let (relay, address) = (relay(0), fresh_address("unsure"));
    relay.behave(&json!({"lose": true}));
    let server = TestServer::start(|settings| {
        relay.configure(settings);
        settings.delivery.answer_within = Duration::from_secs(2);
        settings.delivery.retry_first = Duration::from_secs(20);
    });
    server.api().request_token(&address, "secret", 1).await.ok();
    let acknowledged = "lease_until = 0 AND tries = 1 AND acknowledged";
    assert_eq!(server.database.queued(acknowledged), 1);
    assert_eq!(relay.mails_to(&address).len(), 1);
}

#[actix_web::test]
async fn relay_slower_than_the_timeout_gets_one_mail() {
    let (relay, address) = (relay(3000), fresh_address("scanned"));
    let server = TestServer::start(|settings| {
        relay.configure(settings);
        retry_often(settings);
        settings.email.smtp.timeout = Duration::from_secs(1);
    });
    server.api().request_token(&address, "secret", 1).await.ok();
    wait_until("an empty queue", || server.database.count("outbox") == 0).await;
    assert_eq!(relay.mails_to(&address).len(), 1);
    assert_eq!(relay.recipients().len(), 1);
}
