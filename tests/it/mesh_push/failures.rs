//! Peers that are down, refuse a push, or have the wrong certificate.

use serde_json::json;
use sydent::config::Settings;

use super::{accepting, bind, peer, push_to, received_changes};
use crate::harness::{
    Behaviour, Homeserver, PUSH, TestDatabase, TestProcess, TestServer, fresh_address, shared_ca,
    wait_for, wait_until,
};

/// The output of `sydent peers` for a server.
fn peers(process: &TestProcess) -> String {
    let output = process.command("peers --config sydent.toml");
    assert_eq!(output.code, 0, "{}", output.err);
    output.out
}

fn start(change: impl FnOnce(&mut Settings)) -> (TestDatabase, TestProcess) {
    let database = TestDatabase::fresh();
    let process = TestProcess::start(&database, change);
    (database, process)
}

/// INT-03
#[actix_web::test]
async fn peer_receives_everything_after_an_outage() {
    let peer = peer("peer.test");
    peer.behave(PUSH, Behaviour::text(500, "no"));
    let (_database, process) = start(|settings| push_to(&peer, settings));
    let address = fresh_address("waits");
    bind(&process.internal(), &address, "@a:example.org").await;
    let shown = wait_for("a failure", async || {
        Some(peers(&process)).filter(|shown| shown.contains("last error      it answered 500"))
    })
    .await;
    for line in [
        "id.example.test (this server)",
        "  public key      XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI (ed25519:0)",
        "peer.test",
        "  behind          1 change, made ",
        "  last sent       never",
        "  failed attempts ",
        "  next attempt    in ",
    ] {
        assert!(shown.contains(line), "{line} is not in {shown}");
    }
    let metrics = process.operations().get("/metrics").await;
    let metrics = metrics.text();
    for line in [
        "sydent_peer_lag{peer=\"peer.test\"} 1\n",
        "sydent_peer_pushes_total{peer=\"peer.test\",outcome=\"refused\"} ",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }

    let before = peer.requests_to(PUSH).len();
    peer.behave(PUSH, accepting());
    bind(&process.internal(), &fresh_address("too"), "@a:example.org").await;
    wait_until("a push", || peer.requests_to(PUSH).len() > before).await;
    let shown = wait_for("success", async || {
        Some(peers(&process)).filter(|shown| shown.contains("  behind          nothing"))
    })
    .await;
    assert!(!shown.contains("last error"), "{shown}");
    assert!(
        received_changes(&peer)
            .iter()
            .any(|(_, change)| change["address"] == address)
    );
    let log = process.log_containing("pushed changes to a peer").await;
    assert!(log.contains("cannot push changes to a peer; retrying: it answered 500"));
    assert!(!log.contains(&address), "{log}");
}

/// INT-03
#[actix_web::test]
async fn unverifiable_change_is_logged_and_retried() {
    let peer = peer("peer.test");
    let refusal = json!({"errcode": "M_VERIFICATION_FAILED", "error": "no", "failed_ids": ["1"]});
    peer.behave(PUSH, Behaviour::json(400, &refusal));
    let (_database, process) = start(|settings| push_to(&peer, settings));
    let address = fresh_address("bad");
    bind(&process.internal(), &address, "@a:example.org").await;
    let log = process.log_containing("it could not verify [1]").await;
    assert!(!log.contains(&address), "{log}");
    wait_until("another try", || peer.requests_to(PUSH).len() > 1).await;
    assert!(received_changes(&peer).iter().all(|(id, _)| *id == 1));
}

/// INT-03
#[actix_web::test]
async fn changes_are_pushed_after_a_crash() {
    let peer = peer("peer.test");
    peer.behave(PUSH, Behaviour::Silent);
    let (_database, mut process) = start(|settings| {
        push_to(&peer, settings);
        settings.delivery.lease = std::time::Duration::from_secs(10);
    });
    let (first, second) = (fresh_address("first"), fresh_address("second"));
    bind(&process.internal(), &first, "@a:example.org").await;
    wait_until("a push", || !peer.requests_to(PUSH).is_empty()).await;
    bind(&process.internal(), &second, "@a:example.org").await;
    process.kill();
    peer.behave(PUSH, accepting());
    let process = process.restart();
    for address in [first, second] {
        wait_until("both", || {
            received_changes(&peer)
                .iter()
                .any(|(_, it)| it["address"] == address)
        })
        .await;
    }
    assert!(peers(&process).contains("peer.test"));
}

/// INT-03
#[actix_web::test]
async fn nothing_is_pushed_to_an_unverified_peer() {
    let stranger =
        Homeserver::with_certificate("peer.test", "127.0.0.1", "127.0.0.1:0", shared_ca());
    let ca = crate::harness::mesh_ca();
    let misnamed = Homeserver::with_certificate("other.test", "other.test", "127.0.0.1:0", ca);
    let server = TestServer::start(|settings| {
        push_to(&stranger, settings);
        push_to(&misnamed, settings);
    });
    bind(&server.internal(), &fresh_address("kept"), "@a:example.org").await;
    wait_until("both failures", || {
        server
            .database
            .count("replication_peers WHERE last_error LIKE '%certificate%'")
            == 2
    })
    .await;
    assert!(stranger.requests().is_empty());
    assert!(misnamed.requests().is_empty());
}
