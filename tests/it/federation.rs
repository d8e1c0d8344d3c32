//! Asking homeservers, through the door that every flow uses.

mod answers;
mod calls;
mod discovery;
mod guard;
mod keys;
mod limits;
mod proxy;
mod register;
mod tls;

use std::sync::atomic::{AtomicU8, Ordering};

use sydent::actor::federation::{CallError, UserInfoError};
use sydent::config::Settings;
use sydent::domain::ids::ServerName;

use crate::harness::{Homeserver, TestDns, TestServer, shared_ca, trust};

/// A server that can reach that homeserver.
fn reaching(homeserver: &Homeserver) -> TestServer {
    TestServer::start(|settings| homeserver.configure(settings))
}

/// Lets a server ask that name server, trust the homeservers of the tests, and
/// reach 127.1.0.0/16, which is the Internet here. The rest of loopback stays
/// blocked.
fn on_the_internet(settings: &mut Settings, dns: &TestDns) {
    dns.configure(settings);
    trust(settings);
    settings.federation.allow_ranges = vec!["127.1.0.0/16".parse().unwrap()];
}

/// An address on that Internet that no other test uses, also not one of another
/// run at the same time.
fn public_ip() -> String {
    static COUNT: AtomicU8 = AtomicU8::new(1);
    let (run, count) = (
        std::process::id() % 256,
        COUNT.fetch_add(1, Ordering::SeqCst),
    );
    format!("127.1.{run}.{count}")
}

/// A homeserver that listens there and shows a certificate for that name or
/// address.
fn homeserver_at(listen: &str, name: &str, certified: &str) -> Homeserver {
    Homeserver::with_certificate(name, certified, listen, shared_ca())
}

/// Who holds a token, by the name of a server.
async fn user_info(id: &TestServer, server: &str, token: &str) -> Result<String, UserInfoError> {
    let server = ServerName::parse(server).unwrap();
    let asked = id.app.federation.user_info(&server, token).await;
    let asked = asked.expect("the door is open");
    asked.map(|mxid| mxid.to_string())
}

/// Why a server could not be asked.
async fn unreachable(id: &TestServer, server: &str) -> CallError {
    match user_info(id, server, "token").await {
        Err(UserInfoError::Unreachable(error)) => error,
        other => panic!("{other:?} of {server}"),
    }
}
