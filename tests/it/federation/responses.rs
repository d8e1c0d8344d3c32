//! Responses as servers of the world send them.

use serde_json::json;
use sydent::actor::federation::{CallError, UserInfoError};

use super::{homeserver_at, on_the_internet, public_ip, reaching, user_info};
use crate::harness::{
    Behaviour, Homeserver, ONBIND, SERVER_KEYS, TestDns, TestServer, TlsEnd, USER_INFO, WELL_KNOWN,
};

/// The same response in the forms in which servers send it.
fn forms(body: &str) -> Vec<String> {
    let length = body.len();
    let (start, end) = body.split_at(length / 2);
    let chunks = format!(
        "{:x}\r\n{start}\r\n{:x};ext=\"x\"\r\n{end}\r\n0\r\n\r\n",
        start.len(),
        end.len()
    );
    let many = "X-Policy: default-src 'self'\r\n".repeat(600);
    let large = "x".repeat(120_000);
    vec![
        format!("HTTP/1.1 200 OK\r\n\r\n{body}"),
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: x\r\n\r\n{body}"),
        format!("HTTP/1.0 200 OK\r\n\r\n{body}"),
        format!("HTTP/1.1 200\r\nContent-Length: {length}\r\n\r\n{body}"),
        format!("HTTP/1.1 200 OK\nContent-Length: {length}\n\n{body}"),
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nContent-Length: {length}\r\n\r\n{body}"
        ),
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}and more"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nTrailer: x\r\n\r\n{chunks}"),
        format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n{chunks}"
        ),
        format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{body}"),
        format!(
            "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n\
             HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"
        ),
        format!("HTTP/1.1 200 OK\r\n{many}Content-Length: {length}\r\n\r\n{body}"),
        format!("HTTP/1.1 200 OK\r\nSet-Cookie: {large}\r\nContent-Length: {length}\r\n\r\n{body}"),
        format!("HTTP/1.1 200 D\u{e9}j\u{e0}\r\nServer: \u{fc}\r\nno field\r\n\r\n{body}"),
    ]
}

/// ACC-04, NET-15
#[actix_web::test]
async fn userinfo_is_read_in_every_form() {
    let hs = Homeserver::start();
    let id = reaching(&hs);
    for form in forms(&json!({"sub": hs.user("alice")}).to_string()) {
        for end in [TlsEnd::Said, TlsEnd::Missing] {
            hs.behave(USER_INFO, Behaviour::Bytes(form.clone().into_bytes(), end));
            let found = user_info(&id, hs.name.as_str(), "token").await;
            let start: String = form.chars().take(120).collect();
            assert_eq!(found, Ok(hs.user("alice")), "{end:?} {start}");
        }
    }
}

/// NET-03, NET-17
#[actix_web::test]
async fn delegation_and_keys_are_read_in_every_form() {
    let (dns, ip) = (TestDns::start(), public_ip());
    let delegating = Homeserver::named("framing.test");
    let hs = homeserver_at(&format!("{ip}:0"), "framing.test", "delegate.test");
    dns.address("delegate.test", &ip);
    let delegate = format!("delegate.test:{}", hs.address.port());
    let delegations = forms(&json!({"m.server": delegate}).to_string());
    let keys = forms(&hs.signed(hs.unsigned_keys()).to_string());
    let (key_id, public) = hs.key();
    for (delegation, keys) in delegations.into_iter().zip(keys) {
        // Each server has empty caches.
        let id = TestServer::start(|settings| {
            on_the_internet(settings, &dns);
            let hosts = &mut settings.federation.hosts;
            hosts.insert("framing.test:443".to_owned(), delegating.address);
        });
        delegating.behave(WELL_KNOWN, Behaviour::bytes(delegation));
        hs.behave(SERVER_KEYS, Behaviour::bytes(keys.clone()));
        let found = id.app.federation.server_key(&hs.name, &key_id, None).await;
        let start: String = keys.chars().take(120).collect();
        assert_eq!(found.unwrap(), Ok(Some(public)), "{start}");
    }
}

/// A body that is not whole must not be taken for it.
#[actix_web::test]
async fn incomplete_response_is_an_error() {
    let hs = Homeserver::start();
    let id = reaching(&hs);
    let body = json!({"sub": hs.user("alice")}).to_string();
    let length = body.len();
    for response in [
        String::new(),
        "HTTP/1.1 200 OK\r\n".to_owned(),
        "HTTP/1.1 100 Continue\r\n\r\n".to_owned(),
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            length + 1
        ),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 1, {length}\r\n\r\n{body}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n"),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n".to_owned(),
        "SSH-2.0-OpenSSH_9.7\r\n\r\n".to_owned(),
    ] {
        for end in [TlsEnd::Said, TlsEnd::Missing] {
            hs.behave(
                USER_INFO,
                Behaviour::Bytes(response.clone().into_bytes(), end),
            );
            let found = user_info(&id, hs.name.as_str(), "token").await;
            let is_error = matches!(
                found,
                Err(UserInfoError::Unreachable(CallError::InvalidResponse(_)))
            );
            assert!(is_error, "{found:?} {end:?} {response}");
        }
    }
}

/// ONB-11
#[actix_web::test]
async fn status_without_a_body_is_enough() {
    let hs = Homeserver::start();
    let id = reaching(&hs);
    for response in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200\n\n",
        "HTTP/1.1 103\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
    ] {
        hs.behave(ONBIND, Behaviour::bytes(response));
        let result = id.app.federation.onbind(&hs.name, "{}".to_owned()).await;
        assert_eq!(result.unwrap(), Ok(()), "{response}");
    }
}
