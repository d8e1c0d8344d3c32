//! The effects of accepted changes: signatures in lookups, and invites.

use serde_json::{Value, json};
use sydent::domain::ids::KeyId;
use sydent::domain::signing;

use super::{push_accepted, start, start_with};
use crate::harness::{
    Homeserver, Peer, SERVER_NAME, TestServer, fresh_address, wait_for, wait_until,
};
use crate::store_invite::with;

const ALICE: &str = "@alice:example.org";

/// V1L-03
#[actix_web::test]
async fn peer_association_has_both_signatures() {
    let (server, peer) = start();
    let original = peer.bound("Alice@Example.com", ALICE, server.now());
    push_accepted(&server, &peer, json!({"1": original.clone()})).await;
    let id = KeyId::parse("ed25519:0").unwrap();
    for (api, path) in [
        (server.api(), "api/v1/lookup"),
        (server.internal(), "internal/lookup"),
    ] {
        let query = format!("/_matrix/identity/{path}?medium=email&address=alice%40example.com");
        let found = api.get(&query).await.ok();
        let object = found.as_object().unwrap();
        let ours = server.app.public_keys[0].1;
        assert!(signing::verify(object, SERVER_NAME, &id, &ours));
        assert!(signing::verify(
            object,
            "peer.test",
            &id,
            &peer.public_key()
        ));
        let mut without_ours = found.clone();
        without_ours["signatures"]
            .as_object_mut()
            .unwrap()
            .remove(SERVER_NAME);
        assert_eq!(without_ours, original, "nothing else is changed");
    }
    // A local binding has one signature.
    let internal = server.internal();
    internal
        .internal_bind("email", "b@example.com", ALICE)
        .await
        .ok();
    let found = server.api().lookup("email", "b@example.com").await.ok();
    assert_eq!(found["signatures"].as_object().unwrap().len(), 1);
}

fn start_with_homeserver(hs: &Homeserver) -> (TestServer, Peer) {
    start_with(|settings| hs.configure(settings))
}

async fn invite(server: &TestServer, address: &str) -> Value {
    let fields = json!({"sender": "@bob:example.org", "room_id": "!tea:example.org"});
    server.api().store_invite(with(address, fields)).await.ok()
}

/// ONB-01, ONB-08
#[actix_web::test]
async fn replicated_binding_delivers_invites() {
    let hs = Homeserver::start();
    let (server, peer) = start_with_homeserver(&hs);
    let (address, other) = (fresh_address("invited"), fresh_address("other"));
    let room = invite(&server, &address).await;
    let mxid = hs.user("alice");
    let now = server.now();
    let push = json!({
        "1": peer.bound(&address, &hs.user("before"), now - 1),
        "2": peer.bound(&address.to_uppercase(), &mxid, now),
        "3": peer.bound(&other, &mxid, now),
    });
    push_accepted(&server, &peer, push.clone()).await;
    let notification = wait_for("an onbind notification", async || {
        hs.onbinds().into_iter().next()
    })
    .await;
    assert_eq!(
        (&notification["address"], &notification["mxid"]),
        (&json!(address), &json!(mxid))
    );
    let invites = notification["invites"].as_array().unwrap();
    assert_eq!(invites.len(), 1);
    assert_eq!(invites[0]["signed"]["token"], room["token"]);
    wait_until("an empty queue", || server.database.count("outbox") == 0).await;

    // No invite is pending any more, so neither a repeated push nor a newer binding
    // queues a notification.
    push_accepted(&server, &peer, push).await;
    push_accepted(
        &server,
        &peer,
        json!({"4": peer.bound(&address, &mxid, now + 1)}),
    )
    .await;
    assert_eq!(server.database.count("outbox"), 0);
    assert_eq!(hs.onbinds().len(), 1);
}

/// ONB-14
#[actix_web::test]
async fn older_replicated_binding_gets_no_invites() {
    let hs = Homeserver::start();
    let (server, peer) = start_with_homeserver(&hs);
    let address = fresh_address("invited");
    invite(&server, &address).await;
    let internal = server.internal();
    // The homeserver of this user cannot be reached, so the invite stays pending.
    internal
        .internal_bind("email", &address, "@alice:nowhere.test")
        .await
        .ok();
    let older = peer.bound(&address, &hs.user("alice"), server.now() - 60_000);
    push_accepted(&server, &peer, json!({ "1": older })).await;
    assert_eq!(
        server.database.count("outbox"),
        1,
        "our own notification stays"
    );
    let newer = peer.bound(&address, &hs.user("alice"), server.now() + 1000);
    push_accepted(&server, &peer, json!({ "2": newer })).await;
    let notification = wait_for("an onbind notification", async || {
        hs.onbinds().into_iter().next()
    })
    .await;
    assert_eq!(notification["mxid"], hs.user("alice"));
}
