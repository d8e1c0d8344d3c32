//! Web pages: those of other sites are refused, those of captured mail are served.

use awc::http::Method;
use serde_json::json;
use sydent::config::TransportKind;

use super::BIND;
use crate::harness::{CAPTURED_MAIL, Listener, ROUTES, TestServer, fresh_address};

/// INT-01
#[actix_web::test]
async fn cross_site_page_cannot_bind_or_read() {
    let server = TestServer::start(|_| {});
    let body = json!({"medium": "email", "address": "a@example.com", "mxid": "@a:example.org"});
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("host", "evil.example"),
        ("host", "127.0.0.1.evil.example:8091"),
    ] {
        // A browser sends this without a preflight.
        let headers = [(name, value), ("content-type", "text/plain")];
        let body = body.to_string().into_bytes();
        let answer = server
            .internal()
            .send(Method::POST, BIND, &headers, body)
            .await;
        answer.refused(403, "M_FORBIDDEN");
        answer.has_no_cors_headers();
    }
    assert_eq!(server.database.count("associations"), 0);

    let own = server.internal().base;
    let body = body.to_string().into_bytes();
    let answer = server
        .internal()
        .send(Method::POST, BIND, &[("origin", &own)], body)
        .await;
    answer.ok();
}

/// INT-01, INT-05
#[actix_web::test]
async fn internal_listeners_have_no_cors_headers() {
    let server = TestServer::start(|_| {});
    for route in ROUTES {
        if route.listener != Listener::Client {
            for method in [Method::GET, Method::POST, Method::OPTIONS] {
                let api = server.listener(route.listener);
                api.send(method, route.path, &[], Vec::new())
                    .await
                    .has_no_cors_headers();
            }
        }
    }
}

#[actix_web::test]
async fn captured_mail_is_on_internal_listener_only() {
    let folder = tempfile::tempdir().unwrap();
    let capturing = TestServer::start(|settings| {
        settings.email.transport = TransportKind::File;
        settings.email.file.dir = folder.path().to_owned();
    });
    let sending = TestServer::start(|_| {});
    let address = fresh_address("captured");
    capturing
        .api()
        .request_token(&address, "secret", 1)
        .await
        .ok();
    for path in CAPTURED_MAIL {
        let page = capturing.internal().get(path).await;
        assert!(matches!(page.status, 200 | 302), "{path}: {page:?}");
        for api in [
            capturing.api(),
            capturing.operations(),
            sending.internal(),
            sending.api(),
        ] {
            api.get(path).await.refused(404, "M_UNRECOGNIZED");
        }
    }
}

#[actix_web::test]
async fn captured_mail_names_cannot_leave_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start(|settings| {
        settings.email.transport = TransportKind::File;
        settings.email.file.dir = folder.path().join("mail");
    });
    std::fs::write(
        folder.path().join("outside.eml"),
        "Subject: outside\r\n\r\n",
    )
    .unwrap();
    for name in [
        "..%2foutside",
        "../outside",
        "%2e%2e%2foutside",
        "..",
        "%00",
        "a%00b",
        "%ff",
        "newest",
        &"a".repeat(300),
        &"a".repeat(20_000),
    ] {
        for end in ["", ".eml", "/html", "/text"] {
            let answer = server.internal().get(&format!("/mail/{name}{end}")).await;
            assert_eq!(answer.status, 404, "{name}{end}");
        }
    }
}
