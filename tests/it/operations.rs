//! Health, readiness and metrics.

use std::time::Duration;

use awc::http::Method;
use serde_json::json;

use crate::harness::{SmtpServer, TestServer, Tls, V1, fresh_address};

async fn metrics(server: &TestServer) -> String {
    server.operations().get("/metrics").await.text()
}

#[track_caller]
fn assert_line(metrics: &str, line: &str) {
    assert!(
        metrics.lines().any(|known| known == line),
        "{line} is not in:\n{metrics}"
    );
}

#[actix_web::test]
async fn health_is_ok() {
    let server = TestServer::start(|_| {});
    assert_eq!(
        server.operations().get("/health").await.ok(),
        json!({"status": "ok"})
    );
}

#[actix_web::test]
async fn ready_and_metrics_report_the_queued_mail() {
    let relay = SmtpServer::start(Tls::None, "localhost", &[]);
    relay.behave(&json!({"delay_ms": 600_000}));
    let server = TestServer::start_with_clock(|settings| {
        relay.configure(settings);
        settings.delivery.answer_within = Duration::from_millis(100);
    });
    for waiting in 0..3 {
        let ready = server.operations().get("/ready").await.ok();
        let expected =
            json!({"database": "ok", "delivery_queue": "ok", "queued_messages": waiting});
        assert_eq!(ready, expected);
        assert_line(
            &metrics(&server).await,
            &format!("sydent_queue_messages {waiting}"),
        );
        let address = fresh_address("waiting");
        server.api().request_token(&address, "secret", 1).await.ok();
    }
    server.advance(90_000);
    assert_line(&metrics(&server).await, "sydent_queue_age_seconds 90");
    // Otherwise the server would wait for it during the shutdown.
    relay.kill();
}

#[actix_web::test]
async fn queue_failure_is_healthy_but_not_ready() {
    let server = TestServer::start(|_| {});
    server
        .database
        .execute("ALTER TABLE outbox RENAME TO elsewhere");
    let answer = server.operations().get("/ready").await;
    assert_eq!(answer.status, 503);
    let expected =
        json!({"database": "ok", "delivery_queue": "unavailable", "queued_messages": null});
    assert_eq!(answer.json(), expected);
    server.operations().get("/health").await.ok();
    server.operations().get("/metrics").await;

    server
        .database
        .execute("ALTER TABLE elsewhere RENAME TO outbox");
    server.operations().get("/ready").await.ok();
}

#[actix_web::test]
async fn metrics_have_the_openmetrics_format() {
    let server = TestServer::start(|_| {});
    let answer = server.operations().get("/metrics").await;
    let expected = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some(expected))
    );
    assert!(answer.text().ends_with("# EOF\n"));
}

/// INT-05
#[actix_web::test]
async fn request_metrics_contain_no_personal_data() {
    let server = TestServer::start(|_| {});
    let (api, internal) = (server.api(), server.internal());
    internal
        .internal_bind("email", "alice@example.com", "@alice:example.org")
        .await
        .ok();
    for _ in 0..2 {
        api.lookup("email", "alice@example.com").await.ok();
    }
    api.get(&format!("{V1}/lookup?address=alice@example.com"))
        .await;
    api.get(&format!("{V1}/pubkey/alice@example.com")).await;
    api.get("/alice@example.com").await;
    api.send(Method::OPTIONS, "/alice@example.com", &[], Vec::new())
        .await;
    for name in ["ALICE", "BOB"] {
        let method = Method::from_bytes(name.as_bytes()).unwrap();
        api.send(method, &format!("{V1}/lookup"), &[], Vec::new())
            .await;
    }

    let text = metrics(&server).await;
    for (route, method, status, count) in [
        ("/_matrix/identity/internal/bind", "POST", 200, 1),
        ("/_matrix/identity/api/v1/lookup", "GET", 200, 2),
        ("/_matrix/identity/api/v1/lookup", "GET", 400, 1),
        ("/_matrix/identity/api/v1/lookup", "OTHER", 405, 2),
        ("/_matrix/identity/api/v1/pubkey/{keyId}", "GET", 404, 1),
        ("unknown", "GET", 404, 1),
        ("unknown", "OPTIONS", 200, 1),
    ] {
        let labels = format!("{{route=\"{route}\",method=\"{method}\"");
        assert_line(
            &text,
            &format!("sydent_http_requests_total{labels},status=\"{status}\"}} {count}"),
        );
        let timed = format!("sydent_http_request_duration_seconds_count{labels}}}");
        assert!(text.contains(&timed), "{timed} is not in:\n{text}");
    }
    for actor in ["lookups", "associations", "signer"] {
        for time in ["queue", "run"] {
            let line = format!("sydent_actor_{time}_duration_seconds_count{{actor=\"{actor}\"}}");
            assert!(text.contains(&line), "{line} is not in:\n{text}");
        }
    }
    for private in ["alice", "example.com", "example.org", "ALICE", "127.0.0.1"] {
        assert!(!text.contains(private), "{private} is in:\n{text}");
    }
}
