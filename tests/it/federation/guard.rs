//! Server names that lead into blocked networks.

use std::io::ErrorKind;
use std::net::TcpListener;

use serde_json::json;
use sydent::actor::federation::{CallError, KeyError, OnbindFailure};
use sydent::domain::ids::{KeyId, ServerName};

use super::{homeserver_at, on_the_internet, public_ip, unreachable, user_info};
use crate::harness::{
    Behaviour, TestDns, TestServer, USER_INFO, WELL_KNOWN, has_ipv6, listen_everywhere,
};

/// A service in the internal network, which must never receive a connection.
struct InternalService(TcpListener);

impl InternalService {
    fn listen(address: &str) -> Self {
        Self::on(TcpListener::bind(address).unwrap())
    }

    /// Listens on every address of this machine.
    fn everywhere() -> Self {
        Self::on(listen_everywhere())
    }

    fn on(listener: TcpListener) -> Self {
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    fn expect_untouched(&self) {
        let connection = self.0.accept().map_err(|error| error.kind());
        assert_eq!(connection.err(), Some(ErrorKind::WouldBlock));
    }
}

/// NET-11, NET-13, SEC-02, SEC-03
#[actix_web::test]
async fn no_address_notation_reaches_internal_hosts() {
    let dns = TestDns::start();
    // Every address of this machine, IPv4 and IPv6.
    let service = InternalService::everywhere();
    let port = service.port();
    dns.address("inside.test", "127.0.0.1");
    dns.address("inside6.test", "::1");
    dns.address("nowhere.test", "0.0.0.0");
    dns.address("nowhere6.test", "::");
    dns.address("mapped.test", "::ffff:127.0.0.1");
    // The blocked networks are those of production.
    let id = TestServer::start(|settings| dns.configure(settings));
    for host in [
        "0.0.0.0",
        "[::]",
        "127.0.0.1",
        "127.9.9.9",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:0.0.0.0]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "inside.test",
        "inside6.test",
        "nowhere.test",
        "nowhere6.test",
        "mapped.test",
        "localhost",
    ] {
        let error = unreachable(&id, &format!("{host}:{port}")).await;
        assert_eq!(error, CallError::Blocked, "{host}");
    }
    // These are not server names, or names that DNS does not have.
    for host in ["127.1", "2130706433", "0x7f000001"] {
        let name = format!("{host}:{port}");
        if ServerName::parse(&name).is_ok() {
            assert_eq!(
                unreachable(&id, &name).await,
                CallError::NoAddress,
                "{host}"
            );
        }
    }
    service.expect_untouched();
}

/// NET-13, SEC-03
#[actix_web::test]
async fn allow_ranges_cannot_open_unspecified_address() {
    let dns = TestDns::start();
    let service = InternalService::everywhere();
    dns.address("nowhere.test", "0.0.0.0");
    let id = TestServer::start(|settings| {
        dns.configure(settings);
        let everything = ["0.0.0.0/0", "::/0"].map(|range| range.parse().unwrap());
        settings.federation.allow_ranges = everything.to_vec();
    });
    for host in ["0.0.0.0", "[::]", "[::ffff:0.0.0.0]", "nowhere.test"] {
        let name = format!("{host}:{}", service.port());
        assert_eq!(unreachable(&id, &name).await, CallError::Blocked, "{host}");
    }
    service.expect_untouched();
}

/// NET-11, ONB-15, SEC-02
#[actix_web::test]
async fn every_kind_of_call_is_guarded() {
    let service = InternalService::listen("127.0.0.1:0");
    let id = TestServer::start(|_| {});
    let server = ServerName::parse(&format!("127.0.0.1:{}", service.port())).unwrap();
    let federation = &id.app.federation;
    let key_id = KeyId::parse("ed25519:a").unwrap();
    let keys = federation.server_key(&server, &key_id, None).await.unwrap();
    assert_eq!(keys, Err(KeyError::Unreachable(CallError::Blocked)));
    let result = federation.onbind(&server, "{}".to_owned()).await.unwrap();
    assert!(
        matches!(result, Err(OnbindFailure::Transient { .. })),
        "{result:?}"
    );
    service.expect_untouched();
}

/// NET-11, SEC-02
#[actix_web::test]
async fn srv_records_and_redirects_are_guarded() {
    let (dns, ip) = (TestDns::start(), public_ip());
    let service = InternalService::listen("127.0.0.1:0");
    let port = service.port();
    dns.address("inside.test", "127.0.0.1");
    for (name, target) in [("srv.test", "inside.test"), ("literal.test", "127.0.0.1")] {
        dns.service(&format!("_matrix-fed._tcp.{name}"), 0, port, target);
    }
    let hs = homeserver_at(&format!("{ip}:0"), "redirecting.test", "redirecting.test");
    let id = TestServer::start(|settings| {
        on_the_internet(settings, &dns);
        let hosts = &mut settings.federation.hosts;
        for n in 0..5 {
            hosts.insert(format!("r{n}.test:443"), hs.address);
        }
        // All names lead to the same homeserver, which has one certificate.
        settings.federation.verify_certificates = false;
    });
    assert_eq!(unreachable(&id, "srv.test").await, CallError::Blocked);
    assert_eq!(unreachable(&id, "literal.test").await, CallError::Blocked);
    for (n, target) in [
        format!("https://127.0.0.1:{port}/"),
        format!("https://127.1:{port}/"),
        format!("https://inside.test:{port}/"),
        format!("http://127.0.0.1:{port}/"),
        "file:///etc/passwd".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        let before = hs.requests_to(WELL_KNOWN).len();
        hs.behave(WELL_KNOWN, Behaviour::redirect(&target));
        // The delegation fails, and the name itself has no address.
        let error = unreachable(&id, &format!("r{n}.test")).await;
        assert_eq!(error, CallError::NoAddress, "{target}");
        assert_eq!(hs.requests_to(WELL_KNOWN).len(), before + 1);
    }
    // A delegation to an internal address is blocked too.
    let delegate = json!({"m.server": format!("127.0.0.1:{port}")});
    hs.behave(WELL_KNOWN, Behaviour::json(200, &delegate));
    let id = TestServer::start(|settings| {
        on_the_internet(settings, &dns);
        let hosts = &mut settings.federation.hosts;
        hosts.insert("redirecting.test:443".to_owned(), hs.address);
    });
    let error = unreachable(&id, "redirecting.test").await;
    assert_eq!(error, CallError::Blocked);
    service.expect_untouched();
}

/// NET-14
#[actix_web::test]
async fn only_public_addresses_of_a_name_are_used() {
    let (dns, ip) = (TestDns::start(), public_ip());
    let hs = homeserver_at(&format!("{ip}:0"), "mixed.test", "mixed.test");
    let port = hs.address.port();
    let service = InternalService::listen(&format!("127.0.0.1:{port}"));
    let service6 = has_ipv6().then(|| InternalService::listen(&format!("[::1]:{port}")));
    dns.address("mixed.test", "127.0.0.1");
    dns.address("mixed.test", "::1");
    dns.address("mixed.test", &ip);
    let id = TestServer::start(|settings| on_the_internet(settings, &dns));
    let _ = user_info(&id, &format!("mixed.test:{port}"), "token").await;
    assert_eq!(hs.requests_to(USER_INFO).len(), 1);
    service.expect_untouched();
    service6.iter().for_each(InternalService::expect_untouched);
}

/// SEC-02
#[actix_web::test]
async fn dns_rebinding_is_blocked() {
    let (dns, ip) = (TestDns::start(), public_ip());
    let hs = homeserver_at(&format!("{ip}:0"), "rebinding.test", "rebinding.test");
    let name = format!("rebinding.test:{}", hs.address.port());
    let service = InternalService::listen(&format!("127.0.0.1:{}", hs.address.port()));
    dns.address("rebinding.test", &ip);
    let id = TestServer::start(|settings| on_the_internet(settings, &dns));
    let _ = user_info(&id, &name, "token").await;
    assert_eq!(hs.requests().len(), 1);
    dns.forget("rebinding.test");
    dns.address("rebinding.test", "127.0.0.1");
    // The open connection is one to the address that was checked.
    let close = vec![("connection".to_owned(), "close".to_owned())];
    hs.behave(USER_INFO, Behaviour::Answer(403, close, Vec::new()));
    let _ = user_info(&id, &name, "token").await;
    assert_eq!(hs.requests().len(), 2);
    assert_eq!(unreachable(&id, &name).await, CallError::Blocked);
    service.expect_untouched();
}

/// NET-12
#[actix_web::test]
async fn allow_and_block_ranges_are_applied() {
    let (dns, ip) = (TestDns::start(), public_ip());
    let hs = homeserver_at(&format!("{ip}:0"), &ip, &ip);
    let name = format!("{ip}:{}", hs.address.port());
    let allowing = TestServer::start(|settings| on_the_internet(settings, &dns));
    let _ = user_info(&allowing, &name, "token").await;
    assert_eq!(hs.requests().len(), 1);
    let blocking = TestServer::start(|settings| {
        let blocked = "8.8.8.0/24".parse().unwrap();
        settings.federation.block_ranges = vec![blocked];
    });
    assert_eq!(
        unreachable(&blocking, "8.8.8.8:1").await,
        CallError::Blocked
    );
}
