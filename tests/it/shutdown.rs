//! Stopping, as the real binary does it.

use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use serde_json::json;
use sydent::config::Settings;
use tokio::net::TcpStream;

use crate::harness::{
    BlockedActor, Signal, SmtpServer, TestDatabase, TestProcess, TestServer, Tls, fresh_address,
    wait_for, wait_until,
};

/// Waits until a stopping server takes no more connections.
async fn takes_nothing_more(server: &TestProcess) {
    for address in [server.client, server.internal, server.operations] {
        wait_for("a closed listener", async || {
            TcpStream::connect(address).await.err()
        })
        .await;
    }
}

/// Waits until the relay has a mail in its hands, which it takes slowly.
async fn is_being_delivered(database: &TestDatabase) {
    wait_for("a delivery", async || {
        (database.count("outbox WHERE tries > 0") == 1).then_some(())
    })
    .await;
}

#[actix_web::test]
async fn ops_10_a_signal_lets_running_requests_finish_and_ends_with_code_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let (relay, database) = (
            SmtpServer::start(Tls::None, "localhost", &[]),
            TestDatabase::fresh(),
        );
        relay.behave(&json!({"delay_ms": 3000}));
        let mut server = TestProcess::start(&database, |settings| {
            relay.configure(settings);
            settings.delivery.answer_within = Duration::from_secs(20);
        });
        let (api, address) = (server.api(), fresh_address("shutdown"));
        let stop = async {
            is_being_delivered(&database).await;
            server.signal(signal);
            takes_nothing_more(&server).await;
            assert_eq!(relay.mails_to(&address).len(), 0, "it was too fast");
        };
        let (answer, ()) = tokio::join!(api.request_token(&address, "secret", 1), stop);
        let sid = answer.ok()["sid"].as_str().unwrap().to_owned();
        let mails = relay.mails_to(&address);
        assert_eq!(mails.len(), 1);
        assert_eq!(mails[0].parameter("sid"), sid);
        assert_eq!(server.wait().code(), Some(0), "{}", server.log());
        let log = server.log();
        assert!(
            log.contains("shutdown complete: all in-flight work finished"),
            "{log}"
        );
        assert_eq!(database.count("outbox"), 0);
    }
}

#[actix_web::test]
async fn a_second_signal_ends_at_once() {
    for (first, second) in [
        (Signal::TERM, Signal::TERM),
        (Signal::INT, Signal::INT),
        (Signal::TERM, Signal::INT),
    ] {
        let (relay, database) = (
            SmtpServer::start(Tls::None, "localhost", &[]),
            TestDatabase::fresh(),
        );
        relay.behave(&json!({"delay_ms": 600_000}));
        let mut server = TestProcess::start(&database, |settings| {
            relay.configure(settings);
            settings.delivery.answer_within = Duration::from_mins(1);
            settings.http.request_timeout = Duration::from_mins(5);
            settings.http.shutdown_timeout = Duration::from_mins(5);
        });
        let (api, address) = (server.api(), fresh_address("shutdown"));
        let mut request = Box::pin(api.request_token(&address, "secret", 1));
        let stop = async {
            is_being_delivered(&database).await;
            server.signal(first);
            takes_nothing_more(&server).await;
        };
        tokio::select! {
            answer = &mut request => panic!("nothing holds it: {answer:?}"),
            () = stop => {}
        }
        server.signal(second);
        let status = server.wait();
        assert_eq!(status.code(), Some(130), "{}", server.log());
    }
}

#[actix_web::test]
async fn ops_06_ops_09_ops_10_what_was_acknowledged_survives_a_stop() {
    let (relay, database) = (
        SmtpServer::start(Tls::None, "localhost", &[]),
        TestDatabase::fresh(),
    );
    let mut server = TestProcess::start(&database, |settings| {
        relay.configure(settings);
        settings.delivery.answer_within = Duration::from_millis(100);
        settings.delivery.retry_first = Duration::from_secs(1);
        settings.delivery.retry_max = Duration::from_secs(1);
    });
    let configuration = server.configuration();
    let (api, bound) = (server.api(), fresh_address("bound"));
    let internal = server.internal();
    internal
        .internal_bind("email", &bound, "@alice:example.org")
        .await
        .ok();

    // The relay takes its time to say "later", so the client is told that the
    // mail is on its way; the stop comes before it is.
    relay.behave(&json!({"delay_ms": 1000, "data": "451 4.3.0 later"}));
    let unsent = fresh_address("unsent");
    let sid = api.request_token(&unsent, "secret", 1).await.ok();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    assert_eq!(relay.mails_to(&unsent).len(), 0);
    assert_eq!(database.queued("kind = 'mail'"), 1);

    relay.behave(&json!({}));
    let server = server.restart();
    assert_eq!(
        server.configuration(),
        configuration,
        "it is for people to change"
    );
    let (mail, api) = (relay.mail_to(&unsent).await, server.api());
    assert_eq!(mail.parameter("sid"), sid["sid"].as_str().unwrap());
    let sid = mail.parameter("sid");
    api.submit_token(&sid, "secret", &mail.token()).await.ok();
    let found = api.lookup("email", &bound).await.ok();
    assert_eq!(found["mxid"], "@alice:example.org");
}

#[actix_web::test]
async fn ops_10_a_stop_waits_no_longer_than_it_was_told_however_much_hangs() {
    let (relay, database) = (
        SmtpServer::start(Tls::None, "localhost", &[]),
        TestDatabase::fresh(),
    );
    relay.behave(&json!({"delay_ms": 600_000}));
    let mut server = TestProcess::start(&database, |settings| {
        relay.configure(settings);
        settings.delivery.answer_within = Duration::from_mins(1);
        settings.http.request_timeout = Duration::from_mins(5);
        settings.http.shutdown_timeout = Duration::from_secs(3);
    });
    let (api, address) = (server.api(), fresh_address("hangs"));
    let mut request = Box::pin(api.request_token(&address, "secret", 1));
    tokio::select! {
        answer = &mut request => panic!("nothing holds it: {answer:?}"),
        () = is_being_delivered(&database) => {}
    }
    // The request, what it began and its delivery hang: three waits in one.
    server.signal(Signal::TERM);
    let begun = Instant::now();
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(6), "{took:?}: {}", server.log());
    let log = server.log();
    assert!(log.contains("still in progress after 3 s"), "{log}");
}

#[actix_web::test]
async fn ops_10_what_is_taken_while_the_stop_comes_is_put_back() {
    let relay = SmtpServer::start(Tls::None, "localhost", &[]);
    let server = TestServer::start(|settings| relay.configure(settings));
    let app = &server.app;
    let writers = app.config.database.writers;
    let busy = BlockedActor::new(&app.outbox, writers);
    wait_until("every thread is held", || busy.blocked_threads() == writers).await;
    let address = fresh_address("taken");
    server.database.queue_mails(std::slice::from_ref(&address));
    // The dispatcher asks for what is due, and waits for its answer behind what
    // keeps the owner busy, when the stop comes.
    let worker = app.mail_worker.clone().unwrap();
    worker.wake();
    let mut stop = Box::pin(worker.stop(Duration::from_secs(20)));
    assert!((&mut stop).now_or_never().is_none());
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(busy);
    assert!(stop.await, "it took too long");
    let free = "tries = 1 AND lease_until = 0 AND lease_owner = ''";
    assert_eq!(server.database.queued(free), 1);
    assert_eq!(relay.mails_to(&address).len(), 0);
}

#[test]
fn a_start_that_fails_says_why_and_ends_with_code_1() {
    let database = TestDatabase::fresh();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap();
    let told = refused(&database, |settings| settings.http.listen = vec![taken]);
    assert!(
        told.contains(&format!("cannot listen on {taken}: ")),
        "{told}"
    );
    let told = refused(&database, |settings| {
        settings.operations.listen = vec![taken];
    });
    assert!(
        told.contains(&format!("cannot listen on {taken}: ")),
        "{told}"
    );
    let free = "127.0.0.1:40000".parse().unwrap();
    let told = refused(&database, |settings| {
        settings.http.listen = vec![free];
        settings.internal.listen = vec![free];
    });
    assert!(
        told.contains("internal.listen: must not have 127.0.0.1:40000"),
        "{told}"
    );
}

fn refused(database: &TestDatabase, change: impl FnOnce(&mut Settings)) -> String {
    let told = TestProcess::start_failing(database, change);
    assert_eq!(told.code, 1, "{}", told.err);
    told.err
}
