//! Pushes from other identity servers (INT-03, INT-04), over TLS with client
//! certificates.

mod changes;
mod found;
mod future;
mod refusals;

use serde_json::{Value, json};
use sydent::config::Settings;

use crate::harness::{Peer, TestServer, mxid_of};

/// A server with a configured peer, and the peer.
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

/// Pushes, and expects that everything is accepted.
async fn push_accepted(server: &TestServer, peer: &Peer, associations: Value) {
    let answer = peer.push(server, associations).await;
    assert_eq!(answer.ok(), json!({"success": true}));
}
