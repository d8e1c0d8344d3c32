//! Pushes to peers (INT-03), and how they continue when a peer fails.

mod failures;
mod several;

use std::time::Duration;

use serde_json::{Map, Value, json};
use sydent::config::{PeerSettings, Settings};
use sydent::domain::ids::KeyId;
use sydent::domain::signing::{KeyPair, verify};

use crate::harness::{
    Api, Behaviour, Homeserver, KEY_FILE, PUSH, SERVER_NAME, TestServer, fresh_address,
    listen_to_peers, mesh_ca, wait_until,
};

/// A peer that accepts every push.
fn peer(name: &str) -> Homeserver {
    let peer = Homeserver::with_certificate(name, "127.0.0.1", "127.0.0.1:0", mesh_ca());
    peer.behave(PUSH, accepting());
    peer
}

fn accepting() -> Behaviour {
    Behaviour::json(200, &json!({"success": true}))
}

/// Configures pushes to a peer, with short retry delays.
fn push_to(peer: &Homeserver, settings: &mut Settings) {
    listen_to_peers(settings);
    settings.delivery.retry_first = Duration::from_millis(200);
    let replication = &mut settings.replication;
    replication.push_every = Duration::from_millis(100);
    let settings_of_peer = PeerSettings {
        url: Some(format!("https://{}", peer.address)),
        public_key: Some(peer.key().1.to_base64()),
        ca_file: Some(mesh_ca().file()),
    };
    replication
        .peers
        .insert(peer.name.to_string(), settings_of_peer);
}

/// The pushes so far, each with its changes by number.
fn pushes(peer: &Homeserver) -> Vec<Vec<(i64, Map<String, Value>)>> {
    let received = peer.requests_to(PUSH);
    received.iter().map(|push| changes(&push.json())).collect()
}

fn changes(body: &Value) -> Vec<(i64, Map<String, Value>)> {
    let by_id = body["sgAssocs"].as_object().unwrap().iter();
    let mut changes: Vec<_> = by_id
        .map(|(id, change)| (id.parse().unwrap(), change.as_object().unwrap().clone()))
        .collect();
    changes.sort_by_key(|(id, _)| *id);
    changes
}

/// All changes that a peer has received so far.
fn received_changes(peer: &Homeserver) -> Vec<(i64, Map<String, Value>)> {
    pushes(peer).into_iter().flatten().collect()
}

async fn bind(internal: &Api, address: &str, mxid: &str) {
    internal.internal_bind("email", address, mxid).await.ok();
}

/// INT-03, UNB-18
#[actix_web::test]
async fn changes_are_pushed_signed_and_in_order() {
    let peer = peer("peer.test");
    let server = TestServer::start_with_clock(|settings| push_to(&peer, settings));
    let internal = server.internal();
    let (address, other) = (fresh_address("Pushed"), fresh_address("never"));
    bind(&internal, &address, "@first:example.org").await;
    wait_until("the binding", || received_changes(&peer).len() == 1).await;
    server.advance(1000);
    bind(&internal, &address, "@alice:example.org").await;
    wait_until("the other binding", || received_changes(&peer).len() == 2).await;
    server.advance(1000);
    for (unbound, mxid) in [
        (&address, "@first:example.org"),
        (&other, "@alice:example.org"),
        (&address, "@alice:example.org"),
    ] {
        internal.internal_unbind("email", unbound, mxid).await.ok();
    }
    wait_until("the removal", || received_changes(&peer).len() == 3).await;

    let key = KeyPair::parse_line(KEY_FILE.trim()).unwrap();
    let folded = address.to_lowercase();
    let mut before = 0;
    for ((id, object), mxid) in received_changes(&peer).into_iter().zip([
        json!("@first:example.org"),
        json!("@alice:example.org"),
        json!(null),
    ]) {
        assert!(id > before);
        before = id;
        assert!(verify(
            &object,
            SERVER_NAME,
            &KeyId::parse("ed25519:0").unwrap(),
            &key.public()
        ));
        assert_eq!(object["mxid"], mxid);
        assert_eq!(object["address"], folded);
        assert_eq!(object["medium"], "email");
        assert_eq!(object["not_before"].is_null(), mxid.is_null());
    }
    let received = peer.requests_to(PUSH).pop().unwrap();
    assert_eq!(received.method, "POST");
    // Sydent accepts no other type, not even with a charset.
    assert_eq!(received.header("content-type"), Some("application/json"));
    assert_eq!(received_changes(&peer)[2].1["ts"], server.now());
}

/// INT-03
#[actix_web::test]
async fn new_peer_receives_history_in_batches_of_100() {
    let server = TestServer::start(|_| {});
    let internal = server.internal();
    let addresses: Vec<String> = (0..205).map(|_| fresh_address("old")).collect();
    for address in &addresses {
        bind(&internal, address, "@alice:example.org").await;
    }
    internal
        .internal_unbind("email", &addresses[0], "@alice:example.org")
        .await
        .ok();
    let peer = peer("peer.test");
    let server = server.start_again(|settings| push_to(&peer, settings));
    wait_until("the history", || received_changes(&peer).len() >= 205).await;
    let sizes: Vec<usize> = pushes(&peer).iter().map(Vec::len).collect();
    assert_eq!(sizes, [100, 100, 5]);
    let all = received_changes(&peer);
    assert!(all.is_sorted_by_key(|(id, _)| *id));
    for address in &addresses {
        assert!(all.iter().any(|(_, change)| change["address"] == **address));
    }
    assert!(all[204].1["mxid"].is_null());

    // Nothing is sent again after a restart.
    let server = server.start_again(|settings| push_to(&peer, settings));
    bind(&server.internal(), &fresh_address("new"), "@a:example.org").await;
    wait_until("the new binding", || pushes(&peer).len() == 4).await;
    assert_eq!(pushes(&peer)[3].len(), 1);
}
