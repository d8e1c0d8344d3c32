//! Clients that hang up during a request, and clients that never finish one.

use std::time::Duration;

use serde_json::json;
use sydent::app::App;
use sydent::config::Settings;

use crate::harness::{
    BlockedActor, RawConnection, SmtpServer, TestServer, fresh_address, post, wait_for,
};

const BIND: &str = "/_matrix/identity/api/v1/3pid/bind";
const REQUEST_TOKEN: &str = "/_matrix/identity/api/v1/validate/email/requestToken";
const MXID: &str = "@alice:example.org";

/// Ways to block each actor that bind needs.
const HOLDS: [fn(&App) -> BlockedActor; 3] = [
    |app| BlockedActor::new(&app.sessions, 2),
    |app| BlockedActor::new(&app.signer, 1),
    |app| BlockedActor::new(&app.associations, 2),
];

/// One HTTP worker, so that an answer shows that the worker has seen everything
/// that was sent before.
fn one_worker(settings: &mut Settings) {
    settings.http.workers = 1;
}

/// Sends a request and hangs up while the server handles it; waits until the
/// server has dropped it.
async fn abandon(server: &TestServer, request: &str) {
    let mut wire = RawConnection::connect(server.addresses.client[0]).await;
    wire.send(request).await;
    for _ in 0..5 {
        server.api().get("/_matrix/identity/v2").await.ok();
    }
    wire.reset();
    for _ in 0..5 {
        server.api().get("/_matrix/identity/v2").await.ok();
    }
}

fn bind(sid: &str) -> String {
    let body = json!({"sid": sid, "client_secret": "secret", "mxid": MXID});
    post(BIND, &body)
}

#[actix_web::test]
async fn bind_completes_after_client_disconnect() {
    for hold in HOLDS {
        let server = TestServer::start(one_worker);
        let session = server.validate(&fresh_address("hangup")).await;
        let held = hold(&server.app);
        abandon(&server, &bind(&session.sid)).await;
        assert_eq!(server.database.count("associations"), 0);
        drop(held);
        let mxid = wait_for("the association", async || {
            let found = server.api().lookup("email", &session.address).await.ok();
            found["mxid"].as_str().map(str::to_owned)
        });
        assert_eq!(mxid.await, MXID);
    }
}

#[actix_web::test]
async fn bind_completes_after_disconnect_and_shutdown() {
    for hold in HOLDS {
        let mut server = TestServer::start(one_worker);
        let session = server.validate(&fresh_address("hangup")).await;
        let held = hold(&server.app);
        abandon(&server, &bind(&session.sid)).await;
        server.begin_stop();
        let address = server.addresses.client[0];
        wait_for("a closed listener", async || {
            tokio::net::TcpStream::connect(address).await.err()
        })
        .await;
        assert_eq!(server.database.count("associations"), 0);
        drop(held);
        server.stop();
        assert_eq!(server.database.count("associations"), 1);
    }
}

#[actix_web::test]
async fn mail_is_sent_after_client_disconnect() {
    let server = TestServer::start(one_worker);
    let address = fresh_address("hangup");
    let held = BlockedActor::new(&server.app.sessions, 2);
    let body = json!({"client_secret": "secret", "email": address, "send_attempt": 1});
    abandon(&server, &post(REQUEST_TOKEN, &body)).await;
    drop(held);
    let mail = SmtpServer::shared().mail_to(&address).await;
    let sid = mail.parameter("sid");
    let api = server.api();
    api.submit_token(&sid, "secret", &mail.token()).await.ok();
}

/// GEN-21
#[actix_web::test]
async fn unfinished_requests_time_out() {
    let server = TestServer::start(|settings| {
        settings.database.queue = 2;
        settings.http.workers = 1;
        settings.http.request_timeout = Duration::from_secs(2);
        settings.delivery.answer_within = Duration::from_secs(1);
    });
    let request = post(BIND, &json!({"sid": "a".repeat(100)}));
    let (half_a_body, _) = request.split_at(200);
    let half_a_head = "POST /_matrix/identity/api/v1/3pid/bind HTTP/1.1\r\nHost: a\r\nX-";
    let mut stalled = Vec::new();
    for part in [half_a_body, half_a_head].repeat(10) {
        let mut wire = RawConnection::connect(server.addresses.client[0]).await;
        wire.send(part).await;
        stalled.push((part, wire));
    }
    let session = server.validate(&fresh_address("patient")).await;
    let api = server.api();
    api.bind(&session.sid, "secret", MXID).await.ok();
    for (part, mut wire) in stalled {
        let answer = wire.read_to_end().await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{part}: {answer}");
        if part == half_a_body {
            let body = answer.split("\r\n\r\n").nth(1).unwrap();
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(body["errcode"], "M_UNKNOWN");
            assert!(answer.contains("access-control-allow-origin: *"));
        }
    }
    api.lookup("email", &session.address).await.ok();
}
