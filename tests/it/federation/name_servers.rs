//! Name servers that do not answer some questions, refuse them, or answer with
//! aliases; and addresses that do not answer.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::RecordType;
use sydent::actor::federation::CallError;

use super::{homeserver_at, on_the_internet, public_ip, unreachable, user_info};
use crate::harness::{DnsFault, Homeserver, TestDns, TestServer, has_ipv6};

/// Longer than any call takes that does not wait for what never comes.
const SOON: Duration = Duration::from_millis(2500);

/// A server that uses this name server and fetches no `.well-known`.
fn server(dns: &TestDns) -> TestServer {
    TestServer::start(|settings| {
        on_the_internet(settings, dns);
        let ranges = &mut settings.federation.allow_ranges;
        ranges.push("::1/128".parse().unwrap());
    })
}

/// Expects that a call to `name` reaches `hs` soon.
async fn expect_reaches(id: &TestServer, name: &str, hs: &Homeserver, case: &str) {
    let (before, started) = (hs.requests().len(), Instant::now());
    let _ = user_info(id, name, "token").await;
    let took = started.elapsed();
    assert_eq!(hs.requests().len(), before + 1, "{case}");
    assert!(took < SOON, "{case}: {took:?}");
}

/// A homeserver at an address, found by `name` with its port.
fn with_port(name: &str, listen: &str) -> (Homeserver, String) {
    let hs = homeserver_at(&format!("{listen}:0"), name, name);
    let name = format!("{name}:{}", hs.address.port());
    (hs, name)
}

/// RFC 4074, section 4.1
#[actix_web::test]
async fn address_of_one_family_is_enough() {
    let (dns, ip) = (TestDns::start(), public_ip());
    let (hs, name) = with_port("family.test", &ip);
    dns.address("family.test", &ip);
    let id = server(&dns);
    for fault in [
        DnsFault::Silent,
        DnsFault::Code(ResponseCode::ServFail),
        DnsFault::Code(ResponseCode::Refused),
        DnsFault::Code(ResponseCode::NXDomain),
        DnsFault::Code(ResponseCode::NotImp),
        DnsFault::Code(ResponseCode::FormErr),
    ] {
        dns.fail("family.test", Some(RecordType::AAAA), fault);
        expect_reaches(&id, &name, &hs, &format!("{fault:?} for AAAA")).await;
    }
    if has_ipv6() {
        let (hs, name) = with_port("six.test", "[::1]");
        dns.address("six.test", "::1");
        for fault in [DnsFault::Silent, DnsFault::Code(ResponseCode::ServFail)] {
            dns.fail("six.test", Some(RecordType::A), fault);
            expect_reaches(&id, &name, &hs, &format!("{fault:?} for A")).await;
        }
    }
}

#[actix_web::test]
async fn name_server_that_is_silent_is_no_address() {
    let dns = TestDns::start();
    dns.fail("", None, DnsFault::Silent);
    let id = TestServer::start(|settings| {
        on_the_internet(settings, &dns);
        settings.federation.timeout = Duration::from_secs(8);
    });
    let started = Instant::now();
    assert_eq!(
        unreachable(&id, "silent.test:1").await,
        CallError::NoAddress
    );
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[actix_web::test]
async fn truncated_answer_is_asked_for_over_tcp() {
    let (dns, ip) = (TestDns::start(), public_ip());
    let (hs, name) = with_port("truncated.test", &ip);
    dns.address("truncated.test", &ip);
    dns.fail("", None, DnsFault::Truncated);
    expect_reaches(&server(&dns), &name, &hs, "truncated").await;
}

#[actix_web::test]
async fn next_name_server_is_asked_if_one_fails() {
    let (broken, dns, ip) = (TestDns::start(), TestDns::start(), public_ip());
    let (hs, name) = with_port("second.test", &ip);
    dns.address("second.test", &ip);
    let id = TestServer::start(|settings| {
        on_the_internet(settings, &broken);
        let servers = &mut settings.federation.dns_servers;
        servers.push(dns.listens_at());
    });
    for fault in [
        DnsFault::Code(ResponseCode::ServFail),
        DnsFault::Code(ResponseCode::Refused),
        DnsFault::Silent,
    ] {
        broken.fail("", None, fault);
        expect_reaches(&id, &name, &hs, &format!("{fault:?}")).await;
    }
}

/// NET-04: an alias at the owner of the record, and at its target.
#[actix_web::test]
async fn aliases_of_services_are_followed() {
    let (dns, ip) = (TestDns::start(), public_ip());
    let name = "alias.test";
    let hs = homeserver_at(&format!("{ip}:0"), name, name);
    dns.address("real.test", &ip);
    dns.alias("target.test", "real.test");
    dns.service("_srv.hoster.test", 0, hs.address.port(), "target.test");
    dns.alias("_second.hoster.test", "_srv.hoster.test");
    let id = server(&dns);
    for (alias, target) in [
        ("_matrix-fed._tcp.alias.test", "_srv.hoster.test"),
        ("_matrix-fed._tcp.alias.test", "_second.hoster.test"),
        ("_matrix._tcp.alias.test", "_srv.hoster.test"),
    ] {
        dns.alias(alias, target);
        for bare in [false, true] {
            dns.recover();
            if bare {
                dns.fail("", None, DnsFault::BareAlias);
            }
            let case = format!("{alias} -> {target}, {bare}");
            expect_reaches(&id, name, &hs, &case).await;
        }
        dns.forget(alias);
    }
}

/// A circle of aliases has no records: the name's own address is used.
#[actix_web::test]
async fn circle_of_aliases_has_no_records() {
    let (dns, ip) = (TestDns::start(), public_ip());
    let name = "circle.test";
    let hs = homeserver_at(&format!("{ip}:8448"), name, name);
    dns.address(name, &ip);
    dns.alias("_matrix-fed._tcp.circle.test", "_other.circle.test");
    dns.alias("_other.circle.test", "_matrix-fed._tcp.circle.test");
    dns.fail("_", None, DnsFault::BareAlias);
    expect_reaches(&server(&dns), name, &hs, "a circle").await;
}

/// NET-04: both names of the service are asked for at once.
#[actix_web::test]
async fn service_name_without_an_answer_is_skipped() {
    let (dns, ip) = (TestDns::start(), public_ip());
    let name = "service.test";
    let hs = homeserver_at(&format!("{ip}:0"), name, name);
    dns.address("target.test", &ip);
    // Nothing listens at its port 443.
    dns.address(name, &ip);
    let (newer, older) = ("_matrix-fed._tcp.service.test", "_matrix._tcp.service.test");
    let id = server(&dns);
    for (record, silent) in [(older, newer), (newer, older)] {
        dns.service(record, 0, hs.address.port(), "target.test");
        for fault in [DnsFault::Silent, DnsFault::Code(ResponseCode::ServFail)] {
            dns.recover();
            dns.fail(silent, None, fault);
            dns.fail("", Some(RecordType::AAAA), DnsFault::Silent);
            // Some name servers know no aliases.
            dns.fail("_", Some(RecordType::CNAME), DnsFault::Silent);
            let case = format!("{fault:?} for {silent}");
            expect_reaches(&id, name, &hs, &case).await;
        }
        dns.forget(record);
    }
    // With both, the newer one counts, also if the other is faster.
    dns.recover();
    dns.service(newer, 0, hs.address.port(), "target.test");
    dns.service(older, 0, 1, "target.test");
    dns.fail(newer, Some(RecordType::CNAME), DnsFault::Silent);
    expect_reaches(&id, name, &hs, "both").await;
}

/// NET-04: a name server that never answers questions for services.
#[actix_web::test]
async fn without_answers_for_services_8448_is_used() {
    let (dns, ip) = (TestDns::start(), public_ip());
    let name = "nosrv.test";
    let hs = homeserver_at(&format!("{ip}:8448"), name, name);
    dns.address(name, &ip);
    dns.fail("_", None, DnsFault::Silent);
    let id = server(&dns);
    let _ = user_info(&id, name, "token").await;
    assert_eq!(hs.requests().len(), 1);
}

/// RFC 8305, section 5
#[actix_web::test]
async fn address_that_does_not_answer_is_overtaken() {
    let (dns, ip) = (TestDns::start(), public_ip());
    let (hs, name) = with_port("overtaken.test", &ip);
    // They accept connections, and are silent then.
    let silent: Vec<String> = (0..3).map(|_| public_ip()).collect();
    let port = hs.address.port();
    let _listeners: Vec<TcpListener> = silent
        .iter()
        .map(|silent| TcpListener::bind(format!("{silent}:{port}")).unwrap())
        .collect();
    for address in silent.iter().chain([&ip]) {
        dns.address("overtaken.test", address);
    }
    expect_reaches(&server(&dns), &name, &hs, "three silent addresses").await;
}
