//! Connections that are idle, slow or many.

use std::time::{Duration, Instant};

use serde_json::json;
use sydent::config::Settings;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::harness::{BlockedActor, RawConnection, TestServer, V2, post};

const PING: &str = "GET /_matrix/identity/v2 HTTP/1.1\r\nHost: id.example.test\r\n\r\n";

/// A request that waits for the actor of the sessions, and its answer.
const SUBMIT_TOKEN: &str =
    "GET /_matrix/identity/api/v1/validate/email/submitToken?sid=1&client_secret=a&token=b";
const NO_SUCH_SESSION: &str = "HTTP/1.1 400 ";

/// Deadlines that a test can wait for.
fn short(settings: &mut Settings) {
    settings.http.request_timeout = Duration::from_secs(2);
    settings.delivery.answer_within = Duration::from_secs(1);
}

async fn connect(server: &TestServer) -> RawConnection {
    RawConnection::connect(server.addresses.client[0]).await
}

/// A connection that had a response already.
async fn used(server: &TestServer) -> RawConnection {
    let mut wire = connect(server).await;
    wire.send(PING).await;
    wire.read_response().await;
    wire
}

/// GEN-21, SEC-01
#[actix_web::test]
async fn every_head_has_a_deadline() {
    let server = TestServer::start(short);
    let mut halves = Vec::new();
    for mut wire in [connect(&server).await, used(&server).await] {
        wire.send("G").await;
        halves.push(wire);
    }
    let started = Instant::now();
    for wire in &mut halves {
        let answer = wire.read_to_end().await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    // Each byte of a head does not begin the time again.
    let mut trickling = used(&server).await;
    for byte in ["G", "E", "T", " ", "/"] {
        trickling.send(byte).await;
        tokio::time::sleep(Duration::from_millis(450)).await;
    }
    let answer = trickling.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(started.elapsed() < Duration::from_secs(20));
}

/// SEC-01
#[actix_web::test]
async fn idle_connections_are_closed() {
    let server = TestServer::start(|settings| {
        settings.http.keep_alive = Duration::from_secs(1);
    });
    let mut wire = used(&server).await;
    assert_eq!(wire.read_to_end().await, "");
    // In use, it lives on.
    let mut wire = used(&server).await;
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        wire.send(PING).await;
        wire.read_response().await;
    }
}

/// SEC-01
#[actix_web::test]
async fn responses_that_nobody_reads_have_a_deadline() {
    let server = TestServer::start(short);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut wire = socket.connect(server.addresses.client[0]).await.unwrap();
    let requests = PING.repeat(1000);
    // Until nothing more goes out, and then until the server has closed it.
    let flood = async { while wire.write_all(requests.as_bytes()).await.is_ok() {} };
    timeout(Duration::from_secs(30), flood)
        .await
        .expect("the server closes the connection");
    server.api().get(V2).await.ok();
}

/// GEN-21, SEC-01
#[actix_web::test]
async fn long_head_is_answered_431() {
    let server = TestServer::start(|_| {});
    let head = |length: usize| {
        format!(
            "GET /_matrix/identity/v2 HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\n\r\n",
            "a".repeat(length)
        )
    };
    let mut wire = connect(&server).await;
    wire.send(&head(60 * 1024)).await;
    assert!(wire.read_response().await.starts_with("HTTP/1.1 200 "));
    for length in [80, 900] {
        let mut wire = connect(&server).await;
        wire.send(&head(length * 1024)).await;
        let answer = wire.read_to_end().await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 431 "), "{length}: {answer}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["errcode"], "M_TOO_LARGE");
    }
}

/// SEC-01
#[actix_web::test]
async fn head_in_many_small_pieces_is_refused() {
    let server = TestServer::start(|_| {});
    let mut wire = TcpStream::connect(server.addresses.client[0])
        .await
        .unwrap();
    wire.set_nodelay(true).unwrap();
    wire.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
        .await
        .unwrap();
    let (mut pieces, mut answer) = (0, [0; 12]);
    while pieces < 5000 && wire.try_read(&mut answer).is_err() {
        wire.write_all(b"x").await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        pieces += 1;
    }
    assert_eq!(&answer, b"HTTP/1.1 431");
    assert!((1500..5000).contains(&pieces), "{pieces}");
}

/// SEC-01
#[actix_web::test]
async fn new_connection_replaces_the_longest_idle() {
    let server = TestServer::start(|settings| {
        settings.http.max_connections_per_client = 8;
        // Connections wait since they were accepted, in their order.
        settings.http.workers = 1;
    });
    let held = BlockedActor::new(&server.app.sessions, 2);
    let mut working = connect(&server).await;
    let head = format!("{SUBMIT_TOKEN} HTTP/1.1\r\nHost: a\r\n\r\n");
    working.send(&head).await;
    let mut first = connect(&server).await;
    first.send("G").await;
    let mut idle = Vec::new();
    for _ in 0..6 {
        idle.push(used(&server).await);
    }
    let mut newest = used(&server).await;
    let closed = timeout(Duration::from_secs(10), first.read_to_end()).await;
    assert!(closed.is_ok(), "the longest idle one is closed");
    let metrics = server.operations().get("/metrics").await.text();
    for line in [
        "sydent_http_connections{listener=\"client\"} 8\n",
        "sydent_http_connections_closed_total{listener=\"client\"} 1\n",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    for wire in idle.iter_mut().chain([&mut newest]) {
        wire.send(PING).await;
        wire.read_response().await;
    }
    drop(held);
    let answer = working.read_response().await;
    assert!(answer.starts_with(NO_SUCH_SESSION), "{answer}");
}

/// SEC-01
#[actix_web::test]
async fn one_client_has_few_requests_in_work() {
    let server = TestServer::start(|settings| {
        settings.http.max_requests_per_client = 4;
        settings.http.max_connections_per_client = 8;
        settings.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    });
    let held = BlockedActor::new(&server.app.sessions, 2);
    let submit = |client: &str| {
        format!(
            "{SUBMIT_TOKEN} HTTP/1.1\r\n\
             Host: a\r\nX-Forwarded-For: {client}\r\nConnection: close\r\n\r\n"
        )
    };
    let mut waiting = Vec::new();
    for _ in 0..4 + 8 {
        let mut wire = connect(&server).await;
        wire.send(&submit("192.0.2.1")).await;
        waiting.push(wire);
    }
    // Gives the server time to start all of them.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut refused = connect(&server).await;
    refused.send(&submit("192.0.2.1")).await;
    let answer = refused.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    assert!(answer.contains("M_LIMIT_EXCEEDED") && answer.contains("retry-after: 1"));
    let mut other = connect(&server).await;
    other.send(&submit("192.0.2.2")).await;
    drop(held);
    for mut wire in waiting.into_iter().chain([other]) {
        let answer = wire.read_to_end().await;
        assert!(answer.starts_with(NO_SUCH_SESSION), "{answer}");
    }
}

/// GEN-21, GEN-28
#[actix_web::test]
async fn token_is_checked_before_the_body_arrives() {
    let server = TestServer::start(|_| {});
    for length in [1000, 400_000, 100_000_000] {
        let mut wire = connect(&server).await;
        let head = format!(
            "POST /_matrix/identity/v2/lookup HTTP/1.1\r\nHost: a\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        wire.send(&head).await;
        let answer = wire.read_response().await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{length}: {answer}");
        assert!(answer.contains("connection: close"), "{length}: {answer}");
    }
    // The connection of a complete request can be used again.
    let mut wire = connect(&server).await;
    for _ in 0..2 {
        wire.send(&post("/_matrix/identity/v2/lookup", &json!({"a": "b"})))
            .await;
        let answer = wire.read_response().await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        assert!(!answer.contains("connection: close"), "{answer}");
    }
}

/// GEN-21
#[actix_web::test]
async fn only_lookups_have_long_bodies() {
    let server = TestServer::start(|_| {});
    let long = json!({"client_secret": "x".repeat(40_000)});
    for path in ["v2/account/register", "api/v1/3pid/bind", "v2/lookup"] {
        let path = format!("/_matrix/identity/{path}");
        let api = server.account("@a:example.org").await;
        let status = api.post(&path, long.clone()).await.status;
        let expected = if path.ends_with("lookup") { 400 } else { 413 };
        assert_eq!(status, expected, "{path}");
    }
}

/// SEC-01
#[actix_web::test]
async fn open_file_limit_is_raised() {
    let _server = TestServer::start(|_| {});
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    assert_eq!(limit.current, limit.maximum);
}

#[actix_web::test]
async fn half_closed_connection_gets_its_response() {
    let server = TestServer::start(|_| {});
    let mut wire = TcpStream::connect(server.addresses.client[0])
        .await
        .unwrap();
    wire.write_all(PING.as_bytes()).await.unwrap();
    wire.shutdown().await.unwrap();
    let mut answer = String::new();
    wire.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
