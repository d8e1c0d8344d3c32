//! Tokens, hashes, sessions and invites of a Sydent stay valid after the import.

use serde_json::{Map, Value, json};
use sydent::domain::lookup::{Pepper, hash};
use sydent::domain::signing::{KeyPair, verify};

use crate::harness::{KEY_FILE, SERVER_NAME, V1, V2, encode, wait_until};

use super::filled::{Filled, fill};
use super::taken_over::import_sydent;

/// OPS-07
#[actix_web::test]
async fn work_begun_on_sydent_continues_after_import() {
    let mut filled = fill().await;
    let before = filled.sydent.api().with_token(&filled.token);
    let details = before.hash_details().await.ok();
    filled.sydent.stop();
    let (server, _database) = import_sydent(&filled.sydent, &filled.sydent.database()).start();

    // Clients stay logged in, and terms stay accepted or not accepted.
    let client = server.api().with_token(&filled.token);
    assert_eq!(client.account().await.ok()["user_id"], filled.user.as_str());
    let without_terms = server.api().with_token(&filled.without_terms);
    without_terms
        .account()
        .await
        .refused(403, "M_TERMS_NOT_SIGNED");

    // Hashes that a client computed with the pepper of the old server.
    assert_eq!(client.hash_details().await.ok(), details);
    let pepper = details["lookup_pepper"].as_str().unwrap();
    let hash = |address: &str| hash(address, "email", &Pepper::parse(pepper).unwrap());
    let hashes: Vec<String> = filled
        .bound
        .iter()
        .map(|(address, _)| hash(address))
        .collect();
    let body = json!({"addresses": hashes, "algorithm": "sha256", "pepper": pepper});
    let found = client.hashed_lookup(body).await.ok();
    for (address, user) in &filled.bound {
        assert_eq!(found["mappings"][hash(address)], user.as_str());
    }

    // A session that is not validated yet, and a validated one.
    let open = &filled.open;
    client
        .submit_token(&open.sid, &open.client_secret, &open.code)
        .await
        .ok();
    for session in [open, &filled.validated] {
        let bound = client
            .bind(&session.sid, &session.client_secret, &filled.user)
            .await
            .ok();
        assert_eq!(bound["address"], session.address.to_lowercase());
        expect_signed(&bound);
    }

    expect_invite_delivered(&filled, &server.internal()).await;
    let api = server.api();
    for (_, invite) in &filled.invites {
        for (path, key) in ["isvalid", "ephemeral/isvalid"].iter().zip([0, 1]) {
            let key = &invite["public_keys"][key]["public_key"];
            let query = encode(&[("public_key", key.as_str().unwrap())]);
            for version in [V1, V2] {
                let answer = api.get(&format!("{version}/pubkey/{path}?{query}")).await;
                assert_eq!(answer.ok(), json!({"valid": true}));
            }
        }
    }
}

/// Expects that the new server delivers an invite that the old one mailed, with a
/// signature that the room accepts.
async fn expect_invite_delivered(filled: &Filled, internal: &crate::harness::Api) {
    let sent_before = filled.homeserver.onbinds().len();
    let (address, invite) = &filled.invites[0];
    let guest = filled.homeserver.user("late");
    internal.internal_bind("email", address, &guest).await.ok();
    let new_notifications = || -> Vec<Value> {
        let mut notifications = filled.homeserver.onbinds().split_off(sent_before);
        notifications.retain(|notification| notification["address"] == address.as_str());
        notifications
    };
    wait_until("an onbind notification", || !new_notifications().is_empty()).await;
    let notification = &new_notifications()[0];
    assert_eq!(notification["mxid"], guest.as_str());
    let invites = notification["invites"].as_array().unwrap();
    assert_eq!(invites.len(), 1, "{notification}");
    let delivered = &invites[0];
    assert_eq!(delivered["room_id"], "!room:hs.test");
    assert_eq!(delivered["sender"], filled.user.as_str());
    assert_eq!(delivered["signed"]["token"], invite["token"]);
    assert_eq!(delivered["signed"]["mxid"], guest.as_str());
    expect_signed(&delivered["signed"]);
}

#[track_caller]
fn expect_signed(object: &Value) {
    let key = KeyPair::parse_line(KEY_FILE.trim()).unwrap();
    let object: &Map<String, Value> = object.as_object().unwrap();
    assert!(verify(object, SERVER_NAME, key.id(), &key.public()));
}
