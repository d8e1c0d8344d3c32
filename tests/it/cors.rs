//! Web pages must not read the internal and the operations listener, so their
//! answers have no CORS headers. (`general` tests the public listener, where every
//! answer has all of them.)

use awc::http::Method;
use serde_json::json;

use crate::harness::{Api, TestServer};

const INTERNAL: [&str; 5] = [
    "/_matrix/identity/internal/bind",
    "/_matrix/identity/internal/unbind",
    "/_matrix/identity/internal/lookup",
    "/mail",
    "/mail/newest",
];
const OPERATIONS: [&str; 3] = ["/health", "/ready", "/metrics"];
const UNKNOWN: [&str; 3] = [
    "/nothing",
    "/_matrix/identity/v2",
    "/_matrix/identity/internal",
];

/// Sends every kind of request to the paths of a listener; returns the statuses.
async fn statuses(api: &Api, paths: &[&str]) -> Vec<u16> {
    let own = api.base.clone();
    let mut statuses = Vec::new();
    for path in paths.iter().chain(&UNKNOWN) {
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
            for origin in [own.as_str(), "https://evil.example"] {
                let headers = [("origin", origin)];
                let answer = api
                    .send(method.clone(), path, &headers, b"{".to_vec())
                    .await;
                answer.has_no_cors_headers();
                statuses.push(answer.status);
            }
        }
    }
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

fn with_pages(folder: &tempfile::TempDir) -> TestServer {
    TestServer::start(|settings| {
        settings.email.transport = sydent::config::TransportKind::File;
        folder.path().clone_into(&mut settings.email.file.dir);
        settings.http.max_body_bytes = 1024;
    })
}

/// INT-01, INT-05
#[actix_web::test]
async fn internal_responses_have_no_cors_headers() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_pages(&folder);
    assert_eq!(
        statuses(&server.internal(), &INTERNAL).await,
        [200, 400, 403, 404, 405]
    );
    assert_eq!(
        statuses(&server.operations(), &OPERATIONS).await,
        [200, 404, 405]
    );

    let internal = server.internal();
    let bound = internal.internal_bind("email", "a@example.com", "@a:example.org");
    bound.await.has_no_cors_headers();
    let huge = internal
        .send(Method::POST, INTERNAL[0], &[], vec![b' '; 5000])
        .await;
    huge.refused(413, "M_TOO_LARGE");
    huge.has_no_cors_headers();
}

/// INT-01, INT-05
#[actix_web::test]
async fn internal_preflight_allows_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_pages(&folder);
    let preflight = [
        ("origin", "https://evil.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type"),
        ("access-control-request-private-network", "true"),
    ];
    let paths = INTERNAL.iter().map(|path| (server.internal(), path));
    let paths = paths.chain(OPERATIONS.iter().map(|path| (server.operations(), path)));
    let unknown = [server.internal(), server.operations()];
    let unknown = unknown.into_iter().map(|api| (api, &UNKNOWN[0]));
    for (api, path) in paths.chain(unknown) {
        let answer = api
            .send(Method::OPTIONS, path, &preflight, Vec::new())
            .await;
        assert_eq!(answer.ok(), json!({}), "{path}");
        answer.has_no_cors_headers();
    }
}
