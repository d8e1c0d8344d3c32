//! Which pushed changes are applied, and which change nothing.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use sydent::actor::rotation::RotatePepper;
use sydent::domain::lookup::Pepper;

use super::{mxid_of, push_accepted, start, start_with};
use crate::harness::{PUSH, Peer, TestServer, listen_to_peers, push_head};

const A: &str = "a@example.com";
const B: &str = "b@example.com";
const ALICE: &str = "@alice:example.org";
const BOB: &str = "@bob:example.org";

/// INT-03, INT-04, IDN-01
#[actix_web::test]
async fn received_binding_is_hashed_with_own_pepper() {
    let (server, peer) = start();
    let before = server.now();
    let bound = peer.bound("Straße@Example.com", ALICE, before);
    push_accepted(&server, &peer, json!({ "7": bound })).await;
    for address in ["strasse@example.com", "STRASSE@example.com"] {
        assert_eq!(
            mxid_of(&server, &address.to_lowercase()).await.as_deref(),
            Some(ALICE)
        );
    }
    assert_eq!(
        server
            .database
            .count("associations WHERE origin = 'peer.test' AND address = 'strasse@example.com'"),
        1
    );
    let rotate = RotatePepper {
        pepper: Pepper::parse("matrixrocks").unwrap(),
        if_before: None,
        now: before,
    };
    server.app.associations.send(rotate).await.unwrap();
    let found = mxid_of(&server, "strasse@example.com").await;
    assert_eq!(found.as_deref(), Some(ALICE));
    let received =
        format!("replication_peers WHERE name = 'peer.test' AND received_at >= {before}");
    assert_eq!(server.database.count(&received), 1);
    let metrics = server.operations().get("/metrics").await.text();
    let counted = "sydent_replication_received_total{peer=\"peer.test\",outcome=\"accepted\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
}

/// INT-03
#[actix_web::test]
async fn changes_are_applied_in_numeric_order() {
    let (server, peer) = start();
    let now = server.now();
    let push = json!({
        "10": peer.bound(A, BOB, now),
        "9": peer.bound(A, ALICE, now),
        "100": peer.removed(B, now),
        "99": peer.bound(B, ALICE, now),
    });
    for _ in 0..2 {
        // A repeated push makes no difference.
        push_accepted(&server, &peer, push.clone()).await;
        assert_eq!(mxid_of(&server, A).await.as_deref(), Some(BOB));
        assert_eq!(mxid_of(&server, B).await, None);
        assert_eq!(server.database.count("associations"), 1);
    }
    push_accepted(&server, &peer, json!({})).await;
}

/// INT-03
#[actix_web::test]
async fn older_changes_are_ignored() {
    let (server, peer) = start();
    let now = server.now();
    push_accepted(&server, &peer, json!({"1": peer.bound(A, ALICE, now)})).await;
    for older in [peer.bound(A, BOB, now - 1), peer.removed(A, now - 1)] {
        push_accepted(&server, &peer, json!({ "2": older })).await;
        assert_eq!(mxid_of(&server, A).await.as_deref(), Some(ALICE));
    }
    push_accepted(&server, &peer, json!({"3": peer.bound(A, BOB, now + 1)})).await;
    assert_eq!(mxid_of(&server, A).await.as_deref(), Some(BOB));
    push_accepted(&server, &peer, json!({"4": peer.removed(A, now + 2)})).await;
    assert_eq!(mxid_of(&server, A).await, None);
}

/// INT-03
#[actix_web::test]
async fn one_invalid_change_rejects_the_whole_push() {
    let (server, peer) = start();
    let now = server.now();
    push_accepted(&server, &peer, json!({"1": peer.bound(A, ALICE, now)})).await;
    let mut forged = peer.bound(B, BOB, now);
    forged["mxid"] = json!(ALICE);
    let answer = peer
        .push(
            &server,
            json!({
                "2": peer.removed(A, now + 1),
                "12": forged,
                "3": peer.bound(B, BOB, now),
                "4": "nothing",
                "13": peer.bound("c@example.com", BOB, now),
            }),
        )
        .await;
    let body = answer.refused(400, "M_VERIFICATION_FAILED");
    assert_eq!(body["failed_ids"], json!(["4", "12"]));
    assert_eq!(mxid_of(&server, A).await.as_deref(), Some(ALICE));
    assert_eq!(mxid_of(&server, B).await, None);
    assert_eq!(server.database.count("associations"), 1);
    let metrics = server.operations().get("/metrics").await.text();
    let counted = "sydent_replication_received_total{peer=\"peer.test\",outcome=\"refused\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
}

/// INT-03
#[actix_web::test]
async fn peer_changes_only_its_own_associations() {
    let other = Peer::new("other.test");
    let (server, peer) = start_with(|settings| other.configure(settings));
    let internal = server.internal();
    internal.internal_bind("email", A, ALICE).await.ok();
    let now = server.now();
    push_accepted(&server, &other, json!({"1": other.bound(B, BOB, now)})).await;

    // Neither our binding nor another peer's is removed or changed.
    let removals = json!({"1": peer.removed(A, now + 9), "2": peer.removed(B, now + 9)});
    push_accepted(&server, &peer, removals).await;
    assert_eq!(mxid_of(&server, A).await.as_deref(), Some(ALICE));
    assert_eq!(mxid_of(&server, B).await.as_deref(), Some(BOB));
    let own =
        json!({"3": peer.bound(A, BOB, now - 60_000), "4": peer.bound(B, ALICE, now - 60_000)});
    push_accepted(&server, &peer, own).await;
    assert_eq!(server.database.count("associations"), 4);
    assert_eq!(mxid_of(&server, A).await.as_deref(), Some(ALICE));
    assert_eq!(mxid_of(&server, B).await.as_deref(), Some(BOB));

    // A change signed by another peer, or with a key that is not the peer's, is
    // refused.
    for signed in [other.bound(A, BOB, now), other.removed(B, now)] {
        let answer = peer.push(&server, json!({ "5": signed })).await;
        answer.refused(400, "M_VERIFICATION_FAILED");
    }
    let impostor = Peer::new("peer.test").with_wrong_key();
    let forged = impostor.bound(A, BOB, now);
    let answer = impostor.push(&server, json!({ "5": forged })).await;
    answer.refused(400, "M_VERIFICATION_FAILED");
}

/// INT-03
#[actix_web::test]
async fn removal_restores_the_next_newest_binding() {
    let other = Peer::new("other.test");
    let (server, peer) = start_with(|settings| other.configure(settings));
    let now = server.now();
    push_accepted(&server, &other, json!({"1": other.bound(A, BOB, now)})).await;
    push_accepted(&server, &peer, json!({"1": peer.bound(A, ALICE, now - 5)})).await;
    assert_eq!(mxid_of(&server, A).await.as_deref(), Some(BOB));
    push_accepted(&server, &peer, json!({"2": peer.bound(A, ALICE, now + 5)})).await;
    assert_eq!(mxid_of(&server, A).await.as_deref(), Some(ALICE));
    push_accepted(&server, &peer, json!({"3": peer.removed(A, now + 6)})).await;
    assert_eq!(mxid_of(&server, A).await.as_deref(), Some(BOB));
}

/// INT-03
#[actix_web::test]
async fn received_binding_survives_a_restart() {
    let (server, peer) = start();
    let bound = peer.bound(A, ALICE, server.now());
    push_accepted(&server, &peer, json!({ "1": bound })).await;
    let server = server.start_again(|_| {});
    assert!(server.addresses.replication.is_empty());
    assert_eq!(mxid_of(&server, A).await.as_deref(), Some(ALICE));
}

/// INT-03, OPS-10
#[actix_web::test]
async fn shutdown_waits_for_a_running_push() {
    let (mut server, peer) = start();
    let bound = peer.bound(A, ALICE, server.now());
    let body = json!({"sgAssocs": {"1": bound}}).to_string();
    let (first, rest) = body.split_at(20);
    let mut stream = peer.connect(&server).await.unwrap();
    let head = push_head(PUSH, "application/json", body.len());
    stream.write_all((head + first).as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    // Gives the server time to start reading it.
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.begin_stop();
    tokio::time::sleep(Duration::from_millis(300)).await;
    stream.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    assert!(answer.ends_with("{\"success\":true}"), "{answer}");
    server.stop();
    assert_eq!(server.database.count("associations"), 1);
}

/// INT-03
#[actix_web::test]
async fn server_without_peers_refuses_every_push() {
    let server = TestServer::start(listen_to_peers);
    let answer = Peer::new("peer.test").push(&server, json!({})).await;
    answer.refused(403, "M_UNKNOWN_PEER");
}
