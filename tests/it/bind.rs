//! `3pid/bind` of v1 (section 12 of the conformance list), and the signature of
//! the association that it returns (section 20).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::{Value, json};

use crate::harness::{Api, SERVER_NAME, TestServer, V1, V2, encode, fresh_address};

const CENTURY_MS: i64 = 100 * 365 * 24 * 60 * 60 * 1000;

/// Verifies the signature of an association with the key that the server
/// publishes, without the server's code: for these objects, canonical JSON is what
/// `serde_json` writes for a sorted map.
async fn expect_signed(api: &Api, association: &Value) {
    let mut object = association.as_object().unwrap().clone();
    let signatures = object.remove("signatures").unwrap();
    let own_signatures = signatures[SERVER_NAME].as_object().unwrap();
    assert_eq!(
        (signatures.as_object().unwrap().len(), own_signatures.len()),
        (1, 1),
        "{signatures}"
    );
    let (key_id, signature) = own_signatures.iter().next().unwrap();
    let signature = STANDARD_NO_PAD.decode(signature.as_str().unwrap()).unwrap();
    for version in [V1, V2] {
        let key = api.get(&format!("{version}/pubkey/{key_id}")).await.ok();
        let key = STANDARD_NO_PAD
            .decode(key["public_key"].as_str().unwrap())
            .unwrap();
        let key = VerifyingKey::from_bytes(key.as_slice().try_into().unwrap()).unwrap();
        let signed = Value::Object(object.clone()).to_string();
        key.verify_strict(
            signed.as_bytes(),
            &Signature::from_slice(&signature).unwrap(),
        )
        .unwrap();
    }
}

/// BND-01
#[actix_web::test]
async fn fields_are_required_strings() {
    let server = TestServer::start(|_| {});
    let session = server.validate(&fresh_address("fields")).await;
    let valid = json!({"sid": session.sid, "client_secret": "secret", "mxid": "@a:example.org"});
    let path = format!("{V1}/3pid/bind");
    for field in ["sid", "client_secret", "mxid"] {
        let mut fields = valid.clone();
        fields[field] = Value::Null;
        let answer = server.api().post(&path, fields.clone()).await;
        let error = answer.refused(400, "M_MISSING_PARAMS")["error"].to_string();
        assert!(error.contains(field), "{error}");
        for wrong in [json!(1), json!(true), json!([]), json!({})] {
            fields[field] = wrong;
            let answer = server.api().post(&path, fields.clone()).await;
            answer.refused(400, "M_INVALID_PARAM");
        }
    }
    assert_eq!(server.database.count("associations"), 0);
    server.api().post(&path, valid).await.ok();
}

/// BND-02, BND-03, BND-04, BND-05, BND-14, CRY-04, CRY-06
#[actix_web::test]
async fn response_is_a_signed_association() {
    let server = TestServer::start_with_clock(|_| {});
    let api = server.api();
    let session = server.validate(&fresh_address("answer")).await;
    server.advance(1234);
    let bound = api.bind(&session.sid, "secret", "@alice:example.org").await;
    let bound = bound.ok();
    let keys: Vec<_> = bound.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "address",
            "medium",
            "mxid",
            "not_after",
            "not_before",
            "signatures",
            "ts"
        ]
    );
    assert_eq!(
        (&bound["medium"], &bound["address"], &bound["mxid"]),
        (
            &json!("email"),
            &json!(session.address),
            &json!("@alice:example.org")
        )
    );
    assert_eq!(
        (&bound["ts"], &bound["not_before"], &bound["not_after"]),
        (
            &json!(server.now()),
            &json!(server.now()),
            &json!(server.now() + CENTURY_MS)
        )
    );
    expect_signed(&api, &bound).await;
    expect_signed(&api, &api.lookup("email", &session.address).await.ok()).await;
}

/// CRY-04
#[actix_web::test]
async fn signature_matches_the_known_vector() {
    let server = TestServer::start_with_clock_at(1_428_825_849_161, |_| {});
    let session = server.validate("louise@bobs.burgers").await;
    let bound = server
        .api()
        .bind(&session.sid, "secret", "@ears:matrix.org")
        .await;
    assert_eq!(
        bound.ok()["signatures"],
        json!({SERVER_NAME: {"ed25519:0":
            "h2QHOGcKSH3OHlhuLi0NnWhbHQpEzIUJt6aGNgXu0gPqmwpamdYpzCT3RwfsoLmR2NzO/fZWrV18G7ypGR08AQ"
        }})
    );
}

/// BND-06, BND-16
#[actix_web::test]
async fn invalid_session_binds_nothing() {
    let server = TestServer::start_with_clock(|_| {});
    let api = server.api();
    let (pending, _) = server.request_mail(&fresh_address("none"), "secret").await;
    let session = server.validate(&fresh_address("none")).await;
    let refused = async |sid: &str, secret: &str, status, errcode| {
        let answer = api.bind(sid, secret, "@a:example.org").await;
        let error = answer.refused(status, errcode)["error"].clone();
        // Apps show this text to their users.
        let error = error.as_str().unwrap();
        assert!(error.len() < 120 && error.lines().count() == 1, "{error}");
        assert!(!error.contains(sid) && !error.contains('@'), "{error}");
    };
    refused(&pending, "secret", 400, "M_SESSION_NOT_VALIDATED").await;
    refused("nonesuch", "secret", 404, "M_NO_VALID_SESSION").await;
    refused(&session.sid, "other", 404, "M_NO_VALID_SESSION").await;
    server.advance(24 * 60 * 60 * 1000 + 1);
    refused(&session.sid, "secret", 400, "M_SESSION_EXPIRED").await;
    refused(&pending, "secret", 400, "M_SESSION_EXPIRED").await;
    assert_eq!(server.database.count("associations"), 0);
}

/// BND-08, IDN-07
#[actix_web::test]
async fn only_valid_user_ids_are_accepted() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    let session = server.validate(&fresh_address("mxid")).await;
    for bad in [
        "",
        "alice",
        "@alice",
        "alice:example.org",
        "@alice:",
        "#alice:example.org",
        "@alice:example.org/x",
        "@alice:exa mple.org",
        "@alice:example.org:99999",
        "@al\0ice:example.org",
        "@alice:x:y:z",
        &format!("@{}:example.org", "a".repeat(250)),
    ] {
        let answer = api.bind(&session.sid, "secret", bad).await;
        answer.refused(400, "M_INVALID_PARAM");
    }
    assert_eq!(server.database.count("associations"), 0);
    for good in [
        "@alice:example.org",
        "@Alice/=_.-+:example.org:8448",
        "@ålice:[::1]:8448",
        "@a\"\\b:example.org",
        "@:example.org",
        "@Old Name:example.org",
        "@al\nice:example.org",
        "@1:10.0.0.1",
        &format!("@{}:example.org", "a".repeat(242)),
    ] {
        let bound = api.bind(&session.sid, "secret", good).await.ok();
        assert_eq!(bound["mxid"], good);
        expect_signed(&api, &bound).await;
    }
}

/// BND-09, BND-10, BND-12
#[actix_web::test]
async fn newest_binding_wins_immediately() {
    let server = TestServer::start(|_| {});
    let (api, internal) = (server.api(), server.internal());
    let address = fresh_address("newest");
    let session = server.validate(&address).await;
    // Another user validates the same address with another client secret.
    let answer = api.request_token(&address, "theirs", 1).await.ok();
    let other_sid = answer["sid"].as_str().unwrap();
    let token = server.mails_sent(&address).await.pop().unwrap().token();
    api.submit_token(other_sid, "theirs", &token).await.ok();

    for (sid, secret, mxid) in [
        (session.sid.as_str(), "secret", "@alice:one.example"),
        (other_sid, "theirs", "@eve:two.example"),
        (&session.sid, "secret", "@alice:one.example"),
        (&session.sid, "secret", "@alice:three.example"),
    ] {
        let bound = api.bind(sid, secret, mxid).await.ok();
        assert_eq!(api.lookup("email", &address).await.ok(), bound);
        let query = encode(&[("medium", "email"), ("address", &address)]);
        let path = format!("/_matrix/identity/internal/lookup?{query}");
        assert_eq!(internal.get(&path).await.ok(), bound);
        let found = api.bulk_lookup(json!([["email", address]])).await.ok();
        assert_eq!(found, json!({"threepids": [["email", address, mxid]]}));
        assert_eq!(server.database.count("associations"), 1);
    }
}

/// BND-11
#[actix_web::test]
async fn repeated_bind_signs_again() {
    let server = TestServer::start_with_clock(|_| {});
    let api = server.api();
    let session = server.validate(&fresh_address("repeat")).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let bound = api
            .bind(&session.sid, "secret", "@a:example.org")
            .await
            .ok();
        assert_eq!(bound["ts"], server.now());
        expect_signed(&api, &bound).await;
        assert!(!seen.contains(&bound["signatures"]));
        seen.push(bound["signatures"].clone());
        server.advance(1);
    }
    assert_eq!(server.database.count("associations"), 1);
}

/// BND-15
#[actix_web::test]
async fn binding_and_onbind_are_stored_atomically() {
    let server = TestServer::start(|_| {});
    let address = fresh_address("whole");
    let bind = async || {
        let user = "@alice:example.org";
        server
            .internal()
            .internal_bind("email", &address, user)
            .await
    };
    server.database.execute("ALTER TABLE outbox RENAME TO away");
    assert!(bind().await.status >= 500);
    assert_eq!(server.database.count("associations"), 0);
    server.database.execute("ALTER TABLE away RENAME TO outbox");
    bind().await.ok();
    assert_eq!(server.database.count("associations"), 1);
    let notifications = server.database.count("outbox");
    assert_eq!(notifications, 1, "the onbind notification is queued");
}
