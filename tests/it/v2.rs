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

#[actix_web::test]
async fn gen_28_a_missing_token_comes_before_whatever_the_body_says() {
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

#[actix_web::test]
async fn auth_04_a_token_in_a_json_body_is_none() {
    let server = TestServer::start(|_| {});
    let account = server.account(USER).await;
    let body = json!({"access_token": account.token(), "sid": "x", "client_secret": "secret", "mxid": USER});
    server
        .api()
        .post(&format!("{V2}/3pid/bind"), body)
        .await
        .refused(401, "M_UNAUTHORIZED");
}

#[actix_web::test]
async fn gen_04_v2_reads_json_whatever_the_content_type_says() {
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

#[actix_web::test]
async fn gen_30_v2_takes_forms_where_the_specification_still_names_them() {
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

#[actix_web::test]
async fn bnd_07_an_account_binds_to_nobody_but_its_own_user() {
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

#[actix_web::test]
async fn ses_16_whoever_has_sid_and_secret_may_use_a_session() {
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
