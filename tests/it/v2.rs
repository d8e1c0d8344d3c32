//! What v2 requires of a request beyond v1: a token, and then the arguments in the
//! right place.

use awc::http::Method;
use serde_json::json;

use crate::harness::{Api, SmtpServer, TestServer, V2, encode, fresh_address};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const USER: &str = "@alice:example.org";

async fn post(
    api: &Api,
    path: &str,
    header: Option<(&str, &str)>,
    body: &str,
) -> crate::harness::Answer {
    let headers: Vec<_> = header.into_iter().collect();
    api.send(Method::POST, path, &headers, body.as_bytes().to_vec())
        .await
}

/// GEN-28
#[actix_web::test]
async fn token_is_checked_before_the_body() {
    let server = TestServer::start(|_| {});
    let path = format!("{V2}/3pid/bind");
    for body in ["", "rubbish", "[]", "{}", r#"{"sid": 1}"#] {
        post(&server.api(), &path, None, body)
            .await
            .refused(401, "M_UNAUTHORIZED");
    }
    let account = server.account(USER).await;
    for (body, errcode) in [
        ("", "M_BAD_JSON"),
        ("rubbish", "M_BAD_JSON"),
        ("{}", "M_MISSING_PARAMS"),
        (
            r#"{"sid": 1, "client_secret": "x", "mxid": "@alice:example.org"}"#,
            "M_INVALID_PARAM",
        ),
    ] {
        post(&account, &path, None, body)
            .await
            .refused(400, errcode);
    }
}

/// AUTH-04
#[actix_web::test]
async fn token_in_a_json_body_is_ignored() {
    let server = TestServer::start(|_| {});
    let account = server.account(USER).await;
    let body = json!({"access_token": account.token(), "sid": "x", "client_secret": "secret", "mxid": USER});
    server
        .api()
        .post(&format!("{V2}/3pid/bind"), body)
        .await
        .refused(401, "M_UNAUTHORIZED");
}

/// GEN-04
#[actix_web::test]
async fn json_is_read_for_any_content_type() {
    let server = TestServer::start(|_| {});
    let account = server.account(USER).await;
    let body = json!({"sid": "x", "client_secret": "secret", "mxid": USER}).to_string();
    for kind in [
        None,
        Some(("content-type", "text/plain")),
        Some(("content-type", "application/json; charset=utf-8")),
        Some(FORM),
    ] {
        post(&account, &format!("{V2}/3pid/bind"), kind, &body)
            .await
            .refused(404, "M_NO_VALID_SESSION");
    }
}

/// GEN-30
#[actix_web::test]
async fn forms_are_accepted_where_specified() {
    let server = TestServer::start(|_| {});
    let account = server.account(USER).await;
    let address = fresh_address("form");
    let request = encode(&[
        ("client_secret", "secret"),
        ("email", &address),
        ("send_attempt", "1"),
    ]);
    let path = format!("{V2}/validate/email/requestToken");
    let sid = post(&account, &path, Some(FORM), &request).await.ok()["sid"].clone();
    let sid = sid.as_str().unwrap();
    let token = SmtpServer::shared().mail_to(&address).await.token();

    let submit = encode(&[("sid", sid), ("client_secret", "secret"), ("token", &token)]);
    let path = format!("{V2}/validate/email/submitToken");
    let submitted = post(&account, &path, Some(FORM), &submit).await;
    assert_eq!(submitted.ok(), json!({"success": true}));

    let bind = encode(&[("sid", sid), ("client_secret", "secret"), ("mxid", USER)]);
    let bound = post(&account, &format!("{V2}/3pid/bind"), Some(FORM), &bind).await;
    assert_eq!(bound.ok()["address"], address);
}

/// BND-07
#[actix_web::test]
async fn account_binds_only_its_own_user() {
    let server = TestServer::start(|_| {});
    let account = server.account(USER).await;
    // Checked before the session, which does not exist.
    account
        .bind("x", "secret", "@mallory:example.org")
        .await
        .refused(403, "M_UNAUTHORIZED");
    account
        .bind("x", "secret", USER)
        .await
        .refused(404, "M_NO_VALID_SESSION");
}

/// SES-16
#[actix_web::test]
async fn sid_and_secret_suffice_for_any_account() {
    let server = TestServer::start(|_| {});
    let address = fresh_address("other");
    let first = server.account("@begins:example.org").await;
    let sid = first.request_token(&address, "secret", 1).await.ok()["sid"].clone();
    let sid = sid.as_str().unwrap();
    let token = SmtpServer::shared().mail_to(&address).await.token();
    let other = server.account(USER).await;
    other.submit_token(sid, "secret", &token).await.ok();
    let validated = other.get_validated(sid, "secret").await.ok();
    assert_eq!(validated["address"], address);
    let bound = other.bind(sid, "secret", USER).await.ok();
    assert_eq!(bound["mxid"], USER);
}
