//! Which pushed changes are applied, and which change nothing.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use sydent::actor::rotation::{RotatePepper, RotationStart};
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
    for start in [RotationStart::Now, RotationStart::Never] {
        let rotate = RotatePepper {
            pepper: Pepper::parse("matrixrocks").unwrap(),
            start,
            now: before,
        };
        server.app.associations.send(rotate).await.unwrap();
    }
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
async fn numbers_of_the_peer_decide() {
    let (server, peer) = start();
    let now = server.now();
    push_accepted(&server, &peer, json!({"5": peer.bound(A, ALICE, now)})).await;
    for older in [peer.bound(A, BOB, now + 1), peer.removed(A, now + 1)] {
        push_accepted(&server, &peer, json!({ "4": older })).await;
        assert_eq!(mxid_of(&server, A).await.as_deref(), Some(ALICE));
    }
    // The peer's clock was set back.
    push_accepted(&server, &peer, json!({"6": peer.bound(A, BOB, now - 9)})).await;
    assert_eq!(mxid_of(&server, A).await.as_deref(), Some(BOB));
    push_accepted(&server, &peer, json!({"7": peer.removed(A, now - 99)})).await;
    assert_eq!(mxid_of(&server, A).await, None);
    // Pushes that are repeated and arrive late.
    for late in [6, 5, 7, 4] {
        let late = json!({ late.to_string(): peer.bound(A, ALICE, now + 5) });
        push_accepted(&server, &peer, late).await;
        push_accepted(&server, &peer, json!({"7": peer.removed(A, now - 99)})).await;
    }
    push_accepted(
        &server,
        &peer,
        json!({"8": peer.bound(A, ALICE, now - 999)}),
    )
    .await;
    assert_eq!(mxid_of(&server, A).await.as_deref(), Some(ALICE));
}

/// INT-03
#[actix_web::test]
async fn invalid_changes_are_skipped() {
    let (server, peer) = start();
    let now = server.now();
    push_accepted(&server, &peer, json!({"1": peer.bound(A, ALICE, now)})).await;
    let mut forged = peer.bound(B, BOB, now);
    forged["mxid"] = json!(ALICE);
    let push = json!({
        "2": peer.removed(A, now + 1),
        "12": forged,
        "3": peer.bound(B, BOB, now),
        "4": "nothing",
        "5": peer.bound("no address", BOB, now),
        "6": peer.bound("c@example.com", "bob", now),
        "13": peer.bound("d@example.com", "@Old Name:example.org", now),
    });
    push_accepted(&server, &peer, push).await;
    assert_eq!(mxid_of(&server, A).await, None);
    assert_eq!(mxid_of(&server, B).await.as_deref(), Some(BOB));
    let historical = mxid_of(&server, "d@example.com").await;
    assert_eq!(historical.as_deref(), Some("@Old Name:example.org"));
    assert_eq!(server.database.count("associations"), 2);
    let skipped = "replication_peers WHERE skipped = 4 AND skipped_number = '12'";
    assert_eq!(server.database.count(skipped), 1);
    let metrics = server.operations().get("/metrics").await.text();
    for counted in [
        "sydent_replication_received_total{peer=\"peer.test\",outcome=\"accepted\"} 2",
        "sydent_replication_skipped_total{peer=\"peer.test\"} 4",
    ] {
        assert!(metrics.contains(counted), "{metrics}");
    }
}

/// INT-03
#[actix_web::test]
async fn push_with_the_wrong_key_is_refused() {
    let other = Peer::new("other.test");
    let (server, peer) = start_with(|settings| other.configure(settings));
    let now = server.now();
    let impostor = Peer::new("peer.test").with_wrong_key();
    for signed in [
        other.bound(A, BOB, now),
        other.removed(A, now),
        impostor.bound(A, BOB, now),
    ] {
        let push = json!({"5": signed, "6": "nothing"});
        let answer = peer.push(&server, push).await;
        let body = answer.refused(400, "M_VERIFICATION_FAILED");
        assert_eq!(body["failed_ids"], json!(["5"]));
    }
    assert_eq!(server.database.count("associations"), 0);
    let metrics = server.operations().get("/metrics").await.text();
    let counted = "sydent_replication_received_total{peer=\"peer.test\",outcome=\"refused\"} 3";
    assert!(metrics.contains(counted), "{metrics}");
}

/// INT-03
#[actix_web::test]
async fn the_newest_statement_of_all_counts() {
    let other = Peer::new("other.test");
    let (server, peer) = start_with(|settings| other.configure(settings));
    let internal = server.internal();
    internal.internal_bind("email", A, ALICE).await.ok();
    let now = server.now();
    push_accepted(&server, &other, json!({"1": other.bound(B, BOB, now)})).await;

    // What is older changes nothing, and stays in reserve.
    let older = now - 60_000;
    let push = json!({"1": peer.removed(A, older), "2": peer.removed(B, older)});
    push_accepted(&server, &peer, push).await;
    let push = json!({"3": peer.bound(A, BOB, older), "4": peer.bound(B, ALICE, older)});
    push_accepted(&server, &peer, push).await;
    assert_eq!(server.database.count("associations"), 4);
    assert_eq!(mxid_of(&server, A).await.as_deref(), Some(ALICE));
    assert_eq!(mxid_of(&server, B).await.as_deref(), Some(BOB));

    // A removal ends the bindings of all servers that are not newer.
    let push = json!({"5": peer.removed(A, now + 9), "6": peer.bound(B, ALICE, now + 9)});
    push_accepted(&server, &peer, push).await;
    assert_eq!(mxid_of(&server, A).await, None);
    assert_eq!(mxid_of(&server, B).await.as_deref(), Some(ALICE));
    push_accepted(&server, &other, json!({"2": other.bound(A, BOB, now + 9)})).await;
    assert_eq!(mxid_of(&server, A).await, None);
    push_accepted(&server, &other, json!({"3": other.bound(A, BOB, now + 10)})).await;
    assert_eq!(mxid_of(&server, A).await.as_deref(), Some(BOB));
}

/// INT-03
#[actix_web::test]
async fn changes_are_repeated_for_a_sydent_only() {
    let (server, peer) = start();
    let internal = server.internal();
    for address in [A, B] {
        internal.internal_bind("email", address, ALICE).await.ok();
    }
    let later = server.now() + 1000;
    let repeated = |count: i64| {
        let repeated = "association_journal WHERE id > 2 AND restates";
        assert_eq!(server.database.count(repeated), count);
    };
    for (number, address, compares, expected) in [
        (1, A, json!({"compares": true}), 0),
        // An earlier one of the peer may have been repeated by it.
        (2, B, json!({}), 2),
        (3, A, json!({"compares": "yes"}), 2),
    ] {
        let mut body = compares;
        let bound = peer.bound(address, BOB, later + number);
        body["sgAssocs"] = json!({ number.to_string(): bound });
        let body = body.to_string();
        let answer = peer.post(&server, PUSH, "application/json", body.as_bytes());
        assert_eq!(answer.await.unwrap().ok(), json!({"success": true}));
        repeated(expected);
        let restated = format!("association_journal WHERE address = '{address}' AND restates");
        assert_eq!(server.database.count(&restated), 1);
    }
}

/// INT-03, BND-05, UNB-18
#[actix_web::test]
async fn own_changes_come_after_those_of_others() {
    let (server, peer) = start();
    let internal = server.internal();
    // The clock of the peer is five minutes ahead.
    let ahead = server.now() + 300_000;
    let push = json!({"1": peer.bound(A, BOB, ahead), "2": peer.removed(B, ahead)});
    push_accepted(&server, &peer, push).await;
    for address in [A, B] {
        let bound = internal.internal_bind("email", address, ALICE).await.ok();
        assert_eq!(bound["ts"], ahead + 1);
        assert!(bound["not_before"].as_i64().unwrap() < ahead);
        assert_eq!(mxid_of(&server, address).await.as_deref(), Some(ALICE));
    }
    // An unbind ends what it is about, and not the binding of somebody else.
    internal.internal_unbind("email", A, ALICE).await.ok();
    assert_eq!(mxid_of(&server, A).await, None);
    push_accepted(&server, &peer, json!({"3": peer.bound(B, BOB, ahead + 9)})).await;
    internal.internal_unbind("email", B, ALICE).await.ok();
    assert_eq!(mxid_of(&server, B).await.as_deref(), Some(BOB));
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
    let push = json!({"sgAssocs": {}}).to_string();
    let stranger = Peer::new("peer.test");
    let answer = stranger.post(&server, PUSH, "application/json", push.as_bytes());
    assert!(answer.await.is_none());
}
