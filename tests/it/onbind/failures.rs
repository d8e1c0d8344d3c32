//! Homeservers that fail or refuse, and bindings that end before the delivery.

use std::time::Duration;

use serde_json::json;

use super::{configure, invite, notifications, start, wait_until_queue_empty};
use crate::harness::{
    Behaviour, Homeserver, ONBIND, TestDatabase, TestProcess, fresh_address, wait_until,
};

/// ONB-10, ONB-13, BND-13
#[actix_web::test]
async fn failed_onbind_is_retried_in_the_background() {
    let hs = Homeserver::start();
    for behaviour in [
        Behaviour::json(500, &json!({})),
        Behaviour::json(429, &json!({})),
        Behaviour::json(404, &json!({})),
        Behaviour::HangUp,
        Behaviour::Silent,
    ] {
        let server = start(&hs, |settings| {
            settings.federation.timeout = Duration::from_secs(1);
        });
        let before = hs.requests_to(ONBIND).len();
        let address = fresh_address("fails");
        invite(&server.api(), &address, "@bob:example.org").await;
        hs.behave(ONBIND, behaviour.clone());
        let (internal, mxid) = (server.internal(), hs.user("alice"));
        internal.internal_bind("email", &address, &mxid).await.ok();
        wait_until("some attempts", || {
            hs.requests_to(ONBIND).len() > before + 2
        })
        .await;
        assert_eq!(server.database.count("invites"), 1, "{behaviour:?}");
        assert_eq!(server.database.count("outbox"), 1);
        hs.behave_normally(ONBIND);
        wait_until_queue_empty(&server).await;
        let notification = hs.requests_to(ONBIND).pop().unwrap().json();
        assert_eq!(notification["invites"].as_array().unwrap().len(), 1);
        assert_eq!(server.database.count("invites"), 0);
    }
}

/// ONB-11
#[actix_web::test]
async fn refusal_is_final_and_invites_stay_pending() {
    let hs = Homeserver::start();
    let server = start(&hs, |_| {});
    let address = fresh_address("refused");
    for sender in ["@bob:example.org", "@eve:example.org"] {
        invite(&server.api(), &address, sender).await;
    }
    hs.behave(
        ONBIND,
        Behaviour::json(403, &json!({"errcode": "M_FORBIDDEN"})),
    );
    let (internal, mxid) = (server.internal(), hs.user("alice"));
    internal.internal_bind("email", &address, &mxid).await.ok();
    wait_until_queue_empty(&server).await;
    let counts: Vec<usize> = hs
        .requests_to(ONBIND)
        .iter()
        .map(|request| request.json()["invites"].as_array().unwrap().len())
        .collect();
    assert_eq!(
        counts,
        [2, 1, 1, 0],
        "all invites, then each alone, then none"
    );
    assert_eq!(
        server.database.count("invites WHERE delivered_at IS NULL"),
        2
    );
    let metrics = server.operations().get("/metrics").await.text();
    assert!(metrics.contains("deliveries_total{kind=\"onbind\",outcome=\"refused\"} 1"));
    hs.behave_normally(ONBIND);
    internal.internal_bind("email", &address, &mxid).await.ok();
    let notification = notifications(&hs, 5).await.pop().unwrap();
    assert_eq!(notification["invites"].as_array().unwrap().len(), 2);
}

/// ONB-10
#[actix_web::test]
async fn onbind_is_given_up_after_the_timeout() {
    let hs = Homeserver::start();
    hs.behave(ONBIND, Behaviour::json(500, &json!({})));
    let server = crate::harness::TestServer::start_with_clock(|settings| {
        configure(&hs, settings);
        settings.delivery.onbind_give_up = Duration::from_mins(1);
    });
    let (internal, mxid) = (server.internal(), hs.user("alice"));
    let address = fresh_address("late");
    internal.internal_bind("email", &address, &mxid).await.ok();
    // The clock stands still, so the next try must not be dated after the step.
    wait_until("a failed attempt", || {
        server.database.queued("tries = 1 AND lease_until = 0") == 1
    })
    .await;
    server.advance(61_000);
    wait_until_queue_empty(&server).await;
    let found = server.api().lookup("email", &address).await.ok();
    assert_eq!(found["mxid"], mxid, "the binding stays");
}

/// ONB-14
#[actix_web::test]
async fn onbind_of_a_removed_binding_is_dropped() {
    let hs = Homeserver::start();
    let server = start(&hs, |_| {});
    let (internal, address) = (server.internal(), fresh_address("ended"));
    invite(&server.api(), &address, "@bob:example.org").await;
    hs.behave(ONBIND, Behaviour::json(500, &json!({})));
    let [alice, carol] = ["alice", "carol"].map(|user| hs.user(user));
    internal.internal_bind("email", &address, &alice).await.ok();
    wait_until("an attempt", || !hs.requests_to(ONBIND).is_empty()).await;
    internal
        .internal_unbind("email", &address, &alice)
        .await
        .ok();
    wait_until_queue_empty(&server).await;
    assert_eq!(
        server.database.count("invites WHERE delivered_at IS NULL"),
        1
    );

    internal.internal_bind("email", &address, &alice).await.ok();
    internal.internal_bind("email", &address, &carol).await.ok();
    wait_until("one notification", || server.database.count("outbox") == 1).await;
    let before = hs.requests_to(ONBIND).len();
    hs.behave_normally(ONBIND);
    wait_until_queue_empty(&server).await;
    for request in &hs.requests_to(ONBIND)[before..] {
        assert_eq!(request.json()["mxid"], carol);
    }
    assert_eq!(server.database.count("invites"), 0);
}

/// ONB-15
#[actix_web::test]
async fn denied_homeserver_receives_no_onbind() {
    let hs = Homeserver::start();
    let server = start(&hs, |settings| {
        settings.federation.deny_homeservers = vec![hs.name.to_string().parse().unwrap()];
    });
    let (internal, address) = (server.internal(), fresh_address("denied"));
    invite(&server.api(), &address, "@bob:example.org").await;
    let mxid = hs.user("alice");
    internal.internal_bind("email", &address, &mxid).await.ok();
    wait_until_queue_empty(&server).await;
    assert!(hs.requests().is_empty());
    assert_eq!(server.database.count("invites"), 1);
}

/// ONB-12
#[actix_web::test]
async fn invalid_stored_onbind_is_dropped() {
    let hs = Homeserver::start();
    let server = start(&hs, |_| {});
    for (id, payload) in [
        ("a", "{}"),
        (
            "b",
            "{\"medium\":\"email\",\"address\":\"a@b.example\",\"mxid\":\"nobody\"}",
        ),
    ] {
        server.database.execute(&format!(
            "INSERT INTO outbox (id, kind, payload, subject, send_attempt, limits, tries, created_at, \
             due_at, answer_until, expires_at, affinity_instance, lease_owner, lease_until) VALUES \
             ('{id}', 'onbind', '{payload}', '', 0, '[]', 0, 0, 0, 0, {}, '', '', 0)",
            i64::MAX
        ));
    }
    wait_until_queue_empty(&server).await;
    assert!(hs.requests_to(ONBIND).is_empty());
}

/// ONB-10, OPS-06
#[actix_web::test]
async fn crash_after_bind_loses_no_onbind() {
    let hs = Homeserver::start();
    hs.behave(ONBIND, Behaviour::Silent);
    let (database, address) = (TestDatabase::fresh(), fresh_address("crash"));
    let mut process = TestProcess::start(&database, |settings| {
        configure(&hs, settings);
        settings.delivery.lease = Duration::from_secs(10);
    });
    let room = invite(&process.api(), &address, "@bob:example.org").await;
    let (internal, mxid) = (process.internal(), hs.user("alice"));
    internal.internal_bind("email", &address, &mxid).await.ok();
    wait_until("an attempt", || !hs.requests_to(ONBIND).is_empty()).await;
    process.kill();
    hs.behave_normally(ONBIND);
    let process = process.restart();
    wait_until("an empty queue", || database.count("outbox") == 0).await;
    let notification = hs.requests_to(ONBIND).pop().unwrap().json();
    super::expect_valid_invite(&process.api(), &room, &notification["invites"][0]).await;
    assert_eq!(database.count("invites"), 0);
    let log = process.log();
    assert!(!log.contains(&address) && !log.contains(room["token"].as_str().unwrap()));
}

/// ONB-08
#[actix_web::test]
async fn newer_binding_replaces_the_pending_onbind() {
    let hs = Homeserver::start();
    hs.behave(ONBIND, Behaviour::json(500, &json!({})));
    let server = start(&hs, |settings| {
        settings.delivery.retry_first = Duration::from_mins(10);
        settings.delivery.retry_max = Duration::from_mins(10);
    });
    let (internal, mxid) = (server.internal(), hs.user("alice"));
    let (address, other) = (fresh_address("twice"), fresh_address("other"));
    for (bound, tries) in [(&address, 1), (&other, 2), (&address, 3)] {
        internal.internal_bind("email", bound, &mxid).await.ok();
        wait_until("an attempt", || hs.requests_to(ONBIND).len() == tries).await;
        wait_until("the end of the attempt", || {
            server.database.queued("lease_until > 0") == 0
        })
        .await;
    }
    assert_eq!(
        server.database.count("outbox"),
        2,
        "one notification for each address"
    );
}
