//! How the addresses of the relay are found.

use std::time::{Duration, Instant};

use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::RecordType;
use sydent::config::Settings;

use crate::harness::{DnsFault, SmtpServer, TestDns, TestServer, Tls, fresh_address};

/// Longer than a mail takes that does not wait for what never comes.
const SOON: Duration = Duration::from_millis(2500);

fn server(relay: &SmtpServer, host: &str, dns: &[&TestDns]) -> TestServer {
    TestServer::start(|settings: &mut Settings| {
        relay.configure(settings);
        host.clone_into(&mut settings.email.smtp.host);
        let listens_at = dns.iter().map(|dns| dns.listens_at());
        settings.federation.dns_servers = listens_at.collect();
        settings.delivery.answer_within = Duration::from_secs(20);
    })
}

/// Expects that a mail is sent over a new connection soon.
async fn expect_mail(server: &TestServer, relay: &SmtpServer, case: &str) {
    let (address, started) = (fresh_address("named"), Instant::now());
    server.api().request_token(&address, "secret", 1).await.ok();
    let took = started.elapsed();
    assert!(took < SOON, "{case}: {took:?}");
    assert_eq!(relay.mails_to(&address).len(), 1, "{case}");
}

fn relay() -> SmtpServer {
    SmtpServer::start(Tls::None, "localhost", &[])
}

/// RFC 4074, section 4.1
#[actix_web::test]
async fn relay_needs_addresses_of_one_family() {
    for fault in [
        DnsFault::Silent,
        DnsFault::Code(ResponseCode::ServFail),
        DnsFault::Code(ResponseCode::Refused),
        DnsFault::Code(ResponseCode::NXDomain),
    ] {
        let (dns, relay) = (TestDns::start(), relay());
        dns.address("relay.test", "127.0.0.1");
        dns.fail("relay.test", Some(RecordType::AAAA), fault);
        let server = server(&relay, "relay.test", &[&dns]);
        expect_mail(&server, &relay, &format!("{fault:?}")).await;
    }
}

#[actix_web::test]
async fn next_name_server_knows_the_relay() {
    let (broken, dns, relay) = (TestDns::start(), TestDns::start(), relay());
    broken.fail("", None, DnsFault::Silent);
    dns.address("real.test", "127.0.0.1");
    dns.alias("relay.test", "real.test");
    let server = server(&relay, "relay.test", &[&broken, &dns]);
    expect_mail(&server, &relay, "the second one").await;
}

#[actix_web::test]
async fn file_of_hosts_comes_before_name_servers() {
    let (dns, relay) = (TestDns::start(), relay());
    dns.fail("", None, DnsFault::Silent);
    let server = server(&relay, "localhost", &[&dns]);
    expect_mail(&server, &relay, "localhost").await;
    assert_eq!(dns.queries(), Vec::<String>::new());
}
