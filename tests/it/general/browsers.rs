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

#[actix_web::test]
async fn gen_12_gen_14_gen_15_gen_16_gen_17_every_answer_is_open_to_browsers() {
    let server = TestServer::start(|_| {});
    for path in paths() {
        for method in METHODS.iter().chain([&Method::HEAD, &Method::OPTIONS]) {
            send(&server.api(), method, path).await.has_cors_headers();
        }
    }
}

#[actix_web::test]
async fn gen_14_ops_01_who_asks_too_often_can_read_how_long_to_wait() {
    let server = TestServer::start(|settings| settings.limits.email_per_client.burst = 1);
    let address = fresh_address("often");
    server.api().request_token(&address, "secret", 1).await.ok();
    let answer = server.api().request_token(&address, "secret", 2).await;
    answer.refused(429, "M_LIMIT_EXCEEDED");
    answer.has_cors_headers();
}

#[actix_web::test]
async fn gen_01_gen_02_every_answer_is_a_json_object_and_every_error_has_both_strings() {
    let server = TestServer::start(|_| {});
    let is_page = |path: &str, method: &Method| {
        *method == Method::GET
            && routes_of(Listener::Client).any(|route| route.path == path && route.is_page())
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

#[actix_web::test]
async fn gen_13_gen_15_gen_18_options_on_every_route_and_everywhere_else() {
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

#[actix_web::test]
async fn gen_10_gen_15_an_unknown_path_is_404() {
    let server = TestServer::start(|_| {});
    for path in UNKNOWN {
        for method in METHODS {
            let answer = send(&server.api(), &method, path).await;
            answer.refused(404, "M_UNRECOGNIZED");
        }
    }
}

#[actix_web::test]
async fn gen_11_another_method_is_405_and_told_which_ones_there_are() {
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

#[actix_web::test]
async fn gen_27_head_is_answered_as_get_is_but_without_a_body() {
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

#[actix_web::test]
async fn gen_27_a_scanner_that_looks_at_the_head_of_a_mailed_link_validates_nothing() {
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
