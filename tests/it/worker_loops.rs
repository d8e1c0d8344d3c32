//! Several instances on one database deliver each mail once.

use std::time::Duration;

use serde_json::json;
use sydent::config::Settings;

use crate::harness::{SmtpServer, TestDatabase, TestServer, Tls, fresh_address, wait_until};

/// How long an instance whose client waits has a fresh mail to itself, ms:
/// `answer_within` and a grace.
const HOME_MS: i64 = 500 + 2000;
/// How long an instance has a mail that it took to itself, ms.
const LEASE_MS: i64 = 15 * 60_000;

fn relay() -> SmtpServer {
    SmtpServer::start(Tls::None, "localhost", &[])
}

fn quick(settings: &mut Settings) {
    settings.delivery.answer_within = Duration::from_millis(500);
    settings.delivery.lease = Duration::from_mins(15);
    settings.delivery.poll_every = Duration::from_millis(20);
    settings.http.shutdown_timeout = Duration::from_secs(1);
}

/// An instance that takes one mail and does not get rid of it.
fn stuck_at(relay: &SmtpServer) -> TestServer {
    relay.behave(&json!({"delay_ms": 60_000}));
    TestServer::start_with_clock(|settings| {
        relay.configure(settings);
        quick(settings);
        settings.email.concurrency = 1;
    })
}

/// A second instance on the database of the first.
fn beside(first: &TestServer, relay: &SmtpServer) -> TestServer {
    let database = TestDatabase::existing(&first.database.url);
    TestServer::start_with_clock_on(database, |settings| {
        relay.configure(settings);
        quick(settings);
    })
}

/// Waits until a server has looked for everything that it may take: a mail
/// that anybody may take is gone then.
async fn looked(server: &TestServer, relay: &SmtpServer) {
    let mark = fresh_address("mark");
    server.database.queue_mails(std::slice::from_ref(&mark));
    relay.mail_to(&mark).await;
}

async fn wait_until_queue_empty(server: &TestServer) {
    wait_until("an empty queue", || server.database.count("outbox") == 0).await;
}

#[actix_web::test]
async fn hundreds_of_mails_arrive_once_each_from_two_instances() {
    let relay = relay();
    relay.behave(&json!({"delay_ms": 3000}));
    let first = TestServer::start_with_clock(|settings| {
        relay.configure(settings);
        quick(settings);
    });
    let _second = beside(&first, &relay);
    let addresses: Vec<_> = (0..300).map(|_| fresh_address("many")).collect();
    first.database.queue_mails(&addresses);

    let owners = "(SELECT DISTINCT lease_owner FROM outbox WHERE tries > 0) AS owners";
    wait_until("both at work", || first.database.count(owners) == 2).await;
    relay.behave(&json!({}));
    wait_until_queue_empty(&first).await;
    let mut arrived = relay.recipients();
    arrived.sort();
    let mut expected = addresses;
    expected.sort();
    assert_eq!(arrived, expected);
}

#[actix_web::test]
async fn a_lease_that_runs_out_is_taken_over() {
    let (stalled, sound) = (relay(), relay());
    let mut first = stuck_at(&stalled);
    let second = beside(&first, &sound);
    let address = fresh_address("leased");
    first.api().request_token(&address, "secret", 1).await.ok();
    wait_until("a lease", || first.database.queued("lease_until > 0") == 1).await;

    second.advance(LEASE_MS);
    looked(&second, &sound).await;
    assert_eq!(sound.mails_to(&address).len(), 0);

    second.advance(1);
    sound.mail_to(&address).await;
    wait_until_queue_empty(&second).await;
    // The first instance fails now; what it did not send is not its any more.
    drop(stalled);
    first.stop();
    assert_eq!(second.database.count("outbox"), 0);
    assert_eq!(sound.mails_to(&address).len(), 1);
}

#[actix_web::test]
async fn a_fresh_mail_is_left_to_the_instance_whose_client_waits() {
    let (stalled, sound) = (relay(), relay());
    let first = stuck_at(&stalled);
    let second = beside(&first, &sound);
    // The first mail is under way, and the other one waits for its end.
    let (held, waiting) = (fresh_address("held"), fresh_address("waiting"));
    first.api().request_token(&held, "secret", 1).await.ok();
    first.api().request_token(&waiting, "secret", 1).await.ok();
    assert_eq!(first.database.queued("tries = 0"), 1);

    second.advance(HOME_MS);
    looked(&second, &sound).await;
    assert_eq!(sound.mails_to(&waiting).len(), 0);

    second.advance(1);
    sound.mail_to(&waiting).await;
    assert_eq!(sound.mails_to(&held).len(), 0);
}

#[actix_web::test]
async fn a_delivery_that_outlasts_its_lease_stays_with_its_instance() {
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
    // A stop waits for what is under way, so that a second mail would show.
    second.stop();
    assert_eq!(slow.mails_to(&address).len(), 1);
}
