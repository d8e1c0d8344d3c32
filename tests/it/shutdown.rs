//! The shutdown of the real binary.

use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use serde_json::json;
use sydent::config::Settings;
use tokio::net::TcpStream;

use crate::harness::{
    BlockedActor, Signal, SmtpServer, TestDatabase, TestProcess, TestServer, Tls, fresh_address,
    wait_for, wait_until,
};

/// Waits until a stopping server accepts no more connections.
async fn wait_until_closed(server: &TestProcess) {
    for address in [server.client, server.internal, server.operations] {
        wait_for("a closed listener", async || {
            TcpStream::connect(address).await.err()
        })
        .await;
    }
}

/// Waits until the delivery of a mail to the slow relay has started.
async fn wait_until_delivering(database: &TestDatabase) {
    wait_for("a delivery", async || {
        (database.count("outbox WHERE tries > 0") == 1).then_some(())
    })
    .await;
}

/// OPS-10
#[actix_web::test]
async fn signal_finishes_requests_and_exits_with_0() {
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
            wait_until_delivering(&database).await;
            server.signal(signal);
            wait_until_closed(&server).await;
            assert_eq!(relay.mails_to(&address).len(), 0, "the relay was too fast");
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
async fn second_signal_exits_at_once() {
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
            wait_until_delivering(&database).await;
            server.signal(first);
            wait_until_closed(&server).await;
        };
        tokio::select! {
            answer = &mut request => panic!("the request did not hang: {answer:?}"),
            () = stop => {}
        }
        server.signal(second);
        let status = server.wait();
        assert_eq!(status.code(), Some(130), "{}", server.log());
    }
}

/// OPS-06, OPS-09, OPS-10
#[actix_web::test]
async fn acknowledged_work_survives_a_shutdown() {
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

    // The relay takes a while to answer "later", so the mail is acknowledged;
    // the stop comes before it is delivered.
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
        "a restart does not change the configuration"
    );
    let (mail, api) = (relay.mail_to(&unsent).await, server.api());
    assert_eq!(mail.parameter("sid"), sid["sid"].as_str().unwrap());
    let sid = mail.parameter("sid");
    api.submit_token(&sid, "secret", &mail.token()).await.ok();
    let found = api.lookup("email", &bound).await.ok();
    assert_eq!(found["mxid"], "@alice:example.org");
}

/// OPS-10
#[actix_web::test]
async fn shutdown_timeout_is_respected() {
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
        answer = &mut request => panic!("the request did not hang: {answer:?}"),
        () = wait_until_delivering(&database) => {}
    }
    // The request, its detached work and the delivery all hang.
    server.signal(Signal::TERM);
    let started = Instant::now();
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    let took = started.elapsed();
    assert!(took < Duration::from_secs(6), "{took:?}: {}", server.log());
    let log = server.log();
    assert!(log.contains("still in progress after 3 s"), "{log}");
}

/// OPS-10
#[actix_web::test]
async fn message_leased_during_shutdown_is_released() {
    let relay = SmtpServer::start(Tls::None, "localhost", &[]);
    let server = TestServer::start(|settings| relay.configure(settings));
    let app = &server.app;
    let writers = if server.database.is_postgres() {
        app.config.database.writers
    } else {
        1
    };
    let busy = BlockedActor::new(&app.outbox, writers);
    wait_until("every thread is blocked", || {
        busy.blocked_threads() == writers
    })
    .await;
    let address = fresh_address("taken");
    server.database.queue_mails(std::slice::from_ref(&address));
    // When the stop comes, the worker loop has requested the due mails, and waits
    // behind the operations that block the actor.
    let worker = app.mail_worker.clone().unwrap();
    worker.wake();
    let mut stop = Box::pin(worker.stop(Duration::from_secs(20)));
    assert!((&mut stop).now_or_never().is_none());
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(busy);
    assert!(stop.await, "the stop took too long");
    // It was not tried.
    let free = "tries = 0 AND lease_until = 0 AND lease_owner = ''";
    assert_eq!(server.database.queued(free), 1);
    assert_eq!(relay.mails_to(&address).len(), 0);
}

/// OPS-10
#[actix_web::test]
async fn mail_that_was_not_sent_is_given_back() {
    // It accepts connections, and never greets.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = SmtpServer::start(Tls::None, "localhost", &[]);
    let server = TestServer::start(|settings| {
        relay.configure(settings);
        settings.email.smtp.port = Some(silent.local_addr().unwrap().port());
    });
    let addresses = [(); 3].map(|()| fresh_address("waits"));
    server.database.queue_mails(&addresses);
    server.app.mail_worker.as_ref().unwrap().wake();
    wait_until("deliveries", || server.database.queued("tries = 1") == 3).await;
    let (worker, started) = (server.app.mail_worker.clone().unwrap(), Instant::now());
    assert!(worker.stop(Duration::from_secs(20)).await);
    assert!(started.elapsed() < Duration::from_secs(5));
    let free = "tries = 0 AND lease_until = 0 AND lease_owner = ''";
    assert_eq!(server.database.queued(free), 3);
}

/// OPS-10: a mail that the relay may have is not given back, since it would be sent
/// twice.
#[actix_web::test]
async fn mail_that_was_sent_is_waited_for() {
    let relay = SmtpServer::start(Tls::None, "localhost", &[]);
    relay.behave(&json!({"delay_ms": 2000}));
    let server = TestServer::start(|settings| relay.configure(settings));
    let address = fresh_address("sent");
    server.database.queue_mails(std::slice::from_ref(&address));
    let worker = server.app.mail_worker.clone().unwrap();
    worker.wake();
    wait_until("a message", || relay.messages() == 1).await;
    assert!(worker.stop(Duration::from_secs(20)).await);
    assert_eq!(server.database.count("outbox"), 0);
    assert_eq!(relay.mails_to(&address).len(), 1);
}

#[test]
fn failed_startup_explains_and_exits_with_1() {
    let database = TestDatabase::fresh();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let occupied = other.local_addr().unwrap();
    let output = start_error(&database, |settings| settings.http.listen = vec![occupied]);
    assert!(
        output.contains(&format!("cannot listen on {occupied}: ")),
        "{output}"
    );
    let output = start_error(&database, |settings| {
        settings.operations.listen = vec![occupied];
    });
    assert!(
        output.contains(&format!("cannot listen on {occupied}: ")),
        "{output}"
    );
    let free = "127.0.0.1:40000".parse().unwrap();
    let output = start_error(&database, |settings| {
        settings.http.listen = vec![free];
        settings.internal.listen = vec![free];
    });
    assert!(
        output.contains("internal.listen: conflicts with http.listen"),
        "{output}"
    );
}

fn start_error(database: &TestDatabase, change: impl FnOnce(&mut Settings)) -> String {
    let output = TestProcess::start_failing(database, change);
    assert_eq!(output.code, 1, "{}", output.err);
    output.err
}

/// The variable is set in a process that runs only the next test.
const ALONE: &str = "TEST_ALONE";

/// Threads are counted in a process of its own: others here start and stop threads.
///
/// OPS-10
#[actix_web::test]
async fn stopped_servers_leave_no_threads() {
    if std::env::var_os(ALONE).is_none() {
        let mut alone = Command::new(std::env::current_exe().unwrap());
        alone.args(["--exact", "shutdown::stopped_servers_leave_no_threads"]);
        let output = alone.env(ALONE, "1").output().unwrap();
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{shown}");
        assert!(shown.contains("1 passed"), "{shown}");
        return;
    }
    let threads = || std::fs::read_dir("/proc/self/task").map(Iterator::count);
    if threads().is_err() {
        return;
    }
    drop(TestServer::start(|_settings| {}));
    // With the threads of what all tests share, once those of the server have ended.
    let mut first = usize::MAX;
    for _ in 0..20 {
        first = first.min(threads().unwrap());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for _ in 0..5 {
        drop(TestServer::start(|_settings| {}));
    }
    wait_until("the threads of stopped servers", || {
        threads().unwrap() <= first
    })
    .await;
}
