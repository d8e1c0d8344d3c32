//! `store-invite` (section 15 of the conformance list), and the keys that it
//! returns (section 6).

mod delivery;
mod limits;
mod mail;

use serde_json::{Map, Value, json};

use crate::harness::{Answer, Api, BASE_URL, TestServer, V1, V2, encode, fresh_address};

/// The fields that Synapse sends for a room with only a name (section 23.4).
pub fn by_synapse(address: &str) -> Value {
    json!({
        "medium": "email",
        "address": address,
        "room_id": "!room:example.org",
        "room_alias": "",
        "room_avatar_url": "",
        "room_join_rules": "",
        "room_name": "Tea",
        "sender": "@a:example.org",
        "sender_display_name": "@a:example.org",
        "sender_avatar_url": "",
    })
}

/// The same with other values in some fields.
pub fn with(address: &str, other: Value) -> Value {
    let mut fields = by_synapse(address);
    let other: Map<String, Value> = serde_json::from_value(other).unwrap();
    fields.as_object_mut().unwrap().extend(other);
    fields
}

/// Clients of v1 and of v2, for what the versions have in common.
async fn both(server: &TestServer) -> [Api; 2] {
    [server.api(), server.account("@a:example.org").await]
}

async fn is_valid(api: &Api, url: &Value, key: &Value) -> bool {
    let path = url.as_str().unwrap().strip_prefix(BASE_URL).unwrap();
    let query = encode(&[("public_key", key.as_str().unwrap())]);
    let answer = api.get(&format!("{path}?{query}")).await.ok();
    answer["valid"].as_bool().unwrap()
}

/// INV-01, INV-10, INV-11, INV-12, INV-13, INV-15, PUB-06, PUB-08, PUB-10
#[actix_web::test]
async fn response_has_token_keys_and_display_name() {
    let server = TestServer::start(|_| {});
    for api in both(&server).await {
        let answer = api.store_invite(by_synapse(&fresh_address("Answer"))).await;
        let answer = answer.ok();
        let keys: Vec<_> = answer.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["display_name", "public_key", "public_keys", "token"]);
        assert_eq!(answer["display_name"], "ans...@exa...");
        let token = answer["token"].as_str().unwrap();
        assert!(
            (43..=255).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_alphanumeric())
        );
        let [long_term, ephemeral] = answer["public_keys"].as_array().unwrap().as_slice() else {
            panic!("two keys: {answer}");
        };
        assert_eq!(answer["public_key"], long_term["public_key"]);
        for (key, route) in [(long_term, "isvalid"), (ephemeral, "ephemeral/isvalid")] {
            let url = format!("{BASE_URL}{V2}/pubkey/{route}");
            assert_eq!(key["key_validity_url"], url, "absolute, and v2");
            assert_eq!(key.as_object().unwrap().len(), 2);
        }
        let known = api.get(&format!("{V2}/pubkey/ed25519:0")).await.ok();
        assert_eq!(known["public_key"], long_term["public_key"]);
        for (url, key, valid) in [
            (long_term, long_term, true),
            (ephemeral, ephemeral, true),
            (long_term, ephemeral, false),
            (ephemeral, long_term, false),
        ] {
            let found = is_valid(&api, &url["key_validity_url"], &key["public_key"]).await;
            assert_eq!(found, valid);
        }
    }
}

/// INV-01, INV-06, INV-07, INV-09, GEN-08
#[actix_web::test]
async fn invalid_requests_are_rejected() {
    let server = TestServer::start(|_| {});
    let [v1, v2] = both(&server).await;
    let address = fresh_address("refused");
    for api in [&v1, &v2] {
        for field in ["medium", "address", "room_id", "sender"] {
            let answer = api.store_invite(with(&address, json!({field: null}))).await;
            let error = answer.refused(400, "M_MISSING_PARAMS")["error"].to_string();
            assert!(error.contains(field), "{error}");
            let answer = api.store_invite(with(&address, json!({field: 7}))).await;
            answer.refused(400, "M_INVALID_PARAM");
        }
        for (field, value, errcode) in [
            ("medium", json!("msisdn"), "M_UNRECOGNIZED"),
            ("medium", json!("twitter"), "M_UNRECOGNIZED"),
            ("address", json!("nobody"), "M_INVALID_EMAIL"),
            ("address", json!(""), "M_INVALID_EMAIL"),
            ("address", json!("a@b@c"), "M_INVALID_EMAIL"),
            ("address", json!("x".repeat(600)), "M_INVALID_EMAIL"),
            ("room_id", json!(""), "M_INVALID_PARAM"),
            ("room_id", json!("a\nb"), "M_INVALID_PARAM"),
            ("sender", json!("a"), "M_INVALID_PARAM"),
        ] {
            let answer = api
                .store_invite(with(&address, json!({field: value})))
                .await;
            answer.refused(400, errcode);
        }
    }
    let other = with(&address, json!({"sender": "@b:example.org"}));
    v2.store_invite(other.clone())
        .await
        .refused(403, "M_UNAUTHORIZED");
    assert_eq!(server.database.count("invites"), 0);
    assert_eq!(server.database.count("ephemeral_keys"), 0);
    v1.store_invite(other).await.ok();
    let anonymous = server
        .api()
        .post(&format!("{V2}/store-invite"), json!({}))
        .await;
    anonymous.refused(401, "M_UNAUTHORIZED");
}

/// INV-03, INV-04, IDN-08
#[actix_web::test]
async fn odd_optional_fields_and_room_ids_are_accepted() {
    let server = TestServer::start(|_| {});
    let api = server.account("@a:example.org").await;
    let fields = [
        "room_alias",
        "room_avatar_url",
        "room_join_rules",
        "room_name",
        "room_type",
        "sender_display_name",
        "sender_avatar_url",
        "org.matrix.web_client_location",
        "brand",
        "further",
    ];
    for value in [
        json!(""),
        Value::Null,
        json!(7),
        json!({"a": []}),
        json!("\u{0}\u{202e}"),
    ] {
        let unusual: Map<String, Value> = fields
            .iter()
            .map(|field| ((*field).to_owned(), value.clone()))
            .collect();
        let address = fresh_address("odd");
        api.store_invite(with(&address, Value::Object(unusual)))
            .await
            .ok();
        let mail = server.mails_sent(&address).await.pop().unwrap();
        assert!(mail.text().contains("invited to a room on Matrix"));
    }
    for room in [
        "$aroom:fake.test",
        "!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM",
        "no sigil",
    ] {
        let fields = with(&fresh_address("room"), json!({"room_id": room}));
        api.store_invite(fields).await.ok();
    }
}

/// INV-08, IDN-01
#[actix_web::test]
async fn bound_address_is_not_invited() {
    let server = TestServer::start(|_| {});
    let address = fresh_address("bound");
    let internal = server.internal();
    let mxid = "@alice:example.org";
    internal.internal_bind("email", &address, mxid).await.ok();
    for api in both(&server).await {
        let answer = api.store_invite(by_synapse(&address.to_uppercase())).await;
        let body = answer.refused(400, "M_THREEPID_IN_USE");
        assert_eq!(body["mxid"], mxid);
    }
    assert_eq!(server.database.count("invites"), 0);
    assert!(server.mails_sent(&address).await.is_empty());
    internal.internal_unbind("email", &address, mxid).await.ok();
    server.api().store_invite(by_synapse(&address)).await.ok();
}

/// INV-14, INV-17, INV-25, SEC-07
#[actix_web::test]
async fn each_invite_has_its_own_token_and_key() {
    let server = TestServer::start(|_| {});
    let (api, address) = (server.api(), fresh_address("several"));
    let mut seen = Vec::new();
    for _ in 0..3 {
        let answer = api.store_invite(by_synapse(&address)).await.ok();
        let key = answer["public_keys"][1]["public_key"].clone();
        assert!(!seen.contains(&key) && !seen.contains(&answer["token"]));
        seen.extend([key, answer["token"].clone()]);
    }
    assert_eq!(server.mails_sent(&address).await.len(), 3);
    let server = server.start_again(|_| {});
    assert_eq!(server.database.count("invites"), 3);
    // The only copy of a private key is in the mail.
    assert_eq!(server.database.count("outbox"), 0);
    for key in [&seen[0], &seen[2], &seen[4]] {
        let url = json!(format!("{BASE_URL}{V1}/pubkey/ephemeral/isvalid"));
        assert!(is_valid(&server.api(), &url, key).await);
    }
}

/// INV-10, INV-15
#[actix_web::test]
async fn display_name_length_is_configurable() {
    let server = TestServer::start(|settings| {
        settings.invites.show_local_part = 6;
        settings.invites.show_domain = 8;
    });
    let answer: Answer = server
        .api()
        .store_invite(by_synapse(&fresh_address("1234567890")))
        .await;
    assert_eq!(answer.ok()["display_name"], "123456...@example....");
}

/// GEN-29
#[actix_web::test]
async fn v1_accepts_forms_and_query_strings() {
    let server = TestServer::start(|_| {});
    let (api, path) = (server.api(), format!("{V1}/store-invite"));
    let address = fresh_address("form");
    let fields = [
        ("medium", "email"),
        ("address", address.as_str()),
        ("room_id", "!room:example.org"),
        ("sender", "@a:example.org"),
    ];
    api.post_form(&path, &fields).await.ok();
    let path = format!("{path}?{}", encode(&fields));
    api.send(awc::http::Method::POST, &path, &[], Vec::new())
        .await
        .ok();
}
