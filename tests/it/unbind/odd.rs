//! Unusual and invalid requests to unbind.

use awc::http::Method;
use serde_json::{Value, json};

use super::{HERE, Signing, body, bound, bound_user, v2};
use crate::harness::{SERVER_KEYS, V1, V2};

#[actix_web::test]
async fn unb_08_net_21_net_22_a_malformed_signature_is_403() {
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

#[actix_web::test]
async fn net_21_odd_but_good_headers_are_understood() {
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

#[actix_web::test]
async fn unb_01_unb_20_gen_08_gen_09_what_is_missing_or_of_another_type_is_named() {
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

#[actix_web::test]
async fn cry_03_a_number_without_canonical_form_was_signed_by_nobody() {
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

#[actix_web::test]
async fn idn_06_unb_08_unb_09_what_cannot_be_bound_needs_no_unbinding_but_a_proof() {
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

#[actix_web::test]
async fn gen_28_unb_04_a_bad_token_is_401_whatever_the_body_says() {
    let (server, _homeserver) = bound().await;
    let api = v2(&server).with_token("nobody's");
    let path = format!("{V2}/3pid/unbind");
    for bad in ["", "nonsense", "{}", &"x".repeat(33 * 1024)] {
        let answer = api.send(Method::POST, &path, &[], bad.into()).await;
        answer.refused(401, "M_UNAUTHORIZED");
    }
}

#[actix_web::test]
async fn sec_25_a_body_that_no_homeserver_sends_is_too_large() {
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
