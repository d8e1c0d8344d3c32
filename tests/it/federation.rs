//! Requests to homeservers, through the handle that every flow uses.

mod answers;
mod calls;
mod connections;
mod discovery;
mod guard;
mod keys;
mod limits;
mod name_servers;
mod proxy;
mod register;
mod responses;
mod tls;

use std::sync::atomic::{AtomicU8, Ordering};

use sydent::actor::federation::{CallError, UserInfoError};
use sydent::config::Settings;
use sydent::domain::ids::ServerName;

use crate::harness::{Homeserver, TestDns, TestServer, shared_ca, trust};

/// A server that can reach this homeserver.
fn reaching(homeserver: &Homeserver) -> TestServer {
    TestServer::start(|settings| homeserver.configure(settings))
}

/// Lets a server use this name server, trust the homeservers of the tests, and
/// reach 127.1.0.0/16, which stands for the Internet. The rest of loopback stays
/// blocked.
fn on_the_internet(settings: &mut Settings, dns: &TestDns) {
    dns.configure(settings);
    trust(settings);
    settings.federation.allow_ranges = vec!["127.1.0.0/16".parse().unwrap()];
}

/// An address in 127.1.0.0/16 that no other test uses, including the tests of
/// another run at the same time.
fn public_ip() -> String {
    static COUNT: AtomicU8 = AtomicU8::new(1);
    let (run, count) = (
        std::process::id() % 256,
        COUNT.fetch_add(1, Ordering::SeqCst),
    );
    format!("127.1.{run}.{count}")
}

/// A homeserver that listens on `listen`, with a certificate for `certified`, a
/// name or an address.
fn homeserver_at(listen: &str, name: &str, certified: &str) -> Homeserver {
    Homeserver::with_certificate(name, certified, listen, shared_ca())
}

/// The user of a token, according to the homeserver of this name.
async fn user_info(id: &TestServer, server: &str, token: &str) -> Result<String, UserInfoError> {
    let server = ServerName::parse(server).unwrap();
    let found = id.app.federation.user_info(&server, token, None).await;
    let found = found.expect("the queue is open");
    found.map(|mxid| mxid.to_string())
}

/// The error of a call to a homeserver that cannot be reached.
async fn unreachable(id: &TestServer, server: &str) -> CallError {
    match user_info(id, server, "token").await {
        Err(UserInfoError::Unreachable(error)) => error,
        other => panic!("{other:?} for {server}"),
    }
}
