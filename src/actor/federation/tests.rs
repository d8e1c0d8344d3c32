use std::collections::BTreeMap;

use tokio::sync::oneshot;

use super::*;
use crate::config;
use crate::domain::homeservers::HomeserverLists;

/// A question that no homeserver should be able to provoke.
struct Panic;

impl Request for Panic {
    type Output = ();

    async fn run(self, _client: &Client) {
        panic!("a test wants it");
    }
}

/// A request that is answered without a call.
struct Nothing;

impl Request for Nothing {
    type Output = ();

    async fn run(self, _client: &Client) {}
}

/// A request that is answered when the test says so.
struct Slow(oneshot::Receiver<()>);

impl Request for Slow {
    type Output = ();

    async fn run(self, _client: &Client) {
        self.0.await.unwrap();
    }
}

fn client() -> Client {
    let settings = config::Federation {
        allow_ranges: Vec::new(),
        block_ranges: Vec::new(),
        extra_authorities: Vec::new(),
        verify_certificates: true,
        proxy: None,
        timeout: Duration::from_secs(1),
        concurrency: 1,
        dns_servers: vec!["127.0.0.1:9".parse().unwrap()],
        homeservers: HomeserverLists::default(),
        hosts: BTreeMap::new(),
    };
    Client::open(&settings).unwrap()
}

/// OPS-10
#[actix_web::test]
async fn drain_answers_first_and_then_ends_the_thread() {
    let handle = FederationHandle::start(client(), 1, Clock::system(), Arc::default());
    let server = ServerName::parse("hs.example").unwrap();
    let permit = handle.permit(&handle.user_info_limit, &server, None);
    let (finish, finished) = oneshot::channel();
    let slow = handle.send(Slow(finished), permit.unwrap());
    let draining = async {
        assert!(!handle.drain(Duration::from_millis(50)).await, "it runs");
        assert!(handle.arbiter.alive());
        finish.send(()).unwrap();
        assert!(handle.drain(Duration::from_secs(20)).await);
    };
    let (answer, ()) = tokio::join!(slow, draining);
    assert!(answer.is_ok());
    let ended = async {
        while handle.arbiter.alive() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(20), ended).await;
    assert!(ended.is_ok(), "the thread goes on");
}

#[actix_web::test]
async fn panic_fails_the_call_and_not_the_actor() {
    let metrics: Arc<Metrics> = Arc::default();
    let handle = FederationHandle::start(client(), 1, Clock::system(), Arc::clone(&metrics));
    let server = ServerName::parse("hs.example").unwrap();
    let permit = || {
        handle
            .permit(&handle.user_info_limit, &server, None)
            .unwrap()
    };
    for _ in 0..3 {
        let panicked = handle.send(Panic, permit()).await;
        assert!(
            matches!(panicked, Err(Fault::Panicked(NAME))),
            "{panicked:?}"
        );
        assert!(
            handle.send(Nothing, permit()).await.is_ok(),
            "its place is free again"
        );
    }
    assert!(handle.is_running());
    let counted = format!("sydent_actor_panics_total{{actor=\"{NAME}\"}} 3");
    assert!(metrics.render().unwrap().contains(&counted));
}
