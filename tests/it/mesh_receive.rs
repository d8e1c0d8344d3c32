//! What other identity servers push (INT-03, INT-04), over TLS with client
//! certificates.

mod changes;
mod found;
mod real_sydent;
mod refusals;

use serde_json::{Value, json};
use sydent::config::Settings;

use crate::harness::{Peer, TestServer};

/// A server that knows a peer, and the peer.
fn start() -> (TestServer, Peer) {
    start_with(|_| {})
}

fn start_with(change: impl FnOnce(&mut Settings)) -> (TestServer, Peer) {
    let peer = Peer::new("peer.test");
    let server = TestServer::start(|settings| {
        peer.configure(settings);
        change(settings);
    });
    (server, peer)
}

/// Pushes, and expects that all of it is taken.
async fn taken(server: &TestServer, peer: &Peer, associations: Value) {
    let answer = peer.push(server, associations).await;
    assert_eq!(answer.ok(), json!({"success": true}));
}

/// To whom an address is bound, whichever way is asked.
async fn mxid_of(server: &TestServer, address: &str) -> Option<String> {
    let api = server.api();
    let one = api.lookup("email", address).await.ok();
    let one = one["mxid"].as_str().map(str::to_owned);
    let bulk = api.bulk_lookup(json!([["email", address]])).await.ok();
    assert_eq!(bulk["threepids"][0][2].as_str(), one.as_deref());
    let alice = server.account("@alice:example.org").await;
    let pepper = alice.hash_details().await.ok()["lookup_pepper"].clone();
    for (algorithm, entry) in [
        ("none", format!("{address} email")),
        ("sha256", hash(address, pepper.as_str().unwrap())),
    ] {
        let asked = json!({"algorithm": algorithm, "pepper": pepper, "addresses": [entry]});
        let found = alice.hashed_lookup(asked).await.ok();
        let found = found["mappings"][entry].as_str().map(str::to_owned);
        assert_eq!(found, one, "{algorithm}");
    }
    one
}

fn hash(address: &str, pepper: &str) -> String {
    use sydent::domain::lookup::{Pepper, sha256_hash};
    use sydent::domain::threepid::ThreePid;
    let threepid = ThreePid::parse("email", address).unwrap();
    sha256_hash(&threepid, &Pepper::parse(pepper).unwrap())
}
