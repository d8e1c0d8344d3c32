//! The internal listener (section 17).

mod pages;

use awc::http::Method;
use serde_json::{Value, json};
use sydent::config::Settings;

use crate::harness::{Listener, ROUTES, SERVER_NAME, TestServer};

const BIND: &str = "/_matrix/identity/internal/bind";
const UNBIND: &str = "/_matrix/identity/internal/unbind";

/// INT-01
#[actix_web::test]
async fn listener_serves_only_its_own_routes() {
    let server = TestServer::start(|_| {});
    for listener in [Listener::Client, Listener::Internal, Listener::Operations] {
        let api = server.listener(listener);
        for route in ROUTES.iter().filter(|route| route.listener != listener) {
            for method in [Method::GET, Method::POST] {
                let answer = api.send(method, route.path, &[], b"{}".to_vec()).await;
                answer.refused(404, "M_UNRECOGNIZED");
            }
        }
    }
}

/// INT-01
#[actix_web::test]
async fn no_path_variant_makes_internal_routes_public() {
    let server = TestServer::start(|_| {});
    let internal = server.addresses.internal[0];
    let body = json!({"medium": "email", "address": "a@example.com", "mxid": "@a:example.org"})
        .to_string();
    for target in [
        "/_matrix/identity/%69nternal/bind".to_owned(),
        "/_matrix/identity/internal%2Fbind".to_owned(),
        "/_matrix/identity/v2/../internal/bind".to_owned(),
        "//_matrix/identity/internal/bind".to_owned(),
        format!("{BIND}/"),
        format!("{BIND}?x=1"),
        format!("http://{internal}{BIND}"),
    ] {
        let request = format!(
            "POST {target} HTTP/1.1\r\nHost: {internal}\r\nConnection: close\r\nX-Original-URL: {BIND}\r\n\
             X-HTTP-Method-Override: POST\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = server.api().raw(request.as_bytes()).await.unwrap();
        answer.refused(404, "M_UNRECOGNIZED");
    }
    assert_eq!(server.database.count("associations"), 0);
}

/// INT-01, INT-05
#[test]
fn internal_listeners_are_off_by_default() {
    let settings = Settings::default();
    assert!(settings.internal.listen.is_empty() && settings.operations.listen.is_empty());
}

/// INT-01
#[actix_web::test]
async fn unconfigured_listener_does_not_exist() {
    let server = TestServer::start(|settings| {
        settings.internal.listen.clear();
        settings.operations.listen.clear();
    });
    assert!(server.addresses.internal.is_empty() && server.addresses.operations.is_empty());
    let others = ROUTES
        .iter()
        .filter(|route| route.listener != Listener::Client);
    for route in others {
        server
            .api()
            .get(route.path)
            .await
            .refused(404, "M_UNRECOGNIZED");
    }
}

/// INT-01, INT-02
#[actix_web::test]
async fn bind_and_unbind_change_the_signed_association() {
    let server = TestServer::start(|_| {});
    let (internal, api) = (server.internal(), server.api());
    for (medium, address, canonical) in [
        ("email", "INT@Example.COM", "int@example.com"),
        ("msisdn", "447700900001", "447700900001"),
    ] {
        let bound = internal
            .internal_bind(medium, address, "@alice:example.org")
            .await
            .ok();
        assert_eq!(bound["address"], canonical);
        assert!(bound["signatures"][SERVER_NAME]["ed25519:0"].is_string());
        assert_eq!(api.lookup(medium, address).await.ok(), bound);
        let query = crate::harness::encode(&[("medium", medium), ("address", address)]);
        let found = internal
            .get(&format!("/_matrix/identity/internal/lookup?{query}"))
            .await;
        assert_eq!(found.ok(), bound);
        assert_eq!(
            server
                .database
                .count("associations WHERE length(lookup_hash) = 43"),
            1
        );

        let other = internal
            .internal_unbind(medium, address, "@bob:example.org")
            .await;
        assert_eq!(other.ok(), json!({}));
        assert_eq!(
            api.lookup(medium, address).await.ok(),
            bound,
            "another user's binding stays"
        );
        for _ in 0..2 {
            let unbound = internal
                .internal_unbind(medium, address, "@alice:example.org")
                .await;
            assert_eq!(unbound.ok(), json!({}));
            assert_eq!(api.lookup(medium, address).await.ok(), json!({}));
        }
    }
}

/// INT-06
#[actix_web::test]
async fn unbind_reports_on_request() {
    let server = TestServer::start(|_| {});
    let internal = server.internal();
    let bound = internal.internal_bind("email", "a@example.com", "@alice:example.org");
    bound.await.ok();
    let mut body = json!({"medium": "email", "address": "A@example.com",
        "mxid": "@bob:example.org", "report": true});
    let report = internal.post(UNBIND, body.clone()).await.ok();
    let remaining = json!({"mxid": "@alice:example.org", "origin": SERVER_NAME});
    assert_eq!(report, json!({"removed": false, "remaining": remaining}));
    body["mxid"] = json!("@alice:example.org");
    assert_eq!(
        internal.post(UNBIND, body.clone()).await.ok(),
        json!({"removed": true})
    );
    assert_eq!(
        internal.post(UNBIND, body.clone()).await.ok(),
        json!({"removed": false})
    );
    body["report"] = json!(false);
    assert_eq!(internal.post(UNBIND, body).await.ok(), json!({}));
}

/// INT-01
#[actix_web::test]
async fn missing_and_invalid_fields_are_named() {
    let server = TestServer::start(|_| {});
    let good = json!({"medium": "email", "address": "a@example.com", "mxid": "@a:example.org"});
    for path in [BIND, UNBIND] {
        for field in ["medium", "address", "mxid"] {
            let mut body = good.clone();
            body[field] = Value::Null;
            let refused = server
                .internal()
                .post(path, body.clone())
                .await
                .refused(400, "M_MISSING_PARAMS");
            assert_eq!(refused["error"], format!("Missing parameters: {field}"));
            body[field] = json!("nonsense");
            let refused = server
                .internal()
                .post(path, body)
                .await
                .refused(400, "M_INVALID_PARAM");
            assert!(
                refused["error"].as_str().unwrap().starts_with(field),
                "{refused}"
            );
        }
    }
}

async fn bind_to(server: &TestServer, mxid: &str) -> crate::harness::Answer {
    server
        .internal()
        .internal_bind("email", "a@example.com", mxid)
        .await
}

/// IDN-07
#[actix_web::test]
async fn historical_user_ids_are_accepted() {
    let server = TestServer::start(|_| {});
    let fits = format!("@{}:example.org", "x".repeat(255 - "@:example.org".len()));
    for mxid in [
        "@a.b_c=d-e/f+1:example.org",
        "@Alice:example.org",
        "@älice!:example.org",
        "@日本:example.org",
        "@:example.org",
        "@Old Name:example.org",
        "@a\n\r\t\u{7f}:example.org",
        "@/..%2e?#<b>\"':example.org",
        &fits,
    ] {
        assert_eq!(bind_to(&server, mxid).await.ok()["mxid"], mxid);
    }
    let too_long = fits.replace('@', "@x");
    for mxid in [
        "",
        "@",
        "@alice",
        "alice:example.org",
        "@alice:",
        "alice",
        "!a:example.org",
        "@a\0:example.org",
        " @a:example.org",
        "@a:example.org ",
        "@a:b:c:example.org",
        &too_long,
    ] {
        bind_to(&server, mxid).await.refused(400, "M_INVALID_PARAM");
    }
}

/// IDN-09
#[actix_web::test]
async fn server_name_of_a_user_id_follows_the_grammar() {
    let server = TestServer::start(|_| {});
    for name in [
        "matrix.org",
        "matrix.org:8888",
        "1.2.3.4",
        "1.2.3.4:1234",
        "[1234:5678::abcd]",
        "[1234:5678::abcd]:5678",
        "localhost",
        "EXAMPLE.COM",
        "a.b.c.d:1234",
        "[::]:4242",
    ] {
        bind_to(&server, &format!("@a:{name}")).await.ok();
    }
    for name in [
        "[:::]",
        "a:b:c::",
        "example.com:65536",
        "example.com:0",
        "example.com:-1",
        "example.com:a",
        "example.com: ",
        "example.com:04242",
        "example.com: 4242",
        "example.com/x",
        "example.com#x",
        "user@example.com",
        "under_score.example",
    ] {
        bind_to(&server, &format!("@a:{name}"))
            .await
            .refused(400, "M_INVALID_PARAM");
    }
}
