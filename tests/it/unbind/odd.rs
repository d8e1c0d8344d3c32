//! Unusual and invalid requests to unbind.

use awc::http::Method;
use serde_json::{Value, json};

use super::{HERE, Signing, body, bound, bound_user, v2};
use crate::harness::{SERVER_KEYS, V1, V2};

/// UNB-08, NET-21, NET-22
#[actix_web::test]
async fn malformed_signature_is_403() {
    let (server, homeserver) = bound().await;
    let alice = homeserver.user("alice");
    let body = body(&alice);
    for header in [
        "X-Matrix",
        "X-Matrix nonsense",
        "X-Matrix origin=\"a/b\",key=\"ed25519:1\",sig=\"x\"",
        "X-Matrix origin=\"example.com#\",key=\"ed25519:1\",sig=\"x\"",
        "X-Matrix origin=\"a?b\",key=\"ed25519:1\",sig=\"x\"",
        "X-Matrix origin=\"a@b\",key=\"ed25519:1\",sig=\"x\"",
        "X-Matrix origin=\"169.254.169.254\",key=\"ed25519:1\",sig=\"x\"",
        "X-Matrix origin=\"[::1]\",key=\"ed25519:1\",sig=\"x\"",
        "X-Matrix origin=\"a.example\",key=\"ed25519:1\",sig=\"x\",sig=\"x\"",
    ] {
        let answer = v2(&server)
            .unbind(&[("authorization", header)], &body)
            .await;
        answer.refused(403, "M_FORBIDDEN");
    }
    assert_eq!(bound_user(&server).await, Some(alice));
    assert!(homeserver.requests_to(SERVER_KEYS).is_empty());
}

/// NET-21
#[actix_web::test]
async fn unusual_but_valid_headers_are_accepted() {
    let (server, homeserver) = bound().await;
    let alice = homeserver.user("alice");
    let body = body(&alice);
    let good = Signing::to(HERE).header(&homeserver, &body);
    let unquoted = good.replace('"', "");
    for header in [
        good.replace("X-Matrix ", "x-matrix   "),
        good.replace(',', " ,\t"),
        good.replace("origin=", "ORIGIN="),
        good.replace("sig=", "signature="),
        good.replace("key=", "extra=\"a,\\\"b\",key="),
        unquoted,
    ] {
        super::bind(&server, &alice).await;
        v2(&server)
            .unbind(&[("authorization", &header)], &body)
            .await
            .ok();
        assert_eq!(bound_user(&server).await, None, "{header}");
    }
}

/// UNB-01, UNB-20, GEN-08, GEN-09
#[actix_web::test]
async fn missing_and_mistyped_fields_are_named() {
    let (server, homeserver) = bound().await;
    let alice = homeserver.user("alice");
    let threepid = json!({"medium": "email", "address": "alice@example.com"});
    let with = |name: &str, value: Value| {
        let mut threepid = threepid.clone();
        threepid[name] = value;
        json!({"mxid": alice, "threepid": threepid})
    };
    for (fields, errcode, named) in [
        (json!({}), "M_MISSING_PARAMS", "mxid, threepid"),
        (json!({"mxid": alice}), "M_MISSING_PARAMS", "threepid"),
        (json!({"threepid": threepid}), "M_MISSING_PARAMS", "mxid"),
        (with("medium", Value::Null), "M_MISSING_PARAMS", "medium"),
        (with("address", Value::Null), "M_MISSING_PARAMS", "address"),
        (with("medium", json!(1)), "M_INVALID_PARAM", "medium"),
        (with("address", json!([])), "M_INVALID_PARAM", "address"),
        (
            json!({"mxid": "alice", "threepid": threepid}),
            "M_INVALID_PARAM",
            "mxid",
        ),
        (
            json!({"mxid": alice, "threepid": "x"}),
            "M_INVALID_PARAM",
            "threepid",
        ),
        (
            json!({"mxid": alice, "threepid": threepid, "sid": "x"}),
            "M_MISSING_PARAMS",
            "client_secret",
        ),
        (
            json!({"mxid": alice, "threepid": threepid, "sid": "x", "client_secret": "\n"}),
            "M_INVALID_PARAM",
            "client_secret",
        ),
    ] {
        for version in [V1, V2] {
            let api = server.api().on(version);
            let refused = api.unbind(&[], &fields).await.refused(400, errcode);
            assert!(
                refused["error"].as_str().unwrap().contains(named),
                "{refused}"
            );
        }
    }
    for bad in ["", "[]", "nonsense"] {
        let path = format!("{V2}/3pid/unbind");
        let answer = v2(&server).send(Method::POST, &path, &[], bad.into()).await;
        answer.refused(400, "M_BAD_JSON");
    }
    assert_eq!(bound_user(&server).await, Some(alice));
}

/// CRY-03
#[actix_web::test]
async fn non_canonical_number_is_403() {
    let (server, homeserver) = bound().await;
    let alice = homeserver.user("alice");
    let header = Signing::to(HERE).header(&homeserver, &body(&alice));
    let mut fields = body(&alice);
    fields["x"] = json!(1.5);
    let refused = v2(&server)
        .unbind(&[("authorization", &header)], &fields)
        .await;
    refused.refused(403, "M_FORBIDDEN");
    assert_eq!(bound_user(&server).await, Some(alice));
}

/// IDN-06, UNB-08, UNB-09
#[actix_web::test]
async fn unbindable_threepid_is_200_with_a_proof() {
    let (server, homeserver) = bound().await;
    let alice = homeserver.user("alice");
    for (medium, address) in [
        ("twitter", "alice@example.com"),
        ("Email", "alice@example.com"),
        ("email", "nonsense"),
        ("msisdn", "alice@example.com"),
    ] {
        let fields = json!({"mxid": alice, "threepid": {"medium": medium, "address": address}});
        let header = Signing::to(HERE).header(&homeserver, &fields);
        let signed = [("authorization", header.as_str())];
        let answer = v2(&server).unbind(&signed, &fields).await;
        assert_eq!(answer.ok(), json!({}), "{medium} {address}");
        let bad = header.replace("sig=\"", "sig=\"A");
        let refused = v2(&server)
            .unbind(&[("authorization", &bad)], &fields)
            .await;
        refused.refused(403, "M_FORBIDDEN");
        let unproven = v2(&server).unbind(&[], &fields).await;
        unproven.refused(401, "M_UNAUTHORIZED");
    }
    assert_eq!(bound_user(&server).await, Some(alice));
}

/// GEN-28, UNB-04
#[actix_web::test]
async fn bad_token_is_401_for_any_body() {
    let (server, _homeserver) = bound().await;
    let api = v2(&server).with_token("nobody's");
    let path = format!("{V2}/3pid/unbind");
    for bad in ["", "nonsense", "{}", &"x".repeat(33 * 1024)] {
        let answer = api.send(Method::POST, &path, &[], bad.into()).await;
        answer.refused(401, "M_UNAUTHORIZED");
    }
}

/// SEC-25
#[actix_web::test]
async fn oversized_signed_body_is_413() {
    let (server, homeserver) = bound().await;
    let alice = homeserver.user("alice");
    let mut fields = body(&alice);
    fields["x"] = "x".repeat(32 * 1024).into();
    let header = Signing::to(HERE).header(&homeserver, &fields);
    let refused = v2(&server)
        .unbind(&[("authorization", &header)], &fields)
        .await;
    refused.refused(413, "M_TOO_LARGE");
    assert_eq!(bound_user(&server).await, Some(alice));
    assert!(homeserver.requests_to(SERVER_KEYS).is_empty());
}
