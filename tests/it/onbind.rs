//! Onbind notifications (section 16 of the conformance list), as a homeserver like
//! Synapse receives them.

mod failures;

use serde_json::{Value, json};
use sydent::config::Settings;
use sydent::domain::ids::KeyId;
use sydent::domain::public_key::PublicKey;
use sydent::domain::{base64, signing};

use crate::harness::{
    Api, BASE_URL, Homeserver, SERVER_NAME, TestServer, encode, fresh_address, wait_for, wait_until,
};
use crate::store_invite::with;

/// A server that can reach this homeserver, with short retry delays.
fn start(hs: &Homeserver, change: impl FnOnce(&mut Settings)) -> TestServer {
    TestServer::start(|settings| {
        configure(hs, settings);
        change(settings);
    })
}

pub fn configure(hs: &Homeserver, settings: &mut Settings) {
    use std::time::Duration;
    hs.configure(settings);
    settings.delivery.retry_first = Duration::from_millis(50);
    settings.delivery.retry_max = Duration::from_millis(200);
}

/// Stores an invite for this address; returns what the room stores of it.
pub async fn invite(api: &Api, address: &str, sender: &str) -> Value {
    let fields = with(
        address,
        json!({"sender": sender, "room_id": "!tea:example.org"}),
    );
    api.store_invite(fields).await.ok()
}

/// The notifications that the homeserver accepted, once there are `count`.
pub async fn notifications(hs: &Homeserver, count: usize) -> Vec<Value> {
    wait_for("onbind notifications", async || {
        let received = hs.onbinds();
        (received.len() >= count).then_some(received)
    })
    .await
}

async fn wait_until_queue_empty(server: &TestServer) {
    wait_until("an empty queue", || server.database.count("outbox") == 0).await;
}

/// Checks an invite as the inviter's homeserver does before it lets the user join
/// (ONB-16): one signature, by a key in the room that is still valid.
pub async fn expect_valid_invite(api: &Api, room: &Value, invite: &Value) {
    let signed = invite["signed"].as_object().unwrap();
    assert_eq!(signed["token"], room["token"], "the state key of the event");
    let signatures = signed["signatures"].as_object().unwrap();
    let (server, keys) = signatures.iter().next().unwrap();
    assert_eq!((server.as_str(), signatures.len()), (SERVER_NAME, 1));
    let keys = keys.as_object().unwrap();
    assert_eq!(keys.len(), 1, "Synapse checks only the first (ONB-07)");
    let id = KeyId::parse(keys.keys().next().unwrap()).unwrap();
    let key = room["public_keys"].as_array().unwrap().iter().find(|key| {
        let public = PublicKey::from_base64(key["public_key"].as_str().unwrap()).unwrap();
        signing::verify(signed, SERVER_NAME, &id, &public)
    });
    let key = key.expect("signed by a key of the room");
    let url = key["key_validity_url"].as_str().unwrap();
    let path = url.strip_prefix(BASE_URL).unwrap();
    let query = encode(&[("public_key", key["public_key"].as_str().unwrap())]);
    let valid = api.get(&format!("{path}?{query}")).await.ok();
    assert_eq!(valid, json!({"valid": true}));
}

/// ONB-01, ONB-03, ONB-04, ONB-05, ONB-06, ONB-16, BND-13
#[actix_web::test]
async fn homeserver_receives_all_pending_invites() {
    let hs = Homeserver::start();
    let server = start(&hs, |_| {});
    let (api, address) = (server.api(), fresh_address("invited"));
    let rooms = [
        invite(&api, &address, "@bob:example.org").await,
        invite(&api, &address.to_uppercase(), "@eve:example.org").await,
    ];
    invite(&api, &fresh_address("other"), "@bob:example.org").await;
    let session = server.validate(&address).await;
    let mxid = hs.user("alice");
    api.bind(&session.sid, "secret", &mxid).await.ok();

    let notification = notifications(&hs, 1).await.remove(0);
    assert_eq!(notification["medium"], "email");
    assert_eq!(notification["address"], address);
    assert_eq!(notification["mxid"], mxid);
    let key = server.app.public_keys[0].clone();
    assert!(signing::verify(
        notification.as_object().unwrap(),
        SERVER_NAME,
        &key.0,
        &key.1
    ));
    let invites = notification["invites"].as_array().unwrap();
    assert_eq!(invites.len(), 2, "ONB-08: only invites of this address");
    for ((invite, room), sender) in invites
        .iter()
        .zip(&rooms)
        .zip(["@bob:example.org", "@eve:example.org"])
    {
        for (name, value) in [
            ("medium", "email"),
            ("address", address.as_str()),
            ("mxid", mxid.as_str()),
            ("room_id", "!tea:example.org"),
            ("sender", sender),
        ] {
            assert_eq!(invite[name], value, "{name}");
        }
        let signed = invite["signed"].as_object().unwrap();
        let keys: Vec<_> = signed.keys().collect();
        assert_eq!(keys, ["mxid", "signatures", "token"]);
        assert_eq!(signed["mxid"], mxid);
        expect_valid_invite(&api, room, invite).await;
    }
    wait_until_queue_empty(&server).await;
}

/// ONB-09, ONB-17, INV-26
#[actix_web::test]
async fn invites_are_delivered_once_onbind_every_time() {
    for keep in [false, true] {
        let hs = Homeserver::start();
        let server = start(&hs, |settings| settings.invites.keep_delivered = keep);
        let (api, address) = (server.api(), fresh_address("again"));
        let room = invite(&api, &address, "@bob:example.org").await;
        let internal = server.internal();
        for (bind, user) in ["alice", "alice", "carol"].into_iter().enumerate() {
            let mxid = hs.user(user);
            internal.internal_bind("email", &address, &mxid).await.ok();
            let notification = notifications(&hs, bind + 1).await.remove(bind);
            let invites = notification["invites"].as_array().unwrap().len();
            assert_eq!(invites, usize::from(bind == 0));
            wait_until_queue_empty(&server).await;
        }
        // INV-26: the invite is removed or marked; the room's keys stay valid
        // either way.
        let delivered = server.database.count("invites WHERE delivered_at > 0");
        assert_eq!(delivered, i64::from(keep));
        assert_eq!(server.database.count("invites"), i64::from(keep));
        assert_eq!(server.database.count("ephemeral_keys"), 1);
        let token = room["token"].as_str().unwrap();
        let signed = api
            .sign("@x:example.org", token, &base64::encode(&[7; 32]))
            .await;
        assert_eq!(signed.status == 404, !keep, "SGN-04");
    }
}

/// ONB-02
#[actix_web::test]
async fn onbind_falls_back_to_put() {
    let hs = Homeserver::start();
    hs.set_onbind_method("PUT");
    let server = start(&hs, |_| {});
    let internal = server.internal();
    let (address, mxid) = (fresh_address("put"), hs.user("alice"));
    internal.internal_bind("email", &address, &mxid).await.ok();
    let notification = notifications(&hs, 1).await.remove(0);
    assert_eq!(notification["invites"], json!([]));
    wait_until_queue_empty(&server).await;
}

/// ONB-07
#[actix_web::test]
async fn invite_is_signed_with_its_original_key() {
    let hs = Homeserver::start();
    let server = start(&hs, |_| {});
    let address = fresh_address("rotated");
    let old = invite(&server.api(), &address, "@bob:example.org").await;
    let new_key = format!("ed25519 new {}\n", base64::encode(&[9; 32]));
    let server = server.start_again(|settings| {
        configure(&hs, settings);
        let file = settings.server.signing_key_file.as_ref().unwrap();
        let keys = std::fs::read_to_string(file).unwrap();
        std::fs::write(file, format!("{new_key}{keys}")).unwrap();
    });
    let new = invite(&server.api(), &address, "@bob:example.org").await;
    assert_ne!(old["public_key"], new["public_key"]);
    let internal = server.internal();
    let mxid = hs.user("alice");
    internal.internal_bind("email", &address, &mxid).await.ok();
    let notification = notifications(&hs, 1).await.remove(0);
    let invites = notification["invites"].as_array().unwrap();
    for (room, invite) in [old, new].iter().zip(invites) {
        expect_valid_invite(&server.api(), room, invite).await;
    }
    assert_eq!(invites.len(), 2);
    // The notification itself is signed with the active key.
    assert!(notification["signatures"][SERVER_NAME]["ed25519:new"].is_string());
}

/// BND-03, SEC-13, ONB-08
#[actix_web::test]
async fn responses_contain_no_invites() {
    let hs = Homeserver::start();
    let server = start(&hs, |_| {});
    let api = server.api();
    let (invited, other) = (fresh_address("a"), fresh_address("b"));
    let room = invite(&api, &invited, "@bob:example.org").await;
    let token = room["token"].as_str().unwrap();
    for address in [&invited, &other] {
        let session = server.validate(address).await;
        let bound = api.bind(&session.sid, "secret", &hs.user("alice")).await;
        assert_eq!(bound.ok().as_object().unwrap().len(), 7, "BND-02");
        let found = api.lookup("email", address).await;
        for answer in [&bound, &found] {
            let text = answer.text();
            assert!(!text.contains("invite") && !text.contains(token), "{text}");
        }
    }
    let received = notifications(&hs, 2).await;
    let for_other = received
        .iter()
        .find(|notification| notification["address"] == other);
    assert_eq!(for_other.unwrap()["invites"], json!([]));
}
