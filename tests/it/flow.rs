//! The main flow from end to end: validate an address, bind it, look it up.

use serde_json::json;
use sydent::domain::ids::KeyId;
use sydent::domain::public_key::PublicKey;
use sydent::domain::signing;

use crate::harness::{SERVER_NAME, TestServer, fresh_address};

#[actix_web::test]
async fn address_is_validated_bound_and_found() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    let address = fresh_address("alice");

    let (sid, mail) = server.request_mail(&address, "secret").await;
    assert_eq!(
        api.submit_token(&sid, "secret", &mail.token()).await.ok(),
        json!({"success": true})
    );
    let validated = api.get_validated(&sid, "secret").await.ok();
    assert_eq!(
        (validated["medium"].as_str(), validated["address"].as_str()),
        (Some("email"), Some(address.as_str()))
    );

    let bound = api.bind(&sid, "secret", "@alice:example.org").await.ok();
    assert_eq!(bound["mxid"], "@alice:example.org");
    assert_eq!(api.lookup("email", &address).await.ok(), bound);
    let found = api
        .bulk_lookup(json!([["email", address], ["email", "nobody@example.com"]]))
        .await
        .ok();
    assert_eq!(
        found,
        json!({"threepids": [["email", address, "@alice:example.org"]]})
    );

    let key = api.get("/_matrix/identity/v2/pubkey/ed25519:0").await.ok();
    let key = PublicKey::from_base64(key["public_key"].as_str().unwrap()).unwrap();
    let id = KeyId::parse("ed25519:0").unwrap();
    assert!(signing::verify(
        bound.as_object().unwrap(),
        SERVER_NAME,
        &id,
        &key
    ));
}
