//! Arguments as JSON, forms and query strings, and which of them take precedence.

use awc::http::Method;
use serde_json::json;

use crate::harness::{Answer, Api, SmtpServer, TestServer, V1, V2, encode, fresh_address};

const FORM: &str = "application/x-www-form-urlencoded";
const FIELDS: [(&str, &str); 3] = [
    ("sid", "x"),
    ("client_secret", "secret"),
    ("mxid", "@alice:example.org"),
];

async fn bind(api: &Api, query: &str, content_type: Option<&str>, body: &str) -> Answer {
    let headers: Vec<_> = content_type
        .map(|kind| ("content-type", kind))
        .into_iter()
        .collect();
    let path = format!("{V1}/3pid/bind{query}");
    api.send(Method::POST, &path, &headers, body.as_bytes().to_vec())
        .await
}

/// Expects that all arguments were read: the session does not exist.
fn expect_read(answer: &Answer) {
    answer.refused(404, "M_NO_VALID_SESSION");
}

/// GEN-29
#[actix_web::test]
async fn v1_accepts_json_forms_and_query_strings() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    let json =
        json!({"sid": "x", "client_secret": "secret", "mxid": "@alice:example.org"}).to_string();
    let (form, query) = (encode(&FIELDS), format!("?{}", encode(&FIELDS)));

    for kind in [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
    ] {
        expect_read(&bind(&api, "", Some(kind), &json).await);
        for body in ["null", "{}", "", " null\n"] {
            expect_read(&bind(&api, &query, Some(kind), body).await);
        }
    }
    for kind in [FORM, "application/x-www-form-urlencoded; charset=UTF-8"] {
        expect_read(&bind(&api, "", Some(kind), &form).await);
        expect_read(&bind(&api, &query, Some(kind), "").await);
    }
    for kind in [
        None,
        Some("text/plain"),
        Some("multipart/form-data; boundary=x"),
    ] {
        expect_read(&bind(&api, &query, kind, "what this says does not matter").await);
    }
    expect_read(&bind(&api, "?sid=x", Some(FORM), &encode(&FIELDS[1..])).await);
    // The body takes precedence over the query string.
    expect_read(&bind(&api, "?sid=!&mxid=!", Some("application/json"), &json).await);
}

/// GEN-29
#[actix_web::test]
async fn v1_reads_json_only_with_its_content_type() {
    let server = TestServer::start(|_| {});
    let json =
        json!({"sid": "x", "client_secret": "secret", "mxid": "@alice:example.org"}).to_string();
    for kind in [
        None,
        Some("text/plain"),
        Some(FORM),
        Some("text/json"),
        Some(""),
    ] {
        bind(&server.api(), "", kind, &json)
            .await
            .refused(400, "M_MISSING_PARAMS");
    }
}

/// GEN-29
#[actix_web::test]
async fn email_is_validated_and_bound_without_json() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    let address = fresh_address("form");
    let request = [
        ("client_secret", "secret"),
        ("email", &address),
        ("send_attempt", "1"),
    ];
    let path = format!("{V1}/validate/email/requestToken");
    let sid = api.post_form(&path, &request).await.ok();
    let sid = sid["sid"].as_str().unwrap();
    let token = SmtpServer::shared().mail_to(&address).await.token();

    let submit = [("sid", sid), ("client_secret", "secret"), ("token", &token)];
    let path = format!("{V1}/validate/email/submitToken?{}", encode(&submit));
    let submitted = api.send(Method::POST, &path, &[], Vec::new()).await;
    assert_eq!(submitted.ok(), json!({"success": true}));

    let binding = [
        ("sid", sid),
        ("client_secret", "secret"),
        ("mxid", "@alice:example.org"),
    ];
    let bound = api
        .post_form(&format!("{V1}/3pid/bind"), &binding)
        .await
        .ok();
    assert_eq!(bound["address"], address);
}

/// GEN-04
#[actix_web::test]
async fn json_only_routes_ignore_the_content_type() {
    let server = TestServer::start(|_| {});
    let body = json!({"medium": "email", "address": "a@example.com", "mxid": "@a:example.org"});
    let json = "application/json; charset=utf-8";
    for kind in [
        None,
        Some("text/plain"),
        Some(json),
        Some(FORM),
        Some("nonsense"),
    ] {
        let headers: Vec<_> = kind
            .map(|kind| ("content-type", kind))
            .into_iter()
            .collect();
        let path = "/_matrix/identity/internal/bind";
        let body = body.to_string().into_bytes();
        server
            .internal()
            .send(Method::POST, path, &headers, body)
            .await
            .ok();
    }
}

/// GEN-08
#[actix_web::test]
async fn missing_and_null_fields_are_named() {
    let server = TestServer::start(|_| {});
    let path = format!("{V1}/validate/email/requestToken");
    for (body, missing) in [
        (json!({}), "client_secret, email, send_attempt"),
        (
            json!({"email": "a@example.com"}),
            "client_secret, send_attempt",
        ),
        (
            json!({"email": null, "client_secret": "s", "send_attempt": 1}),
            "email",
        ),
        // Missing parameters are reported before invalid ones (GEN-28).
        (
            json!({"email": 5, "client_secret": [], "send_attempt": null}),
            "send_attempt",
        ),
    ] {
        let refused = server
            .api()
            .post(&path, body)
            .await
            .refused(400, "M_MISSING_PARAMS");
        assert_eq!(refused["error"], format!("Missing parameters: {missing}"));
    }
}

/// GEN-24
#[actix_web::test]
async fn repeated_parameters_are_rejected() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    for path in [
        format!("{V1}/lookup?medium=email&medium=email&address=a@example.com"),
        format!("{V1}/lookup?medium=email&address=a@example.com&%61ddress=b@example.com"),
        format!("{V1}/3pid/getValidated3pid?sid=1&sid=2&client_secret=x"),
        format!("{V1}/pubkey/isvalid?public_key=a&public_key=b"),
        format!("{V2}/pubkey/ephemeral/isvalid?public_key=a&public_key=a"),
    ] {
        api.get(&path).await.refused(400, "M_INVALID_PARAM");
    }
    let form = [FIELDS.as_slice(), &[("sid", "y")]].concat();
    api.post_form(&format!("{V1}/3pid/bind"), &form)
        .await
        .refused(400, "M_INVALID_PARAM");
    let query = format!("?sid=y&{}", encode(&FIELDS));
    bind(&api, &query, None, "")
        .await
        .refused(400, "M_INVALID_PARAM");
    let page = api
        .get(&format!("{V2}/validate/email/submitToken?sid=1&sid=2"))
        .await;
    assert_eq!(page.status, 400);
}

/// GEN-05
#[actix_web::test]
async fn invalid_utf8_in_query_or_form_is_rejected() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    for query in [
        "medium=email&address=%ff",
        "medium=%c3%28&address=a",
        "%ff=1",
    ] {
        api.get(&format!("{V1}/lookup?{query}"))
            .await
            .refused(400, "M_INVALID_PARAM");
        bind(&api, "", Some(FORM), query)
            .await
            .refused(400, "M_INVALID_PARAM");
    }
    let raw = api
        .send(
            Method::POST,
            &format!("{V1}/3pid/bind"),
            &[("content-type", FORM)],
            b"sid=\xff\xfe".to_vec(),
        )
        .await;
    raw.refused(400, "M_INVALID_PARAM");
}

/// GEN-23
#[actix_web::test]
async fn last_of_two_equal_json_keys_wins() {
    let server = TestServer::start(|_| {});
    let body = r#"{"medium": "email", "address": "a@example.com",
        "mxid": "@first:example.org", "mxid": "@last:example.org"}"#;
    let bound = server
        .internal()
        .send(
            Method::POST,
            "/_matrix/identity/internal/bind",
            &[],
            body.into(),
        )
        .await
        .ok();
    assert_eq!(bound["mxid"], "@last:example.org");
}
