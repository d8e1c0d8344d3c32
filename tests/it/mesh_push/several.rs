//! Several peers, and several instances on one database.

use std::collections::HashMap;

use super::{bind, peer, push_to, received_changes};
use crate::harness::{Behaviour, PUSH, TestDatabase, TestServer, fresh_address, wait_until};

/// INT-03
#[actix_web::test]
async fn silent_peer_does_not_delay_others() {
    let (silent, working) = (peer("silent.test"), peer("well.test"));
    silent.behave(PUSH, Behaviour::Silent);
    let server = TestServer::start(|settings| {
        push_to(&silent, settings);
        push_to(&working, settings);
    });
    let internal = server.internal();
    bind(&internal, &fresh_address("one"), "@a:example.org").await;
    wait_until("the silent peer", || !silent.requests_to(PUSH).is_empty()).await;
    for count in 2..5 {
        bind(&internal, &fresh_address("more"), "@a:example.org").await;
        wait_until("the other peer", || {
            received_changes(&working).len() == count
        })
        .await;
    }
    assert_eq!(silent.requests_to(PUSH).len(), 1);
}

/// INT-03
#[actix_web::test]
async fn instances_push_each_change_once() {
    let peer = peer("peer.test");
    let first = TestServer::start(|settings| push_to(&peer, settings));
    let database = TestDatabase::existing(&first.database.url);
    let second = TestServer::start_on(database, |settings| push_to(&peer, settings));
    let (one, other) = (first.internal(), second.internal());
    for _ in 0..30 {
        bind(&one, &fresh_address("one"), "@a:example.org").await;
        bind(&other, &fresh_address("other"), "@a:example.org").await;
    }
    wait_until("all changes", || received_changes(&peer).len() >= 60).await;
    let mut times: HashMap<i64, u32> = HashMap::new();
    for (id, _) in received_changes(&peer) {
        *times.entry(id).or_default() += 1;
    }
    assert_eq!(times.len(), 60);
    assert!(times.values().all(|count| *count == 1), "{times:?}");
}
