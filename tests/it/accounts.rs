//! Access to v2: tokens, the order of the checks, `/account` and logout (sections
//! 2 and 4).

use awc::http::Method;
use serde_json::json;

use crate::harness::{Answer, Api, Listener, Needs, Route, TermsFile, TestServer, V2, routes_of};

const ALICE: &str = "@alice:example.org";

/// Each route of v2 with each of its methods.
fn calls() -> impl Iterator<Item = (&'static Route, &'static str)> {
    routes_of(Listener::Client)
        .filter(|route| route.path.starts_with(V2))
        .flat_map(|route| route.methods.iter().map(move |method| (route, *method)))
}

/// Malformed JSON, JSON of another type, and no parameters.
const BODIES: [&str; 3] = ["{", "[]", "{}"];

async fn call(api: &Api, method: &str, path: &str, body: &str) -> Answer {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let body = if method == "GET" { "" } else { body };
    api.send(method, path, &[], body.into()).await
}

/// The status and errcode, if the answer refuses the account.
fn refusal(answer: &Answer) -> Refusal {
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let errcode = body["errcode"].as_str()?;
    let is_account_error =
        ["M_UNAUTHORIZED", "M_UNKNOWN_TOKEN", "M_TERMS_NOT_SIGNED"].contains(&errcode);
    is_account_error.then(|| (answer.status, errcode.to_owned()))
}

type Refusal = Option<(u16, String)>;

/// AUTH-05, AUTH-06, AUTH-13, AUTH-19, GEN-28, SEC-27
#[actix_web::test]
async fn token_is_checked_before_terms_and_body() {
    let file = TermsFile::two();
    let server = TestServer::start(|settings| file.configure(settings));
    for (route, method) in calls().filter(|(route, _)| !route.path.ends_with("/unbind")) {
        for body in BODIES {
            let what = format!("{method} {} {body}", route.path);
            let without_token = call(&server.api(), method, route.path, body).await;
            let stranger = server.api().with_token("nobody's");
            let unknown = call(&stranger, method, route.path, body).await;
            if route.needs(method) == Needs::Nothing {
                assert_eq!(
                    (refusal(&without_token), refusal(&unknown)),
                    (None, None),
                    "{what}"
                );
                continue;
            }
            assert_eq!(
                refusal(&without_token),
                Some((401, "M_UNAUTHORIZED".to_owned())),
                "{what}"
            );
            // AUTH-19: clients would take `M_UNKNOWN_TOKEN` as the end of their
            // session with the homeserver.
            let expected = if route.path.ends_with("/logout") {
                "M_UNKNOWN_TOKEN"
            } else {
                "M_UNAUTHORIZED"
            };
            assert_eq!(
                refusal(&unknown),
                Some((401, expected.to_owned())),
                "{what}"
            );
            unknown.has_cors_headers();
        }
    }
}

/// AUTH-08, AUTH-09, AUTH-10, AUTH-11, AUTH-12, ACC-11, TOS-07
#[actix_web::test]
async fn gated_routes_need_accepted_terms() {
    let file = TermsFile::two();
    let server = TestServer::start(|settings| file.configure(settings));
    let alice = server.account(ALICE).await;
    let mut gated = 0;
    for (route, method) in calls() {
        for body in BODIES {
            // Logout revokes the token.
            let api = if route.path.ends_with("/logout") {
                server.account(ALICE).await
            } else {
                alice.clone()
            };
            let answer = call(&api, method, route.path, body).await;
            // Unbind works without a token, but not with one of a user who has not
            // accepted the terms (UNB-04).
            let unbinds = route.path.ends_with("/3pid/unbind") && method == "POST";
            let expected = match route.needs(method) {
                _ if unbinds => Some((403, "M_TERMS_NOT_SIGNED".to_owned())),
                Needs::Terms => Some((403, "M_TERMS_NOT_SIGNED".to_owned())),
                Needs::Account | Needs::Nothing => None,
            };
            assert_eq!(refusal(&answer), expected, "{method} {} {body}", route.path);
            gated += usize::from(expected.is_some());
        }
    }
    assert!(gated > 10, "{gated}");
    alice
        .accept(json!(["https://a/p-fr", "https://a/t-en"]))
        .await
        .ok();
    for (route, method) in calls().filter(|(route, _)| !route.path.ends_with("/logout")) {
        let answer = call(&alice, method, route.path, "{}").await;
        assert_eq!(refusal(&answer), None, "{method} {}", route.path);
    }
}

/// AUTH-01
#[actix_web::test]
async fn only_the_bearer_scheme_is_accepted() {
    let server = TestServer::start(|_| {});
    let token = server.account(ALICE).await.token().to_owned();
    let api = server.api();
    let path = format!("{V2}/account");
    for scheme in ["Bearer ", "bearer ", "BEARER    "] {
        let header = format!("{scheme}{token}");
        let headers = [("authorization", header.as_str())];
        api.send(Method::GET, &path, &headers, Vec::new())
            .await
            .ok();
    }
    for wrong in [
        token.clone(),
        format!("Basic {token}"),
        "Bearer".into(),
        "Bearer ".into(),
    ] {
        let headers = [("authorization", wrong.as_str())];
        let answer = api.send(Method::GET, &path, &headers, Vec::new()).await;
        answer.refused(401, "M_UNAUTHORIZED");
    }
    for wrong in [
        token.to_uppercase(),
        format!("{token} x"),
        format!("{token},"),
    ] {
        let api = server.api().with_token(wrong);
        api.account().await.refused(401, "M_UNAUTHORIZED");
    }
}

/// AUTH-02, AUTH-03
#[actix_web::test]
async fn query_token_is_for_get_and_the_header_wins() {
    let server = TestServer::start(|_| {});
    let token = server.account(ALICE).await.token().to_owned();
    let path = |rest: &str| format!("{V2}{rest}?access_token={token}");
    let api = server.api();
    assert_eq!(api.get(&path("/account")).await.ok()["user_id"], ALICE);
    // Synapse requests this before it looks up an address.
    let details = api.get(&path("/hash_details")).await.ok();
    assert!(details["lookup_pepper"].is_string(), "{details}");
    let posted = api.post(&path("/account/logout"), json!({})).await;
    posted.refused(401, "M_UNAUTHORIZED");
    let stranger = server.api().with_token("nobody's");
    stranger
        .get(&path("/account"))
        .await
        .refused(401, "M_UNAUTHORIZED");

    let server = server.start_again(|settings| settings.accounts.query_tokens = false);
    let refused = server.api().get(&path("/account")).await;
    refused.refused(401, "M_UNAUTHORIZED");
    let refused = server.api().get(&path("/hash_details")).await;
    refused.refused(401, "M_UNAUTHORIZED");
    let alice = server.api().with_token(token.clone());
    alice.account().await.ok();
}

/// AUTH-04
#[actix_web::test]
async fn token_in_the_body_is_ignored() {
    let server = TestServer::start(|_| {});
    let token = server.account(ALICE).await.token().to_owned();
    let body = json!({ "access_token": token, "user_accepts": [] });
    for rest in ["/account/logout", "/terms", "/3pid/bind"] {
        let answer = server
            .api()
            .post(&format!("{V2}{rest}"), body.clone())
            .await;
        answer.refused(401, "M_UNAUTHORIZED");
    }
    server.api().with_token(token).account().await.ok();
}

/// ACC-09, ACC-10, AUTH-06, AUTH-16
#[actix_web::test]
async fn logout_ends_one_token() {
    let server = TestServer::start(|_| {});
    let (first, second) = (server.account(ALICE).await, server.account(ALICE).await);
    assert_eq!(first.account().await.ok(), json!({ "user_id": ALICE }));
    assert_eq!(first.logout().await.ok(), json!({}));
    first.account().await.refused(401, "M_UNAUTHORIZED");
    first.logout().await.refused(401, "M_UNKNOWN_TOKEN");
    second.account().await.ok();
    // Some clients send a body nevertheless.
    let answer = second
        .post(&format!("{V2}/account/logout"), json!({}))
        .await;
    assert_eq!(answer.ok(), json!({}));
    server.api().logout().await.refused(401, "M_UNAUTHORIZED");
}

/// ACC-11
#[actix_web::test]
async fn logout_works_without_accepted_terms() {
    let file = TermsFile::two();
    let server = TestServer::start(|settings| file.configure(settings));
    let alice = server.account(ALICE).await;
    alice.account().await.refused(403, "M_TERMS_NOT_SIGNED");
    alice.logout().await.ok();
    alice.account().await.refused(401, "M_UNAUTHORIZED");
}

/// AUTH-17, OPS-05
#[actix_web::test]
async fn token_in_use_does_not_expire() {
    let server = TestServer::start_with_clock(|_| {});
    let alice = server.account(ALICE).await;
    for _ in 0..20 {
        server.advance(89 * 86_400_000);
        alice.account().await.ok();
    }
}

/// SEC-10, GEN-20
#[actix_web::test]
async fn path_variants_cannot_bypass_the_token() {
    let server = TestServer::start(|_| {});
    for path in [
        "/_matrix/identity/%76%32/account",
        "/_matrix/identity/%762/account",
        "/_matrix/identity/v2/%61ccount",
        "/_matrix/identity/v2//account",
        "/_matrix/identity/v2/./account",
        "/_matrix/identity/v2/terms/../account",
        "/_matrix/identity/api/v1/../../v2/account",
        "/_matrix/identity/V2/account",
        "/_matrix/identity/v2/account/",
        "/_matrix/identity/v2/account;x",
        "/_matrix/identity/v2%2Faccount",
    ] {
        let answer = server.api().get(path).await;
        assert!(
            matches!(answer.status, 401 | 404),
            "{path}: {}",
            answer.status
        );
    }
}
