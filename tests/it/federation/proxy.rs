//! Reaching homeservers through an HTTP proxy.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use sydent::actor::federation::CallError;
use sydent::config::SecretUrl;

use super::{unreachable, user_info};
use crate::harness::{Homeserver, TestServer, trust};

/// A proxy that connects every client to one target.
struct HttpProxy {
    address: SocketAddr,
    /// The heads of all requests so far.
    requests: Arc<Mutex<Vec<String>>>,
}

impl HttpProxy {
    fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let all = Arc::clone(&requests);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let all = Arc::clone(&all);
                thread::spawn(move || serve(client, target, &all));
            }
        });
        Self { address, requests }
    }
}

fn serve(mut client: TcpStream, target: SocketAddr, requests: &Mutex<Vec<String>>) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).unwrap();
        request.extend(byte);
    }
    requests
        .lock()
        .unwrap()
        .push(String::from_utf8(request).unwrap());
    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
    let mut server = TcpStream::connect(target).unwrap();
    let (mut from_client, mut to_server) =
        (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || std::io::copy(&mut from_client, &mut to_server));
    let _ = std::io::copy(&mut server, &mut client);
}

#[actix_web::test]
async fn proxy_connects_and_resolves_names() {
    let hs = Homeserver::named("proxied.test:8449");
    let proxy = HttpProxy::to(hs.address);
    let id = TestServer::start(|settings| {
        trust(settings);
        let url = format!("http://user:hunter2@{}", proxy.address);
        settings.federation.proxy = Some(SecretUrl::from(url));
    });
    let token = hs.openid_token("alice");
    let found = user_info(&id, "proxied.test:8449", &token).await;
    assert_eq!(found, Ok(hs.user("alice")));
    let requests = proxy.requests.lock().unwrap().clone();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].starts_with("CONNECT proxied.test:8449 HTTP/1.1\r\n"));
    assert!(requests[0].contains("\r\nProxy-Authorization: Basic dXNlcjpodW50ZXIy\r\n"));
    assert!(
        !requests[0].contains(&token),
        "the proxy does not see the token"
    );
    assert!(!format!("{:?}", id.app.config.federation).contains("hunter2"));
}

/// NET-11
#[actix_web::test]
async fn address_is_checked_before_the_proxy_gets_it() {
    let hs = Homeserver::start();
    let proxy = HttpProxy::to(hs.address);
    let id = TestServer::start(|settings| {
        trust(settings);
        let url = format!("http://{}", proxy.address);
        settings.federation.proxy = Some(SecretUrl::from(url));
    });
    for name in ["127.0.0.1:1", "[::1]:1", "10.0.0.1:1", "0.0.0.0:1"] {
        assert_eq!(unreachable(&id, name).await, CallError::Blocked, "{name}");
    }
    assert!(proxy.requests.lock().unwrap().is_empty());
}
