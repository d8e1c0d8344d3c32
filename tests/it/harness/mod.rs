//! The harness of all tests.

mod answer;
mod api;
mod balancer;
mod blocked_actor;
mod certificates;
mod command;
pub mod database;
mod demo;
mod dns;
mod forward;
mod framing;
mod homeserver;
mod homeserver_http;
mod instances;
mod interruptible_database;
mod lookup;
mod mail;
pub mod mesh;
mod node;
mod peer;
mod port;
mod process;
mod proxy;
mod queue;
mod raw;
mod raw_connection;
mod routes;
mod server;
mod sms;
mod smtp;
mod standby;
pub mod sydent_conf;
mod terms;
mod tls_postgres;

pub use answer::Answer;
pub use api::{Api, V1, V2, encode};
pub use balancer::{Backend, Balancer};
pub use blocked_actor::BlockedActor;
pub use certificates::{TestCa, Unusual, self_signed_authority};
pub use command::{CommandOutput, mode};
pub use database::TestDatabase;
pub use demo::{Demo, three_free_ports};
pub use dns::{DnsFault, TestDns};
pub use homeserver::{Homeserver, ONBIND, SERVER_KEYS, USER_INFO, WELL_KNOWN, shared_ca, trust};
pub use homeserver_http::{Behaviour, TlsEnd};
pub use interruptible_database::InterruptibleDatabase;
pub use lookup::mxid_of;
pub use mail::Mail;
pub use node::Node;
pub use peer::{PUSH, Peer, head as push_head, listen as listen_to_peers, mesh_ca};
pub use port::{ClosedPort, has_ipv6, listen_everywhere};
pub use process::{Signal, TestProcess, configured, send_signal};
pub use proxy::Proxy;
pub use raw_connection::{RawConnection, post};
pub use routes::{CAPTURED_MAIL, Listener, Needs, ROUTES, Route, posts, routes_of};
pub use server::{TestServer, settings as test_settings};
pub use sms::{Reply, SMS_PASSWORD, SentSms, SmsProvider, fresh_msisdn};
pub use smtp::{SmtpServer, Tls};
pub use standby::ReplicatedPostgres;
pub use terms::TermsFile;
pub use tls_postgres::TlsPostgres;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The server name of test servers.
pub const SERVER_NAME: &str = "id.example.test";
/// The public base URL of test servers.
pub const BASE_URL: &str = "https://id.example.test";
/// The signing key of test servers: the seed of the specification's examples.
pub const KEY_FILE: &str = "ed25519 0 YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1\n";

/// A path in this repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// An address that no other test uses: the tests share a mail server.
pub fn fresh_address(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::SeqCst);
    format!("{name}-{count}-{}@example.com", std::process::id())
}

/// Calls `look` every 10 ms, for up to 20 s, until it finds something.
pub async fn wait_for<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..2000 {
        if let Some(found) = look().await {
            return found;
        }
        actix_web::rt::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("timed out after 20 s waiting for {what}");
}

/// Calls `condition` every 10 ms, for up to 20 s, until it is true.
pub async fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(what, async || condition().then_some(())).await;
}
