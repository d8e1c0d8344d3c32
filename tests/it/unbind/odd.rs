//! What is no good request to unbind.

use awc::http::Method;
use serde_json::{Value, json};

use super::{HERE, Signing, body, bound, owner, v2};
use crate::harness::{V1, V2};

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
    assert_eq!(owner(&server).await, Some(alice));
    assert!(homeserver.heard().is_empty());
}

#[actix_web::test]
async fn net_21_odd_but_good_headers_are_understood() {
    let (server, homeserver) = bound().await;
    let alice = homeserver.user("alice");
    let body = body(&alice);
    let good = Signing::to(HERE).header(&homeserver, &body);
    let bare = good.replace('"', "");
    for header in [
        good.replace("X-Matrix ", "x-matrix   "),
        good.replace(',', " ,\t"),
        good.replace("origin=", "ORIGIN="),
        good.replace("sig=", "signature="),
        good.replace("key=", "extra=\"a,\\\"b\",key="),
        bare,
    ] {
        super::bind(&server, &alice).await;
        v2(&server)
            .unbind(&[("authorization", &header)], &body)
            .await
            .ok();
        assert_eq!(owner(&server).await, None, "{header}");
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
        (
            with("medium", json!("twitter")),
            "M_INVALID_PARAM",
            "medium",
        ),
        (with("address", json!([])), "M_INVALID_PARAM", "address"),
        (
            with("address", json!("nonsense")),
            "M_INVALID_PARAM",
            "address",
        ),
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
    assert_eq!(owner(&server).await, Some(alice));
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
    assert_eq!(owner(&server).await, Some(alice));
}
