//! A server that is about to stop behind a load balancer.

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::web::block;
use futures_util::future::join;
use serde_json::json;

use crate::harness::{
    Api, Backend, Balancer, Signal, TestDatabase, TestProcess, fresh_address, wait_for, wait_until,
};

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

/// Looks up and binds until it shall stop, on connections that are kept; returns how often.
async fn requests(api: &Api, internal: &Api, stop: &Cell<bool>) -> usize {
    let mut count = 0;
    while !stop.get() {
        let address = fresh_address("drain");
        let bound = internal.internal_bind("email", &address, "@a:example.org");
        bound.await.ok();
        let found = api.lookup("email", &address).await.ok();
        assert_eq!(found["mxid"], "@a:example.org");
        count += 1;
    }
    count
}

fn backend(instance: &TestProcess, of: fn(&TestProcess) -> SocketAddr) -> Backend {
    Backend {
        address: of(instance),
        operations: instance.operations,
    }
}

/// The delay is longer than the balancers need to notice.
///
/// OPS-10
#[actix_web::test]
async fn restarts_in_turn_lose_no_request() {
    const DELAY: Duration = Duration::from_secs(5);
    let database = TestDatabase::fresh();
    if !database.is_postgres() {
        return;
    }
    let instances = [0; 2].map(|_| start(&database.url, DELAY));
    let balance = |of: fn(&TestProcess) -> SocketAddr| {
        Balancer::start(instances.iter().map(|instance| backend(instance, of)))
    };
    let (client, internal) = (balance(|one| one.client), balance(|one| one.internal));
    let use_it = async |instance: &TestProcess| {
        wait_until("the balancers to use an instance", || {
            client.uses(instance.client) && internal.uses(instance.internal)
        })
        .await;
    };
    for instance in &instances {
        use_it(instance).await;
    }
    let front = |balancer: &Balancer| Api::new(format!("http://{}", balancer.address));
    let (api, admin) = (front(&client), front(&internal));
    let stop = Cell::new(false);
    let mut restarted = Vec::new();
    let restarts = async {
        for mut instance in instances {
            instance.signal(Signal::TERM);
            let addresses = (instance.client, instance.internal);
            block(move || assert!(instance.wait().success()))
                .await
                .unwrap();
            client.remove(addresses.0);
            internal.remove(addresses.1);
            let url = database.url.clone();
            let next = block(move || start(&url, DELAY)).await.unwrap();
            client.add(backend(&next, |one| one.client));
            internal.add(backend(&next, |one| one.internal));
            use_it(&next).await;
            restarted.push(next);
        }
        stop.set(true);
    };
    let (count, ()) = join(requests(&api, &admin, &stop), restarts).await;
    assert!(count > 10, "{count}");
}
