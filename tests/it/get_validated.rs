//! `3pid/getValidated3pid` (section 11 of the conformance list). VAL-07 is tested
//! in `session_ends`.

use serde_json::json;

use crate::harness::{TestServer, V1, encode, fresh_address};

/// VAL-01, VAL-02, VAL-03, VAL-06
#[actix_web::test]
async fn returns_address_and_validation_time() {
    let server = TestServer::start_with_clock(|_| {});
    let api = server.api();
    let address = fresh_address("when");
    let (sid, mail) = {
        let answer = api
            .request_token(&address.to_uppercase(), "secret", 1)
            .await;
        let sid = answer.ok()["sid"].as_str().unwrap().to_owned();
        (sid, server.mails_sent(&address).await.pop().unwrap())
    };
    server.advance(1234);
    let validated_at = server.now();
    api.submit_token(&sid, "secret", &mail.token()).await.ok();
    server.advance(60_000);
    // Submitting the token again or requesting the mail again validates nothing.
    api.submit_token(&sid, "secret", &mail.token()).await.ok();
    api.request_token(&address, "secret", 1).await.ok();
    assert_eq!(
        api.get_validated(&sid, "secret").await.ok(),
        json!({"medium": "email", "address": address, "validated_at": validated_at})
    );
}

/// VAL-04, VAL-05, VAL-06
#[actix_web::test]
async fn every_failure_is_an_error_status() {
    let server = TestServer::start_with_clock(|_| {});
    let api = server.api();
    let (pending, _) = server.request_mail(&fresh_address("no"), "secret").await;
    let validated = server.validate(&fresh_address("no")).await;
    let (pending, validated) = (pending.as_str(), validated.sid.as_str());
    for (fields, status, errcode) in [
        (
            vec![("sid", pending), ("client_secret", "secret")],
            400,
            "M_SESSION_NOT_VALIDATED",
        ),
        (
            vec![("sid", pending), ("client_secret", "other")],
            404,
            "M_NO_VALID_SESSION",
        ),
        (
            vec![("sid", validated), ("client_secret", "other")],
            404,
            "M_NO_VALID_SESSION",
        ),
        (
            vec![("sid", "nonesuch"), ("client_secret", "secret")],
            404,
            "M_NO_VALID_SESSION",
        ),
        (vec![("sid", validated)], 400, "M_MISSING_PARAMS"),
        (vec![("client_secret", "secret")], 400, "M_MISSING_PARAMS"),
        (vec![], 400, "M_MISSING_PARAMS"),
        (
            vec![("sid", validated), ("client_secret", "")],
            400,
            "M_INVALID_PARAM",
        ),
        (
            vec![("sid", validated), ("client_secret", "sec\n")],
            400,
            "M_INVALID_PARAM",
        ),
        (
            vec![("sid", ""), ("client_secret", "secret")],
            400,
            "M_INVALID_PARAM",
        ),
    ] {
        let query = encode(&fields);
        let answer = api
            .get(&format!("{V1}/3pid/getValidated3pid?{query}"))
            .await;
        let body = answer.refused(status, errcode);
        // Old homeservers take a `medium` as success.
        assert_eq!(body.get("medium"), None);
    }
    server.advance(24 * 60 * 60 * 1000 + 1);
    for sid in [pending, validated] {
        api.get_validated(sid, "secret")
            .await
            .refused(400, "M_SESSION_EXPIRED");
    }
}
