//! Every field of every route with every wrong type: no answer is a 5xx, none hangs.

mod fields;
mod values;

use awc::http::Method;

use crate::harness::{Answer, Api, Listener, ROUTES, TestServer, V1, V2, encode, fresh_address};
use fields::{GETS, POSTS};
use values::encoded_values;
pub use values::json_values;

#[track_caller]
fn expect_harmless(answer: &Answer, what: &str) {
    let shown: String = what.chars().take(200).collect();
    assert!(
        matches!(answer.status, 200 | 400..=499),
        "{} for {shown}",
        answer.status
    );
    if answer.header("content-type") == Some("text/html; charset=utf-8") {
        assert!(shown.contains("submitToken"), "{shown}");
        return;
    }
    let body = answer.json();
    assert!(body.is_object(), "{body} for {shown}");
    if answer.status != 200 {
        assert!(
            body["errcode"].is_string() && body["error"].is_string(),
            "{body} for {shown}"
        );
    }
}

/// Expects that the server answers, and that no actor has panicked.
async fn expect_alive(server: &TestServer) {
    server.api().get(V2).await.ok();
    server.api().lookup("email", "a@example.com").await.ok();
    server.operations().get("/ready").await.ok();
    let metrics = server.operations().get("/metrics").await.text();
    assert!(!metrics.contains("sydent_actor_panics_total{"), "{metrics}");
}

/// A server that calls no homeserver, since server names are fuzzed too.
fn start() -> TestServer {
    TestServer::start(|settings| {
        settings.federation.deny_homeservers = vec!["*".parse().unwrap()];
    })
}

/// The path on v2, if v2 has such a route.
fn newest(path: &str) -> String {
    let newest = path.replace(V1, V2);
    let exists = ROUTES.iter().any(|route| route.path == newest);
    if exists { newest } else { path.to_owned() }
}

async fn post(api: &Api, path: &str, kind: &str, body: String) {
    let what = format!("{path} {kind} {body}");
    let headers = [("content-type", kind)];
    let answer = api.send(Method::POST, path, &headers, body.into()).await;
    expect_harmless(&answer, &what);
}

/// GEN-09, GEN-22, SEC-01, SEC-05
#[actix_web::test]
async fn any_value_in_a_json_field_is_harmless() {
    let server = start();
    let email = format!("\"{}\"", fresh_address("fuzz"));
    for form in POSTS {
        let (api, path) = (server.api_with_access(form.0).await, newest(form.1));
        for (fuzzed, _) in form.2 {
            for value in json_values() {
                let field = |(name, good): &(&str, &str)| {
                    let good = good.replace("EMAIL", &email);
                    format!(
                        "\"{name}\": {}",
                        if name == fuzzed { &value } else { &good }
                    )
                };
                let fields: Vec<_> = form.2.iter().map(field).collect();
                post(
                    &api,
                    &path,
                    "application/json",
                    format!("{{{}}}", fields.join(", ")),
                )
                .await;
            }
        }
    }
    expect_alive(&server).await;
}

/// GEN-05, GEN-09
#[actix_web::test]
async fn any_value_in_a_form_field_is_harmless() {
    let server = start();
    let email = fresh_address("fuzz");
    let mut values = encoded_values();
    values.push("x".repeat(1 << 20));
    for form in POSTS.iter().filter(|form| form.0 == Listener::Client) {
        let api = server.api_with_access(form.0).await;
        for (fuzzed, _) in form.2 {
            for value in &values {
                let field = |(name, good): &(&str, &str)| {
                    let good = good.trim_matches('"').replace("EMAIL", &email);
                    let good = encode(&[(name, &good)]);
                    if name == fuzzed {
                        format!("{name}={value}")
                    } else {
                        good
                    }
                };
                let fields: Vec<_> = form.2.iter().map(field).collect();
                post(
                    &api,
                    form.1,
                    "application/x-www-form-urlencoded",
                    fields.join("&"),
                )
                .await;
            }
        }
    }
    expect_alive(&server).await;
}

/// GEN-05, GEN-09
#[actix_web::test]
async fn any_value_in_a_query_parameter_is_harmless() {
    let server = start();
    for (listener, path, names) in GETS {
        let (api, path) = (server.api_with_access(listener).await, newest(path));
        for fuzzed in names {
            for value in encoded_values() {
                let field = |name: &&str| {
                    let value = if name == fuzzed { &value } else { "x" };
                    format!("{name}={value}")
                };
                let fields: Vec<_> = names.iter().map(field).collect();
                let path = format!("{path}?{}", fields.join("&"));
                expect_harmless(&api.get(&path).await, &path);
            }
        }
    }
    for value in encoded_values() {
        for version in [V1, V2] {
            let path = format!("{version}/pubkey/{value}");
            expect_harmless(&server.api().get(&path).await, &path);
        }
    }
    expect_alive(&server).await;
}

/// The HTTP library refuses these before they reach a route.
/// GEN-05, GEN-21
#[actix_web::test]
async fn malformed_http_requests_are_harmless() {
    let server = start();
    let long = "x".repeat(1 << 20);
    let rest = "HTTP/1.1\r\nHost: x\r\nConnection: close";
    for request in [
        format!("GET {V1}/lookup?medium=email&address={long} {rest}\r\n\r\n").into_bytes(),
        format!("GET /{long} {rest}\r\n\r\n").into_bytes(),
        format!("GET {V2} {rest}\r\nX: {long}\r\n\r\n").into_bytes(),
        format!("GET {V2} {rest}\r\n{}\r\n", "X: y\r\n".repeat(10_000)).into_bytes(),
        format!("GET {V2}?a=\u{ff} {rest}\r\n\r\n").into_bytes(),
        [V2.as_bytes(), b"?a=\xff\xfe"].concat(),
        [b"GET /\xff\xfe ", rest.as_bytes(), b"\r\n\r\n"].concat(),
        [b"GET /?a=\xff\xfe ", rest.as_bytes(), b"\r\n\r\n"].concat(),
        format!("POST {V1}/bulk_lookup {rest}\r\nContent-Length: -1\r\n\r\n").into_bytes(),
        format!("POST {V1}/bulk_lookup {rest}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx").into_bytes(),
        format!("POST {V1}/bulk_lookup {rest}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").into_bytes(),
        format!("POST {V1}/bulk_lookup {rest}\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n").into_bytes(),
        b"\0\0\0\0\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
    ] {
        if let Some(answer) = server.api().raw(&request).await {
            assert!(answer.status < 500, "{answer:?}");
        }
    }
    expect_alive(&server).await;
}
