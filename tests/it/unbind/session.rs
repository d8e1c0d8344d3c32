//! Unbind by a session, with and without an access token.

use serde_json::{Value, json};

use super::v2;
use crate::harness::{Api, TermsFile, TestServer, V1, V2, fresh_address};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn body(mxid: &str, address: &str, sid: &str, client_secret: &str) -> Value {
    json!({
        "mxid": mxid,
        "threepid": {"medium": "email", "address": address},
        "sid": sid,
        "client_secret": client_secret,
    })
}

async fn is_bound(server: &TestServer, address: &str) -> bool {
    let found = server.api().lookup("email", address).await.ok();
    found.get("mxid").is_some()
}

/// UNB-03, UNB-11
#[actix_web::test]
async fn session_removes_the_binding_of_any_user() {
    let server = TestServer::start(|_| {});
    let address = fresh_address("unbind");
    let session = server.validate(&address).await;
    for version in [V1, V2] {
        server
            .internal()
            .internal_bind("email", &address, "@zoe:example.org")
            .await
            .ok();
        let api = server.api().on(version);
        let other = body("@alice:example.org", &address, &session.sid, "secret");
        assert_eq!(api.unbind(&[], &other).await.ok(), json!({}));
        assert!(
            is_bound(&server, &address).await,
            "the binding belongs to another user"
        );
        let folded = body(
            "@zoe:example.org",
            &address.to_uppercase(),
            &session.sid,
            "secret",
        );
        assert_eq!(api.unbind(&[], &folded).await.ok(), json!({}));
        assert!(!is_bound(&server, &address).await, "{version}");
    }
}

/// UNB-07, SES-21
#[actix_web::test]
async fn every_session_problem_is_403() {
    let server = TestServer::start_with_clock(|_| {});
    let (address, other) = (fresh_address("unbind"), fresh_address("unbind"));
    let (pending, _) = server.request_mail(&address, "another").await;
    let session = server.validate(&address).await;
    server
        .internal()
        .internal_bind("email", &other, "@a:example.org")
        .await
        .ok();
    server
        .internal()
        .internal_bind("email", &address, "@a:example.org")
        .await
        .ok();
    let refused = async |address: &str, sid: &str, secret: &str, errcode: &str| {
        let fields = body("@a:example.org", address, sid, secret);
        v2(&server).unbind(&[], &fields).await.refused(403, errcode)
    };
    refused(&other, &session.sid, "secret", "M_FORBIDDEN").await;
    let wrong = refused(&address, &session.sid, "wrong", "M_NO_VALID_SESSION").await;
    let unknown = refused(&address, "nonesuch", "secret", "M_NO_VALID_SESSION").await;
    assert_eq!(wrong, unknown);
    refused(&address, &pending, "another", "M_SESSION_NOT_VALIDATED").await;
    server.advance(DAY_MS + 1);
    refused(&address, &session.sid, "secret", "M_SESSION_EXPIRED").await;
    assert!(is_bound(&server, &address).await);
    assert!(is_bound(&server, &other).await);
}

/// UNB-04
#[actix_web::test]
async fn bearer_token_must_be_valid_and_terms_accepted() {
    let file = TermsFile::two();
    let server = TestServer::start(|settings| file.configure(settings));
    let address = fresh_address("unbind");
    let session = server.validate(&address).await;
    server
        .internal()
        .internal_bind("email", &address, "@alice:example.org")
        .await
        .ok();
    let fields = body("@alice:example.org", &address, &session.sid, "secret");
    let with = |token: &str| server.api().with_token(token);
    with("nobody's")
        .unbind(&[], &fields)
        .await
        .refused(401, "M_UNAUTHORIZED");
    let alice: Api = server.account("@alice:example.org").await;
    alice
        .unbind(&[], &fields)
        .await
        .refused(403, "M_TERMS_NOT_SIGNED");
    assert!(is_bound(&server, &address).await);
    alice
        .accept(json!(["https://a/p-en", "https://a/t-en"]))
        .await
        .ok();
    alice.unbind(&[], &fields).await.ok();
    assert!(!is_bound(&server, &address).await);
}

/// UNB-05, UNB-06, SEC-26
#[actix_web::test]
async fn bearer_token_alone_is_no_proof() {
    let server = TestServer::start(|_| {});
    let address = fresh_address("unbind");
    server
        .internal()
        .internal_bind("email", &address, "@alice:example.org")
        .await
        .ok();
    let fields = json!({
        "mxid": "@alice:example.org",
        "threepid": {"medium": "email", "address": address},
    });
    let alice = server.account("@alice:example.org").await;
    alice.unbind(&[], &fields).await.refused(403, "M_FORBIDDEN");
    let stranger = server.api().with_token("nobody's");
    stranger
        .unbind(&[], &fields)
        .await
        .refused(401, "M_UNAUTHORIZED");
    for version in [V1, V2] {
        let api = server.api().on(version);
        api.unbind(&[], &fields)
            .await
            .refused(401, "M_UNAUTHORIZED");
        let basic = [("authorization", "Basic YTpi")];
        api.unbind(&basic, &fields)
            .await
            .refused(401, "M_UNAUTHORIZED");
    }
    assert!(is_bound(&server, &address).await);
}
