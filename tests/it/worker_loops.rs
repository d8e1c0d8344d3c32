//! Several instances on one database deliver each mail once.

use std::time::Duration;

use serde_json::json;
use sydent::config::Settings;

use crate::harness::{SmtpServer, TestDatabase, TestServer, Tls, fresh_address, wait_until};

/// How long a new mail is reserved for the instance whose client waits, ms:
/// `answer_within` and a grace period.
const AFFINITY_MS: i64 = 500 + 2000;
/// The lease of an instance on a mail, ms.
const LEASE_MS: i64 = 15 * 60_000;

fn relay() -> SmtpServer {
    SmtpServer::start(Tls::None, "localhost", &[])
}

fn poll_often(settings: &mut Settings) {
    settings.delivery.answer_within = Duration::from_millis(500);
    settings.delivery.lease = Duration::from_mins(15);
    settings.delivery.poll_every = Duration::from_millis(20);
    settings.http.shutdown_timeout = Duration::from_secs(1);
}

/// An instance whose delivery of one mail hangs.
fn start_with_stuck_delivery(relay: &SmtpServer) -> TestServer {
    relay.behave(&json!({"delay_ms": 60_000}));
    TestServer::start_with_clock(|settings| {
        relay.configure(settings);
        poll_often(settings);
        settings.email.concurrency = 1;
    })
}

/// A second instance on the database of the first.
fn start_second(first: &TestServer, relay: &SmtpServer) -> TestServer {
    let database = TestDatabase::existing(&first.database.url);
    TestServer::start_with_clock_on(database, |settings| {
        relay.configure(settings);
        poll_often(settings);
    })
}

/// Waits until a server has taken everything that it may take: it has then sent a
/// mail that any instance may take.
async fn wait_until_polled(server: &TestServer, relay: &SmtpServer) {
    let mark = fresh_address("mark");
    server.database.queue_mails(std::slice::from_ref(&mark));
    relay.mail_to(&mark).await;
}

async fn wait_until_queue_empty(server: &TestServer) {
    wait_until("an empty queue", || server.database.count("outbox") == 0).await;
}

#[actix_web::test]
async fn mails_of_two_instances_arrive_once_each() {
    let relay = relay();
    relay.behave(&json!({"delay_ms": 3000}));
    let first = TestServer::start_with_clock(|settings| {
        relay.configure(settings);
        poll_often(settings);
    });
    let _second = start_second(&first, &relay);
    let addresses: Vec<_> = (0..300).map(|_| fresh_address("many")).collect();
    first.database.queue_mails(&addresses);

    let owners = "(SELECT DISTINCT lease_owner FROM outbox WHERE tries > 0) AS owners";
    wait_until("both are delivering", || first.database.count(owners) == 2).await;
    relay.behave(&json!({}));
    wait_until_queue_empty(&first).await;
    let mut arrived = relay.recipients();
    arrived.sort();
    let mut expected = addresses;
    expected.sort();
    assert_eq!(arrived, expected);
}

#[actix_web::test]
async fn expired_lease_is_taken_over() {
    let (stalled, working) = (relay(), relay());
    let mut first = start_with_stuck_delivery(&stalled);
    let second = start_second(&first, &working);
    let address = fresh_address("leased");
    first.api().request_token(&address, "secret", 1).await.ok();
    wait_until("a lease", || first.database.queued("lease_until > 0") == 1).await;

    second.advance(LEASE_MS);
    wait_until_polled(&second, &working).await;
    assert_eq!(working.mails_to(&address).len(), 0);

    second.advance(1);
    working.mail_to(&address).await;
    wait_until_queue_empty(&second).await;
    // The delivery of the first instance fails now, but it has lost the lease.
    drop(stalled);
    first.stop();
    assert_eq!(second.database.count("outbox"), 0);
    assert_eq!(working.mails_to(&address).len(), 1);
}

#[actix_web::test]
async fn fresh_mail_waits_for_its_affinity_instance() {
    let (stalled, working) = (relay(), relay());
    let first = start_with_stuck_delivery(&stalled);
    let second = start_second(&first, &working);
    // The first mail is in progress, and the other one waits for its end.
    let (held, waiting) = (fresh_address("held"), fresh_address("waiting"));
    first.api().request_token(&held, "secret", 1).await.ok();
    first.api().request_token(&waiting, "secret", 1).await.ok();
    assert_eq!(first.database.queued("tries = 0"), 1);

    second.advance(AFFINITY_MS);
    wait_until_polled(&second, &working).await;
    assert_eq!(working.mails_to(&waiting).len(), 0);

    second.advance(1);
    working.mail_to(&waiting).await;
    assert_eq!(working.mails_to(&held).len(), 0);
}

#[actix_web::test]
async fn renewed_lease_keeps_a_slow_delivery() {
    let slow = relay();
    slow.behave(&json!({"delay_ms": 14_000}));
    let start = |database: TestDatabase| {
        TestServer::start_on(database, |settings| {
            slow.configure(settings);
            settings.delivery.lease = Duration::from_secs(10);
            settings.delivery.answer_within = Duration::from_millis(100);
        })
    };
    let first = start(TestDatabase::fresh());
    let mut second = start(TestDatabase::existing(&first.database.url));
    let address = fresh_address("slow");
    first.api().request_token(&address, "secret", 1).await.ok();
    wait_until_queue_empty(&first).await;
    // A stop waits for deliveries in progress, so a second mail would be seen.
    second.stop();
    assert_eq!(slow.mails_to(&address).len(), 1);
}
