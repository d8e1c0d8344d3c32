//! How a server name is resolved to an address (Server-Server API, "Resolving
//! server names").

use serde_json::json;
use sydent::actor::federation::CallError;

use super::{homeserver_at, on_the_internet, public_ip, unreachable, user_info};
use crate::harness::{Behaviour, Homeserver, TestDns, TestServer, USER_INFO, WELL_KNOWN, has_ipv6};

/// A server that uses this name server, and fetches the `.well-known` of
/// `delegating` from that homeserver.
fn with_well_known(dns: &TestDns, delegating: &Homeserver) -> TestServer {
    TestServer::start(|settings| {
        on_the_internet(settings, dns);
        let at_443 = format!("{}:443", delegating.name);
        settings.federation.hosts.insert(at_443, delegating.address);
    })
}

/// Expects that a call to `server` reaches `hs` with this `Host`.
async fn expect_reaches(id: &TestServer, server: &str, hs: &Homeserver, host: &str) {
    let before = hs.requests_to(USER_INFO).len();
    let _ = user_info(id, server, "token").await;
    let received = hs.requests_to(USER_INFO);
    assert_eq!(received.len(), before + 1, "{server}");
    assert_eq!(received[before].header("host"), Some(host), "{server}");
}

/// NET-01
#[actix_web::test]
async fn ip_literal_is_contacted_directly() {
    let dns = TestDns::start();
    let (with_port, without) = (public_ip(), public_ip());
    let any_port = homeserver_at(&format!("{with_port}:0"), &with_port, &with_port);
    let usual_port = homeserver_at(&format!("{without}:8448"), &without, &without);
    let ipv6 = has_ipv6().then(|| homeserver_at("[::1]:0", "[::1]", "::1"));
    let id = TestServer::start(|settings| {
        on_the_internet(settings, &dns);
        let ranges = &mut settings.federation.allow_ranges;
        ranges.push("::1/128".parse().unwrap());
    });
    let port = any_port.address.port();
    let name = format!("{with_port}:{port}");
    expect_reaches(&id, &name, &any_port, &name).await;
    expect_reaches(&id, &without, &usual_port, &without).await;
    if let Some(ipv6) = &ipv6 {
        let name = format!("[::1]:{}", ipv6.address.port());
        expect_reaches(&id, &name, ipv6, &name).await;
    }
    for hs in [&any_port, &usual_port].into_iter().chain(&ipv6) {
        assert_eq!(
            hs.requests()[0].sni,
            None,
            "an IP address is not sent as SNI"
        );
    }
    assert_eq!(dns.queries(), Vec::<String>::new());
}

/// NET-02
#[actix_web::test]
async fn explicit_port_is_contacted_directly() {
    let (dns, ip) = (TestDns::start(), public_ip());
    let hs = homeserver_at(&format!("{ip}:0"), "net02.test", "net02.test");
    dns.address("net02.test", &ip);
    dns.service("_matrix-fed._tcp.net02.test", 0, 1, "elsewhere.test");
    let id = with_well_known(&dns, &hs);
    let name = format!("net02.test:{}", hs.address.port());
    expect_reaches(&id, &name, &hs, &name).await;
    assert_eq!(hs.requests()[0].sni.as_deref(), Some("net02.test"));
    assert!(hs.requests_to(WELL_KNOWN).is_empty());
    let srv = dns.queries().into_iter().any(|name| name.starts_with('_'));
    assert!(!srv, "no SRV record is queried");
}

/// NET-03, NET-04
#[actix_web::test]
async fn well_known_delegates_to_another_server() {
    let (dns, ip) = (TestDns::start(), public_ip());
    let delegating = Homeserver::named("net03.test");
    let hs = homeserver_at(&format!("{ip}:0"), "delegate03.test", "delegate03.test");
    dns.address("delegate03.test", &ip);
    let port = hs.address.port();
    let token = delegating.openid_token("alice");
    for (delegate, known) in [
        (
            format!("delegate03.test:{port}"),
            format!("delegate03.test:{port}"),
        ),
        // Resolved by SRV, since it has no port, and without a second delegation.
        ("delegate03.test".to_owned(), "delegate03.test".to_owned()),
    ] {
        dns.service(
            "_matrix-fed._tcp.delegate03.test",
            0,
            port,
            "delegate03.test",
        );
        delegating.behave(
            WELL_KNOWN,
            Behaviour::text(200, json!({"m.server": delegate}).to_string()),
        );
        let id = with_well_known(&dns, &delegating);
        expect_reaches(&id, "net03.test", &hs, &known).await;
        let received = hs.requests();
        assert_eq!(
            received.last().unwrap().sni.as_deref(),
            Some("delegate03.test")
        );
        // The answer is about users of the delegating server name.
        hs.behave(
            USER_INFO,
            Behaviour::text(200, r#"{"sub": "@alice:net03.test"}"#),
        );
        let found = user_info(&id, "net03.test", &token).await;
        assert_eq!(found.as_deref(), Ok("@alice:net03.test"));
        hs.behave_normally(USER_INFO);
    }
    assert!(hs.requests_to(WELL_KNOWN).is_empty());
    let request = &delegating.requests_to(WELL_KNOWN)[0];
    assert_eq!(request.header("host"), Some("net03.test"));
    assert_eq!(request.sni.as_deref(), Some("net03.test"));
}

/// NET-03
#[actix_web::test]
async fn well_known_follows_a_limited_redirect_chain() {
    let (dns, ip) = (TestDns::start(), public_ip());
    let (name, other) = ("net03b.test", "elsewhere03.test");
    let delegating = Homeserver::named(name);
    let elsewhere = homeserver_at(&format!("{ip}:0"), other, other);
    dns.address(other, &ip);
    dns.address("fallback03.test", &ip);
    let port = elsewhere.address.port();
    dns.service("_matrix._tcp.net03b.test", 0, port, "fallback03.test");
    delegating.behave(
        WELL_KNOWN,
        Behaviour::redirect(&format!("https://{other}:{port}/said")),
    );
    elsewhere.behave(
        "/said",
        Behaviour::json(200, &json!({"m.server": format!("{other}:{port}")})),
    );
    let id = with_well_known(&dns, &delegating);
    expect_reaches(&id, name, &elsewhere, &format!("{other}:{port}")).await;

    // A redirect loop ends, and the name is resolved without `.well-known`.
    delegating.behave(WELL_KNOWN, Behaviour::redirect(WELL_KNOWN));
    let id = with_well_known(&dns, &delegating);
    let error = unreachable(&id, name).await;
    assert!(
        matches!(error, CallError::Tls(_)),
        "the SRV target has a certificate for {other}"
    );
    assert!(delegating.requests_to(WELL_KNOWN).len() < 20);
}

/// NET-05
#[actix_web::test]
async fn unusable_well_known_falls_back_to_srv() {
    let (dns, ip) = (TestDns::start(), public_ip());
    let name = "net05.test";
    let hs = homeserver_at(&format!("{ip}:0"), name, name);
    dns.address("target05.test", &ip);
    dns.service(
        "_matrix-fed._tcp.net05.test",
        0,
        hs.address.port(),
        "target05.test",
    );
    let document = json!({"m.server": "wrong.test"});
    for failure in [
        Behaviour::json(404, &document),
        Behaviour::json(500, &document),
        Behaviour::text(200, "{"),
        Behaviour::text(200, r#"{"m.server": 7}"#),
        Behaviour::text(200, r#"{"m.server": "a b"}"#),
        Behaviour::text(200, r#"{"m.server": "bücher.example"}"#),
        Behaviour::text(200, format!("{}{document}", " ".repeat(60_000))),
        Behaviour::redirect("http://wrong.test/"),
        Behaviour::redirect("file:///etc/passwd"),
        Behaviour::Endless,
        Behaviour::HangUp,
    ] {
        hs.behave(WELL_KNOWN, failure.clone());
        let id = with_well_known(&dns, &hs);
        expect_reaches(&id, name, &hs, name).await;
    }
    assert_eq!(hs.requests_to(WELL_KNOWN).len(), 11);

    // A server that does not answer, and no server at all.
    for silent in [true, false] {
        hs.behave(WELL_KNOWN, Behaviour::Silent);
        let id = TestServer::start(|settings| {
            on_the_internet(settings, &dns);
            settings.federation.timeout = std::time::Duration::from_secs(3);
            if silent {
                let hosts = &mut settings.federation.hosts;
                hosts.insert(format!("{name}:443"), hs.address);
            }
        });
        expect_reaches(&id, name, &hs, name).await;
    }
}

/// NET-06, NET-09
#[actix_web::test]
async fn srv_certificate_must_match_the_server_name() {
    let (dns, ip) = (TestDns::start(), public_ip());
    let name = "net06.test";
    let hs = homeserver_at(&format!("{ip}:0"), name, name);
    dns.address("target06.test", &ip);
    // The older record is used where there is no newer one.
    dns.service(
        "_matrix._tcp.net06.test",
        0,
        hs.address.port(),
        "target06.test",
    );
    let id = TestServer::start(|settings| on_the_internet(settings, &dns));
    expect_reaches(&id, name, &hs, name).await;
    assert_eq!(hs.requests()[0].sni.as_deref(), Some(name));

    let target = homeserver_at(&format!("{ip}:0"), "target06.test", "target06.test");
    dns.service(
        "_matrix._tcp.other06.test",
        0,
        target.address.port(),
        "target06.test",
    );
    let error = unreachable(&id, "other06.test").await;
    assert!(matches!(error, CallError::Tls(_)), "{error}");
}

/// NET-04, NET-09
#[actix_web::test]
async fn name_without_srv_uses_port_8448() {
    let (dns, ip) = (TestDns::start(), public_ip());
    let name = "net09.test";
    let hs = homeserver_at(&format!("{ip}:8448"), name, name);
    dns.address(name, &ip);
    let id = TestServer::start(|settings| on_the_internet(settings, &dns));
    expect_reaches(&id, name, &hs, name).await;
    let queries = dns.queries();
    for service in ["_matrix-fed._tcp.net09.test", "_matrix._tcp.net09.test"] {
        assert!(queries.contains(&service.to_owned()), "{service}");
    }
}

/// NET-07
#[actix_web::test]
async fn srv_targets_are_tried_in_order() {
    let (dns, ip) = (TestDns::start(), public_ip());
    let name = "net07.test";
    let first = homeserver_at(&format!("{ip}:0"), name, name);
    let second = homeserver_at(&format!("{ip}:0"), name, name);
    dns.address("target07.test", &ip);
    let record = "_matrix-fed._tcp.net07.test";
    // The less preferred target is listed first.
    dns.service(record, 30, second.address.port(), "target07.test");
    dns.service(record, 20, first.address.port(), "target07.test");
    let id = TestServer::start(|settings| on_the_internet(settings, &dns));
    expect_reaches(&id, name, &first, name).await;
    // A target that does not listen, and one without an address.
    dns.service(record, 10, 1, "target07.test");
    dns.service(record, 15, 1, "missing07.test");
    expect_reaches(&id, name, &first, name).await;
    assert!(second.requests().is_empty());
}

/// NET-07
#[actix_web::test]
async fn srv_root_target_means_no_service() {
    let (dns, ip) = (TestDns::start(), public_ip());
    let name = "none07.test";
    let hs = homeserver_at(&format!("{ip}:8448"), name, name);
    dns.address(name, &ip);
    dns.service("_matrix-fed._tcp.none07.test", 0, 0, ".");
    let id = TestServer::start(|settings| on_the_internet(settings, &dns));
    assert_eq!(unreachable(&id, name).await, CallError::NoService);
    assert!(hs.requests().is_empty());
}

/// NET-08
#[actix_web::test]
async fn well_known_is_cached_for_its_time() {
    const HOUR: i64 = 60 * 60 * 1000;
    let (dns, ip) = (TestDns::start(), public_ip());
    let name = "net08.test";
    let hs = homeserver_at(&format!("{ip}:8448"), name, name);
    dns.address(name, &ip);
    let delegating = Homeserver::named(name);
    let delegation = |headers: Vec<(String, String)>| {
        Behaviour::Answer(200, headers, br#"{"m.server": "net08.test:8448"}"#.to_vec())
    };
    let max_age = |seconds: &str| vec![("cache-control".to_owned(), format!("max-age={seconds}"))];
    for (behaviour, hours) in [
        (delegation(Vec::new()), 24),
        (delegation(max_age("7200")), 2),
        (delegation(max_age("999999")), 48),
        (Behaviour::text(404, ""), 1),
    ] {
        delegating.behave(WELL_KNOWN, behaviour);
        let id = TestServer::start_with_clock(|settings| {
            on_the_internet(settings, &dns);
            let hosts = &mut settings.federation.hosts;
            hosts.insert(format!("{name}:443"), delegating.address);
        });
        let before = delegating.requests().len();
        for (advance, requests) in [(0, 1), (0, 1), (hours * HOUR - 1, 1), (1, 2)] {
            id.advance(advance);
            let _ = user_info(&id, name, "token").await;
            assert_eq!(
                delegating.requests().len() - before,
                requests,
                "{hours} {advance}"
            );
        }
    }
    assert_eq!(hs.requests().len(), 16);
}
