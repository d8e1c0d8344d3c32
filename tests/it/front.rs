//! What proxies, balancers and service managers do to the server.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use actix_web::http::Method;
use serde_json::json;
use tempfile::{TempDir, tempdir};

use crate::harness::{
    RawConnection, Signal, TestDatabase, TestServer, V1, V2, configured, encode, fresh_address,
    send_signal,
};

const HOST: &str = "Host: id.example.test\r\n";

/// A connection is either usable after an offer that is not taken, or says that it
/// ends.
#[actix_web::test]
async fn upgrade_that_is_not_taken_is_answered() {
    let server = TestServer::start(|_| {});
    let h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n";
    let websocket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    let body = r#"{"a": 1}"#;
    for (offer, method, path, status) in [
        (h2c, "GET", V2.to_owned(), "200"),
        ("Connection: upgrade\r\n", "GET", V2.to_owned(), "200"),
        (websocket, "GET", V2.to_owned(), "200"),
        (websocket, "GET", format!("{V2}/account"), "401"),
        (websocket, "GET", "/nonesuch".to_owned(), "404"),
        (websocket, "POST", format!("{V2}/account/register"), "400"),
        (h2c, "POST", format!("{V2}/account/register"), "400"),
    ] {
        let mut connection = RawConnection::connect(server.addresses.client[0]).await;
        let content = match method {
            "POST" => format!("Content-Length: {}\r\n\r\n{body}", body.len()),
            _ => "\r\n".to_owned(),
        };
        let request = format!("{method} {path} HTTP/1.1\r\n{HOST}{offer}{content}");
        connection.send(&request).await;
        let answer = connection.read_response().await;
        let start = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&start), "{offer}{path}: {answer}");
        assert!(
            answer.contains("\r\nconnection: close\r\n"),
            "{offer}{path}: {answer}"
        );
        if method == "POST" {
            assert!(answer.contains("M_MISSING_PARAMS"), "{offer}: {answer}");
        }
    }
}

/// GEN-21
#[actix_web::test]
async fn refusal_is_readable_while_the_body_is_sent() {
    let server = TestServer::start(|_| {});
    for (method, path, expect, status) in [
        ("POST", format!("{V2}/account/register"), "", "413"),
        (
            "POST",
            format!("{V2}/account/register"),
            "Expect: 100-continue\r\n",
            "413",
        ),
        ("POST", format!("{V2}/3pid/unbind"), "", "413"),
        ("POST", format!("{V2}/lookup"), "", "401"),
        ("PUT", format!("{V2}/lookup"), "", "405"),
        ("POST", "/nonesuch".to_owned(), "", "404"),
    ] {
        let mut connection = RawConnection::connect(server.addresses.client[0]).await;
        let head =
            format!("{method} {path} HTTP/1.1\r\n{HOST}{expect}Content-Length: 90000000\r\n\r\n");
        connection.send(&head).await;
        // More than the buffers of both sides hold.
        for _ in 0..200 {
            connection.send(&"x".repeat(64 * 1024)).await;
        }
        let started = Instant::now();
        let mut answer = connection.read_response().await;
        if answer.starts_with("HTTP/1.1 100 ") {
            answer = connection.read_response().await;
        }
        let start = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&start), "{path}: {answer}");
        assert!(
            answer.contains("\r\nconnection: close\r\n"),
            "{path}: {answer}"
        );
        assert!(started.elapsed() < Duration::from_secs(8), "{path}");
        // The connection takes what is still sent.
        connection.send(&"x".repeat(64 * 1024)).await;
    }
}

/// An announced body is refused before any of it is sent.
///
/// GEN-21
#[actix_web::test]
async fn announced_oversize_is_refused_at_once() {
    let server = TestServer::start(|_| {});
    for length in ["524289", "90000000", "18446744073709551615"] {
        let mut connection = RawConnection::connect(server.addresses.client[0]).await;
        let head = format!(
            "POST {V2}/account/register HTTP/1.1\r\n{HOST}Content-Length: {length}\r\n\r\n"
        );
        connection.send(&head).await;
        let answer = connection.read_response().await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains("M_TOO_LARGE"), "{answer}");
    }
}

/// GEN-21, LKP-12
#[actix_web::test]
async fn body_limit_fits_the_largest_lookup() {
    let server = TestServer::start(|settings| {
        settings.lookup.max_addresses = 2000;
    });
    let account = server.account("@looker:example.org").await;
    let pepper = account.hash_details().await.ok()["lookup_pepper"].clone();
    // The longest addresses, in the longest form that JSON has for them.
    let long = format!("{}@{}.example", "é".repeat(32), "é".repeat(80));
    let entry = format!("{long} email");
    let escaped = entry.replace('é', "\\u00e9");
    let entries = vec![format!("\"{escaped}\""); 2000].join(", ");
    let body = format!(r#"{{"algorithm": "none", "pepper": {pepper}, "addresses": [{entries}]}}"#);
    assert!(body.len() > 1024 * 1024);
    let answer = account
        .send(
            Method::POST,
            &format!("{V2}/lookup"),
            &[],
            body.into_bytes(),
        )
        .await;
    assert_eq!(answer.ok(), json!({"mappings": {}}));

    let pairs = vec![format!("[\"email\", \"{}\"]", long.replace('é', "\\u00e9")); 2000];
    let body = format!(r#"{{"threepids": [{}]}}"#, pairs.join(", "));
    let json_type = [("content-type", "application/json")];
    let path = format!("{V1}/bulk_lookup");
    let api = server.api();
    let answer = api
        .send(Method::POST, &path, &json_type, body.into_bytes())
        .await;
    assert_eq!(answer.ok(), json!({"threepids": []}));
    // Others keep their limit.
    let large = vec![b' '; 600 * 1024];
    let path = format!("{V2}/account/register");
    let answer = server
        .api()
        .send(Method::POST, &path, &json_type, large)
        .await;
    answer.refused(413, "M_TOO_LARGE");
}

/// EML-12
#[actix_web::test]
async fn brand_can_be_in_the_query() {
    let folder = tempdir().unwrap();
    for brand in ["house", "acme"] {
        let brand_folder = folder.path().join(brand);
        std::fs::create_dir(&brand_folder).unwrap();
        for file in ["verification_template.eml.j2", "invite_template.eml.j2"] {
            let text = format!("Subject: {brand}\n\n{{{{ token }}}}\n");
            std::fs::write(brand_folder.join(file), text).unwrap();
        }
    }
    let server = TestServer::start(|settings| {
        settings.templates.brands_dir = Some(folder.path().to_owned());
    });
    let account = server.account("@alice:example.org").await;
    for (query, in_body, subject) in [
        (Some("acme"), None, "acme"),
        (Some("acme"), Some(""), "acme"),
        (Some("acme"), Some("house"), "house"),
        (None, Some("house"), "house"),
    ] {
        let query = query.map_or_else(String::new, |brand| encode(&[("brand", brand)]));
        for path in ["validate/email/requestToken", "store-invite"] {
            for version in [V1, V2] {
                let address = fresh_address("brand");
                let mut fields = json!({
                    "client_secret": "secret", "email": address, "send_attempt": 1,
                    "medium": "email", "address": address, "room_id": "!a:example.org",
                    "sender": "@alice:example.org",
                });
                if let Some(brand) = in_body {
                    fields["brand"] = brand.into();
                }
                let sender = if version == V2 {
                    &account
                } else {
                    &server.api()
                };
                let answer = sender
                    .send(
                        Method::POST,
                        &format!("{version}/{path}?{query}"),
                        &[("content-type", "application/json")],
                        fields.to_string().into_bytes(),
                    )
                    .await;
                answer.ok();
                let mail = server.mails_sent(&address).await.pop().unwrap();
                let text = String::from_utf8_lossy(&mail.raw).into_owned();
                assert!(
                    text.contains(&format!("Subject: {subject}\r\n")),
                    "{path}: {text}"
                );
            }
        }
    }
}

/// A server that waits for its configuration, which is in a pipe.
struct Starting {
    child: Child,
    configuration: File,
    text: String,
    _folder: TempDir,
}

impl Starting {
    fn new(database: &TestDatabase) -> Self {
        let folder = configured(database, |_| {});
        let text = std::fs::read_to_string(folder.path().join("sydent.toml")).unwrap();
        let pipe = folder.path().join("pipe.toml");
        assert!(
            Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        let child = Command::new(env!("CARGO_BIN_EXE_sydent"))
            .args(["serve", "--config"])
            .arg(&pipe)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            // Returns when the server reads.
            configuration: File::create(pipe).unwrap(),
            child,
            text,
            _folder: folder,
        }
    }

    /// Sends the configuration, and SIGTERM once the server runs. Returns the log.
    async fn run(mut self) -> (Option<i32>, String) {
        self.configuration.write_all(self.text.as_bytes()).unwrap();
        drop(self.configuration);
        let mut log = BufReader::new(self.child.stderr.take().unwrap());
        let mut text = String::new();
        while !text.contains("the client listener") && log.read_line(&mut text).unwrap() > 0 {}
        tokio::time::sleep(Duration::from_millis(500)).await;
        send_signal(&self.child, Signal::TERM);
        let status = self.child.wait().unwrap();
        log.read_to_string(&mut text).unwrap();
        (status.code(), text)
    }
}

/// OPS-10
#[actix_web::test]
async fn signals_during_the_start_do_no_harm() {
    let database = TestDatabase::fresh();
    let starting = Starting::new(&database);
    for signal in [
        Signal::HUP,
        Signal::USR1,
        Signal::USR2,
        Signal::PIPE,
        Signal::HUP,
    ] {
        send_signal(&starting.child, signal);
    }
    let (code, log) = starting.run().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("the client listener"), "{log}");

    for signal in [Signal::TERM, Signal::INT] {
        let mut starting = Starting::new(&database);
        send_signal(&starting.child, signal);
        assert_eq!(starting.child.wait().unwrap().code(), Some(0));
    }
}
