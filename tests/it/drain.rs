//! A server that is about to stop behind a load balancer.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Signal, TestDatabase, TestProcess, wait_for};

fn start(url: &str, delay: Duration) -> TestProcess {
    let database = TestDatabase::existing(url);
    TestProcess::start(&database, |settings| settings.http.shutdown_delay = delay)
}

/// OPS-10
#[actix_web::test]
async fn server_serves_on_while_it_is_not_ready() {
    let database = TestDatabase::fresh();
    let mut server = start(&database.url, Duration::from_mins(5));
    let (old, operations) = (server.api(), server.operations());
    let ready = operations.get("/ready").await;
    assert_eq!(ready.header("connection"), None);
    assert!(ready.ok().get("shutting_down").is_none());
    old.get("/_matrix/identity/versions").await.ok();

    server.signal(Signal::TERM);
    let refused = wait_for("a server that is not ready", async || {
        let ready = operations.get("/ready").await;
        (ready.status == 503).then_some(ready)
    });
    let body: serde_json::Value = serde_json::from_slice(&refused.await.body).unwrap();
    assert_eq!(body["shutting_down"], json!(true));
    assert_eq!(body["database"], json!("ok"));
    for api in [old, server.api()] {
        let answer = api.get("/_matrix/identity/versions").await;
        assert_eq!(answer.header("connection"), Some("close"));
        answer.ok();
    }
    let log = server.log();
    assert!(
        log.contains("shutting down in 300s: load balancers"),
        "{log}"
    );

    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(130), "a second signal ends it");
}

/// OPS-10
#[actix_web::test]
async fn shutdown_follows_the_delay() {
    let database = TestDatabase::fresh();
    let mut server = start(&database.url, Duration::from_millis(500));
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    let log = server.log();
    let delay = log.find("shutting down in 500ms").expect(&log);
    let stop = log.find("no new requests are accepted").expect(&log);
    assert!(delay < stop, "{log}");
}
