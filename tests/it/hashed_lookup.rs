//! The lookups of v2 (section 7).

mod many;

use awc::http::Method;
use serde_json::{Value, json};
use sydent::domain::lookup::{self, Pepper};

use crate::harness::{Api, SERVER_NAME, TestServer, V2};

async fn bind(server: &TestServer, medium: &str, address: &str, mxid: &str) {
    let bound = server.internal().internal_bind(medium, address, mxid).await;
    bound.ok();
}

/// A server with the pepper of the specification's examples, on which Alice has
/// bound an address, and a client with her account.
async fn server() -> (TestServer, Api) {
    let server = TestServer::start(|_| {});
    server
        .database
        .execute("UPDATE lookup_peppers SET pepper = 'matrixrocks'");
    bind(&server, "email", "alice@example.com", "@alice:example.org").await;
    let alice = server.account("@alice:example.org").await;
    (server, alice)
}

fn lookup_fields(algorithm: &str, addresses: &Value) -> Value {
    json!({"algorithm": algorithm, "pepper": "matrixrocks", "addresses": addresses})
}

async fn found(api: &Api, algorithm: &str, addresses: Value) -> Value {
    let found = api
        .hashed_lookup(lookup_fields(algorithm, &addresses))
        .await
        .ok();
    assert_eq!(found.as_object().unwrap().len(), 1, "{found}");
    found["mappings"].clone()
}

const ALICE: &str = "4kenr7N9drpCJ4AfalmlGQVsOn3o2RHjkADUpXJWZUc";
const PHONE: &str = "nlo35_T5fzSGZzJApqu8lgIudJvmOQtDaHtr-I4rU7I";

/// LKP-01, LKP-02
#[actix_web::test]
async fn hash_details_returns_pepper_and_algorithms() {
    let server = TestServer::start(|_| {});
    let alice = server.account("@alice:example.org").await;
    let details = alice.hash_details().await.ok();
    assert_eq!(details["algorithms"], json!(["sha256", "none"]));
    assert_eq!(details.as_object().unwrap().len(), 2, "{details}");
    let pepper = details["lookup_pepper"].as_str().unwrap();
    assert!(pepper.len() >= 16, "{details}");
    assert!(Pepper::parse(pepper).is_ok(), "{details}");
    assert_eq!(alice.hash_details().await.ok(), details);
}

/// AUTH-03, AUTH-10
#[actix_web::test]
async fn hash_details_accepts_a_query_token() {
    let (server, alice) = server().await;
    let path = format!("{V2}/hash_details?access_token={}", alice.token());
    assert_eq!(
        server.api().get(&path).await.ok()["lookup_pepper"],
        "matrixrocks"
    );
    let api = server.api();
    api.hash_details().await.refused(401, "M_UNAUTHORIZED");
    let fields = lookup_fields("sha256", &json!([]));
    api.hashed_lookup(fields)
        .await
        .refused(401, "M_UNAUTHORIZED");
}

/// LKP-03, LKP-04, LKP-06
#[actix_web::test]
async fn specification_example_is_found() {
    let (_server, alice) = server().await;
    let mappings = found(&alice, "sha256", json!([ALICE, PHONE])).await;
    assert_eq!(mappings, json!({ ALICE: "@alice:example.org" }));
    for missing in ["algorithm", "pepper", "addresses"] {
        for absent in [true, false] {
            let mut fields = lookup_fields("sha256", &json!([ALICE]));
            fields[missing] = Value::Null;
            if absent {
                fields.as_object_mut().unwrap().remove(missing);
            }
            let refused = alice.hashed_lookup(fields).await;
            let refused = refused.refused(400, "M_MISSING_PARAMS");
            let named = refused["error"].as_str().unwrap().contains(missing);
            assert!(named, "{refused}");
        }
    }
}

/// LKP-06, IDN-01
#[actix_web::test]
async fn every_vector_is_found_by_its_hash() {
    let (server, alice) = server().await;
    for (medium, address, hash) in [
        (
            "email",
            "bob@example.com",
            "LJwSazmv46n0hlMlsb_iYxI0_HXEqy_yj6Jm636cdT8",
        ),
        ("msisdn", "18005552067", PHONE),
        (
            "email",
            "Strauß@Example.com",
            "Wvo9OL_UvrDZsRecvnhshdTeilXXGbhk0J5l5rX55Ok",
        ),
        (
            "msisdn",
            "447700900001",
            "dF473qZAKqcTbTZct7YzrjGHYgV1YM1hdw68D7pSskg",
        ),
    ] {
        bind(&server, medium, address, "@bob:example.org").await;
        let mappings = found(&alice, "sha256", json!([hash])).await;
        assert_eq!(mappings, json!({ hash: "@bob:example.org" }), "{address}");
    }
}

/// LKP-05, LKP-07, LKP-21
#[actix_web::test]
async fn plain_entries_are_returned_as_submitted() {
    let (server, alice) = server().await;
    bind(&server, "msisdn", "447700900001", "@phone:example.org").await;
    let entries = [
        "ALICE@Example.com email",
        "alice@example.com email",
        "447700900001 msisdn",
    ];
    let mappings = found(&alice, "none", json!(entries)).await;
    let (mail, phone) = ("@alice:example.org", "@phone:example.org");
    assert_eq!(
        mappings,
        json!({ entries[0]: mail, entries[1]: mail, entries[2]: phone })
    );
}

/// LKP-08
#[actix_web::test]
async fn malformed_entries_match_nothing() {
    let (_server, alice) = server().await;
    let mail = "alice@example.com email";
    for bad in [
        "",
        " ",
        "\0",
        "alice@example.com",
        "alice@example.com email more",
        "alice@example.com twitter",
        "alice@example.com  email",
        "é \u{1f600}",
        "4kenr7N9drpCJ4AfalmlGQVsOn3o2RHjkADUpXJWZUc=",
        "4kenr7N9drpCJ4AfalmlGQVsOn3o2RHjkADUpXJWZU\0",
        "4KENR7N9drpCJ4AfalmlGQVsOn3o2RHjkADUpXJWZUc",
    ] {
        let mappings = found(&alice, "none", json!([bad, mail])).await;
        assert_eq!(mappings, json!({ mail: "@alice:example.org" }), "{bad:?}");
        let mappings = found(&alice, "sha256", json!([bad, ALICE, mail])).await;
        assert_eq!(mappings, json!({ ALICE: "@alice:example.org" }), "{bad:?}");
    }
}

/// LKP-09
#[actix_web::test]
async fn wrong_pepper_is_rejected_with_the_current_one() {
    let (_server, alice) = server().await;
    for algorithm in ["sha256", "none"] {
        for pepper in ["", "matrixrock", "MatrixRocks", "matrixrocks "] {
            let mut fields = lookup_fields(algorithm, &json!([ALICE]));
            fields["pepper"] = json!(pepper);
            let refused = alice.hashed_lookup(fields).await;
            let refused = refused.refused(400, "M_INVALID_PEPPER");
            assert_eq!(refused["algorithm"], algorithm);
            assert_eq!(refused["lookup_pepper"], "matrixrocks");
        }
    }
}

/// LKP-10
#[actix_web::test]
async fn unknown_algorithm_is_rejected_before_pepper() {
    let (_server, alice) = server().await;
    for algorithm in ["", "SHA256", "sha512", "sha256 "] {
        let mut fields = lookup_fields(algorithm, &json!([ALICE]));
        fields["pepper"] = json!("wrong");
        let refused = alice.hashed_lookup(fields).await;
        let refused = refused.refused(400, "M_INVALID_PARAM");
        assert_eq!(refused.as_object().unwrap().len(), 2, "{refused}");
    }
}

fn many(count: usize) -> Value {
    let entry = |n| lookup::hash(&n_th(n), "email", &Pepper::parse("matrixrocks").unwrap());
    (0..count).map(entry).collect()
}

fn n_th(n: usize) -> String {
    format!("user-number-{n}@example.com")
}

/// LKP-13, LKP-14
#[actix_web::test]
async fn empty_list_is_valid_and_wrong_types_are_not() {
    let (_server, alice) = server().await;
    for algorithm in ["sha256", "none"] {
        assert_eq!(found(&alice, algorithm, json!([])).await, json!({}));
        for addresses in [
            json!([1]),
            json!([ALICE, null]),
            json!([[ALICE]]),
            json!([{}]),
            json!([true]),
            json!(ALICE),
            json!({ ALICE: ALICE }),
        ] {
            let refused = alice
                .hashed_lookup(lookup_fields(algorithm, &addresses))
                .await;
            refused.refused(400, "M_INVALID_PARAM");
        }
    }
}

/// LKP-15
#[actix_web::test]
async fn binding_is_found_until_it_expires() {
    let server = TestServer::start_with_clock(|_| {});
    server
        .database
        .execute("UPDATE lookup_peppers SET pepper = 'matrixrocks'");
    bind(&server, "email", "alice@example.com", "@alice:example.org").await;
    let entries = [("sha256", ALICE), ("none", "alice@example.com email")];
    let expect_found = async |expected: bool| {
        // An unused token ends long before the binding.
        let alice = server.account("@alice:example.org").await;
        for (algorithm, entry) in entries {
            let mappings = found(&alice, algorithm, json!([entry])).await;
            assert_eq!(!mappings.as_object().unwrap().is_empty(), expected);
        }
    };
    expect_found(true).await;
    server.advance(sydent::domain::association::LIFETIME_MS - 1);
    expect_found(true).await;
    server.advance(1);
    expect_found(false).await;
}

/// LKP-15
#[actix_web::test]
async fn unbound_address_is_not_found() {
    let (server, alice) = server().await;
    let internal = server.internal();
    internal
        .internal_unbind("email", "alice@example.com", "@alice:example.org")
        .await
        .ok();
    assert_eq!(found(&alice, "sha256", json!([ALICE])).await, json!({}));
}

/// LKP-16, SEC-17
#[actix_web::test]
async fn newest_binding_wins() {
    let (server, alice) = server().await;
    for mxid in ["@zoe:example.org", "@bob:example.org"] {
        bind(&server, "email", "alice@example.com", mxid).await;
        assert_eq!(
            found(&alice, "sha256", json!([ALICE])).await,
            json!({ ALICE: mxid })
        );
    }
    // Bindings of other servers, first an older and then a newer one.
    let copy = |origin: &str, mxid: &str, ts: &str| {
        server.database.execute(&format!(
            "INSERT INTO associations (medium, address, origin, mxid, ts, not_before, not_after, \
             lookup_hash, signed) SELECT medium, address, '{origin}', '{mxid}', {ts}, not_before, \
             not_after, lookup_hash, signed FROM associations WHERE origin = '{SERVER_NAME}'"
        ));
    };
    copy("older.example", "@zzz:example.org", "ts - 1000");
    assert_eq!(
        found(&alice, "sha256", json!([ALICE])).await,
        json!({ ALICE: "@bob:example.org" })
    );
    copy("newer.example", "@aaa:example.org", "ts + 1000");
    for (algorithm, entry) in [("sha256", ALICE), ("none", "alice@example.com email")] {
        assert_eq!(
            found(&alice, algorithm, json!([entry])).await,
            json!({ entry: "@aaa:example.org" })
        );
    }
}

/// LKP-17
#[actix_web::test]
async fn user_id_is_not_mapped_to_addresses() {
    let (_server, alice) = server().await;
    for entry in [
        "@alice:example.org",
        "@alice:example.org email",
        "@alice:example.org mxid",
    ] {
        for algorithm in ["sha256", "none"] {
            assert_eq!(found(&alice, algorithm, json!([entry])).await, json!({}));
        }
    }
}

/// LKP-20
#[actix_web::test]
async fn plain_lookups_can_be_disabled() {
    let server = TestServer::start(|settings| settings.lookup.allow_none = false);
    let alice = server.account("@alice:example.org").await;
    let details = alice.hash_details().await.ok();
    assert_eq!(details["algorithms"], json!(["sha256"]));
    let mut fields = lookup_fields("none", &json!(["alice@example.com email"]));
    fields["pepper"] = details["lookup_pepper"].clone();
    let refused = alice.hashed_lookup(fields).await;
    refused.refused(400, "M_INVALID_PARAM");
}

/// GEN-04, GEN-06, GEN-07, GEN-28
#[actix_web::test]
async fn body_is_json_for_any_content_type() {
    let (server, alice) = server().await;
    let (path, body) = (
        format!("{V2}/lookup"),
        lookup_fields("sha256", &json!([ALICE])).to_string(),
    );
    for kind in ["", "text/plain", "application/x-www-form-urlencoded"] {
        let headers = [("content-type", kind)];
        let answer = alice
            .send(Method::POST, &path, &headers, body.clone().into())
            .await;
        assert_eq!(
            answer.ok()["mappings"],
            json!({ ALICE: "@alice:example.org" })
        );
    }
    for bad in ["", "nonsense", "[]", "NaN"] {
        let answer = alice.send(Method::POST, &path, &[], bad.into()).await;
        answer.refused(400, "M_BAD_JSON");
        let answer = server
            .api()
            .send(Method::POST, &path, &[], bad.into())
            .await;
        answer.refused(401, "M_UNAUTHORIZED");
    }
}
