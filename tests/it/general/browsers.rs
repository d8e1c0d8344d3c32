//! What web pages need: CORS and JSON on every answer, and an answer to `OPTIONS`
//! on every path.

use awc::http::Method;
use serde_json::json;

use crate::harness::{Api, BASE_URL, Listener, Route, TestServer, fresh_address, routes_of};

const METHODS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::PATCH,
];
const UNKNOWN: [&str; 5] = [
    "/",
    "/favicon.ico",
    "/_matrix/identity",
    "/_matrix/identity/v3",
    "/_matrix/identity/api/v1/account",
];

fn paths() -> impl Iterator<Item = &'static str> {
    let known = routes_of(Listener::Client).map(|route| route.path);
    known.chain(UNKNOWN)
}

async fn send(api: &Api, method: &Method, path: &str) -> crate::harness::Answer {
    api.send(method.clone(), path, &[], Vec::new()).await
}

/// GEN-12, GEN-14, GEN-15, GEN-16, GEN-17
#[actix_web::test]
async fn every_response_has_cors_headers() {
    let server = TestServer::start(|_| {});
    for path in paths() {
        for method in METHODS.iter().chain([&Method::HEAD, &Method::OPTIONS]) {
            send(&server.api(), method, path).await.has_cors_headers();
        }
    }
}

/// GEN-14, OPS-01
#[actix_web::test]
async fn rate_limit_response_is_readable_by_browsers() {
    let server = TestServer::start(|settings| settings.limits.email_per_client.burst = 1);
    let address = fresh_address("often");
    server.api().request_token(&address, "secret", 1).await.ok();
    let answer = server.api().request_token(&address, "secret", 2).await;
    answer.refused(429, "M_LIMIT_EXCEEDED");
    answer.has_cors_headers();
}

/// GEN-01, GEN-02
#[actix_web::test]
async fn responses_are_json_and_errors_are_complete() {
    let server = TestServer::start(|_| {});
    let is_page = |path: &str, method: &Method| {
        let mut routes = routes_of(Listener::Client).filter(|route| route.path == path);
        routes.any(|route| match *method {
            Method::GET => route.is_page(),
            Method::POST => route.is_form(),
            _ => false,
        })
    };
    for path in paths() {
        for method in METHODS {
            let answer = send(&server.api(), &method, path).await;
            if is_page(path, &method) {
                assert_eq!(
                    answer.header("content-type"),
                    Some("text/html; charset=utf-8")
                );
                continue;
            }
            let body = answer.json();
            assert!(body.is_object(), "{method} {path}: {body}");
            if answer.status != 200 {
                assert!(
                    body["errcode"].is_string() && body["error"].is_string(),
                    "{body}"
                );
            }
        }
    }
}

/// GEN-13, GEN-15, GEN-18
#[actix_web::test]
async fn options_is_answered_on_every_path() {
    let server = TestServer::start(|_| {});
    let preflight = [
        ("origin", "https://app.element.io"),
        ("access-control-request-method", "POST"),
        (
            "access-control-request-headers",
            "authorization,content-type",
        ),
    ];
    for path in paths() {
        let answer = server
            .api()
            .send(Method::OPTIONS, path, &preflight, Vec::new())
            .await;
        assert_eq!(answer.ok(), json!({}), "{path}");
        answer.has_cors_headers();
        assert_eq!(answer.header("access-control-max-age"), Some("86400"));
    }
}

/// GEN-10, GEN-15
#[actix_web::test]
async fn unknown_path_is_404() {
    let server = TestServer::start(|_| {});
    for path in UNKNOWN {
        for method in METHODS {
            let answer = send(&server.api(), &method, path).await;
            answer.refused(404, "M_UNRECOGNIZED");
        }
    }
}

/// GEN-11
#[actix_web::test]
async fn wrong_method_is_405_with_an_allow_header() {
    let server = TestServer::start(|_| {});
    for listener in [Listener::Client, Listener::Internal, Listener::Operations] {
        let api = server.listener(listener);
        for route in routes_of(listener) {
            let unknown = Method::from_bytes(b"BREW").unwrap();
            for method in METHODS.iter().chain([&unknown]) {
                if !route.takes(method.as_str()) {
                    let answer = send(&api, method, route.path).await;
                    answer.refused(405, "M_UNRECOGNIZED");
                    assert_eq!(
                        allowed(answer.header("allow")),
                        expected(route),
                        "{route:?}"
                    );
                }
            }
        }
    }
}

fn allowed(header: Option<&str>) -> Vec<&str> {
    let mut methods: Vec<_> = header.unwrap().split(", ").collect();
    methods.sort_unstable();
    methods
}

fn expected(route: &Route) -> Vec<&'static str> {
    let mut methods = route.methods.to_vec();
    methods.push("OPTIONS");
    if route.takes_head() {
        methods.push("HEAD");
    }
    methods.sort_unstable();
    methods
}

/// GEN-27
#[actix_web::test]
async fn head_equals_get_without_a_body() {
    let server = TestServer::start(|_| {});
    for listener in [Listener::Client, Listener::Internal, Listener::Operations] {
        let api = server.listener(listener);
        for route in routes_of(listener).filter(|route| route.takes_head()) {
            let get = send(&api, &Method::GET, route.path).await;
            let head = send(&api, &Method::HEAD, route.path).await;
            assert_eq!(head.status, get.status, "{route:?}");
            assert_eq!(head.header("content-type"), get.header("content-type"));
            assert!(head.body.is_empty(), "{head:?}");
        }
    }
}

/// GEN-27
#[actix_web::test]
async fn head_of_a_mailed_link_validates_nothing() {
    let server = TestServer::start(|_| {});
    let (sid, mail) = server
        .request_mail(&fresh_address("scanned"), "secret")
        .await;
    let link = mail.link();
    let head = send(
        &server.api(),
        &Method::HEAD,
        link.strip_prefix(BASE_URL).unwrap(),
    )
    .await;
    assert_eq!(head.status, 405);
    let answer = server.api().get_validated(&sid, "secret").await;
    answer.refused(400, "M_SESSION_NOT_VALIDATED");
}
