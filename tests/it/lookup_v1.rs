//! The lookups of v1 (section 13).

mod bulk;

use awc::http::Method;
use serde_json::{Value, json};
use sydent::domain::ids::KeyId;
use sydent::domain::public_key::PublicKey;
use sydent::domain::{association, signing};

use crate::harness::{SERVER_NAME, TestServer, V1, V2};

/// Spellings of addresses and their canonical forms (18.1).
const SPELLINGS: [(&str, &str); 10] = [
    ("ALICE@EXAMPLE.COM", "alice@example.com"),
    ("Strauß@Example.com", "strauss@example.com"),
    ("ẞ@x.yy", "ss@x.yy"),
    ("ſ@x.yy", "s@x.yy"),
    ("ﬁsh@example.com", "fish@example.com"),
    ("ΑΣ@example.com", "\u{3b1}\u{3c3}@example.com"),
    ("\u{212a}im@Example.com", "kim@example.com"),
    ("İ@example.com", "i\u{307}@example.com"),
    ("a@BÜCHER.example", "a@bücher.example"),
    ("a@xn--bcher-kva.example", "a@bücher.example"),
];

async fn bind(server: &TestServer, medium: &str, address: &str, mxid: &str) -> Value {
    server
        .internal()
        .internal_bind(medium, address, mxid)
        .await
        .ok()
}

/// V1L-01, BND-02, BND-04, GEN-26
#[actix_web::test]
async fn returns_signed_association_or_empty_object() {
    let server = TestServer::start_with_clock(|_| {});
    let now = server.now();
    bind(&server, "email", "alice@example.com", "@alice:example.org").await;
    let found = server.api().lookup("email", "alice@example.com").await.ok();
    let mut unsigned = found.clone();
    unsigned.as_object_mut().unwrap().remove("signatures");
    assert_eq!(
        unsigned,
        json!({
            "medium": "email", "address": "alice@example.com", "mxid": "@alice:example.org",
            "ts": now, "not_before": now, "not_after": now + association::LIFETIME_MS,
        })
    );
    let id = KeyId::parse("ed25519:0").unwrap();
    let key = server
        .api()
        .get(&format!("{V2}/pubkey/ed25519:0"))
        .await
        .ok();
    let key = PublicKey::from_base64(key["public_key"].as_str().unwrap()).unwrap();
    assert!(signing::verify(
        found.as_object().unwrap(),
        SERVER_NAME,
        &id,
        &key
    ));

    assert_eq!(
        server.api().lookup("email", "bob@example.com").await.ok(),
        json!({})
    );
}

/// BND-03, SEC-13
#[actix_web::test]
async fn association_contains_no_invites() {
    let server = TestServer::start(|_| {});
    let keys = [
        "address",
        "medium",
        "mxid",
        "not_after",
        "not_before",
        "signatures",
        "ts",
    ];
    for (address, mxid) in [
        ("a@example.com", "@a:example.org"),
        ("b@example.com", "@b:example.org"),
    ] {
        let bound = bind(&server, "email", address, mxid).await;
        let found = server.api().lookup("email", address).await.ok();
        for association in [bound, found] {
            assert!(
                association.as_object().unwrap().keys().eq(keys),
                "{association}"
            );
        }
    }
}

/// V1L-02, IDN-01, IDN-02, IDN-03
#[actix_web::test]
async fn address_is_found_in_every_spelling() {
    let server = TestServer::start(|_| {});
    for (spelling, canonical) in SPELLINGS {
        let bound = bind(&server, "email", spelling, "@alice:example.org").await;
        assert_eq!(bound["address"], canonical);
        for address in [spelling, canonical] {
            assert_eq!(
                server.api().lookup("email", address).await.ok(),
                bound,
                "{address}"
            );
        }
    }
    let lower_cased = server
        .api()
        .lookup("email", "strauß@example.com")
        .await
        .ok();
    assert_eq!(lower_cased["address"], "strauss@example.com");
}

/// V1L-07
#[actix_web::test]
async fn post_to_v1_lookup_is_405() {
    let server = TestServer::start(|_| {});
    let answer = server
        .api()
        .send(Method::POST, &format!("{V1}/lookup"), &[], b"{}".to_vec())
        .await;
    answer.refused(405, "M_UNRECOGNIZED");
}

/// IDN-05, IDN-06
#[actix_web::test]
async fn invalid_threepid_is_not_found() {
    let server = TestServer::start(|_| {});
    bind(&server, "email", "alice@example.com", "@alice:example.org").await;
    bind(&server, "msisdn", "447700900001", "@alice:example.org").await;
    for (medium, address) in [
        ("Email", "alice@example.com"),
        ("EMAIL", "alice@example.com"),
        ("email ", "alice@example.com"),
        ("", "alice@example.com"),
        ("twitter", "alice"),
        ("msisdn", "alice@example.com"),
        ("MSISDN", "447700900001"),
        ("msisdn", "+447700900001"),
        ("msisdn", "44 7700 900001"),
        ("msisdn", "4477009000010000"),
        ("email", "447700900001"),
        ("email", ""),
        ("email", "alice"),
        ("email", "Alice <alice@example.com>"),
        ("email", " alice@example.com"),
        ("email", "alice@example.com\0"),
    ] {
        assert_eq!(
            server.api().lookup(medium, address).await.ok(),
            json!({}),
            "{medium} {address}"
        );
        let bulk = server
            .api()
            .bulk_lookup(json!([[medium, address]]))
            .await
            .ok();
        assert_eq!(bulk, json!({"threepids": []}), "{medium} {address}");
    }
    for query in ["", "?medium=email", "?address=alice@example.com"] {
        let answer = server.api().get(&format!("{V1}/lookup{query}")).await;
        answer.refused(400, "M_MISSING_PARAMS");
    }
}

/// BND-09, BND-10, OPS-05
#[actix_web::test]
async fn newest_binding_is_found_until_it_expires() {
    let server = TestServer::start_with_clock(|_| {});
    let api = server.api();
    for mxid in [
        "@alice:example.org",
        "@bob:example.org",
        "@aaron:example.org",
    ] {
        server.advance(1000);
        bind(&server, "email", "a@example.com", mxid).await;
        assert_eq!(
            api.lookup("email", "a@example.com").await.ok()["mxid"],
            mxid
        );
        let bulk = api
            .bulk_lookup(json!([["email", "a@example.com"]]))
            .await
            .ok();
        assert_eq!(
            bulk,
            json!({"threepids": [["email", "a@example.com", mxid]]})
        );
    }
    assert_eq!(server.database.count("associations"), 1);
    server.advance(association::LIFETIME_MS - 1);
    assert_eq!(
        api.lookup("email", "a@example.com").await.ok()["mxid"],
        "@aaron:example.org"
    );
    server.advance(1);
    assert_eq!(api.lookup("email", "a@example.com").await.ok(), json!({}));
    let bulk = api
        .bulk_lookup(json!([["email", "a@example.com"]]))
        .await
        .ok();
    assert_eq!(bulk, json!({"threepids": []}));
}
