//! How often a homeserver's signature may be used.

use std::time::Duration;

use sydent::config::{RateSettings, Settings};

use super::{ADDRESS, HERE, Signing, body, v2};
use crate::harness::{Homeserver, SERVER_KEYS, TestDatabase, TestServer};

/// A server with these limits, and two homeservers.
fn limited(per_client: u32, per_homeserver: u32) -> (TestServer, Homeserver, Homeserver) {
    let (homeserver, other) = (Homeserver::start(), Homeserver::start());
    let rate = |burst| RateSettings {
        burst,
        every: Duration::from_hours(1),
    };
    let server = TestServer::start(|settings| {
        homeserver.configure(settings);
        other.configure(settings);
        settings.limits.unbind_per_client = rate(per_client);
        settings.limits.unbind_per_homeserver = rate(per_homeserver);
    });
    (server, homeserver, other)
}

async fn unbind(server: &TestServer, homeserver: &Homeserver) -> crate::harness::Answer {
    let body = body(&homeserver.user("alice"));
    let header = Signing::to(HERE).header(homeserver, &body);
    let headers = [("authorization", header.as_str())];
    v2(server).unbind(&headers, &body).await
}

/// NET-20, UNB-08
#[actix_web::test]
async fn client_limit_holds_across_homeservers() {
    let (server, homeserver, other) = limited(2, 100);
    for _ in 0..2 {
        unbind(&server, &homeserver).await.ok();
    }
    let refused = unbind(&server, &other).await;
    // An hour after the first request, which was a moment ago.
    let pause: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((3500..=3600).contains(&pause), "{pause}");
    refused.refused(429, "M_LIMIT_EXCEEDED");
    assert!(other.requests_to(SERVER_KEYS).is_empty());
    // Requests that need no call to a homeserver are not counted.
    let session = server.validate(ADDRESS).await;
    let mut by_session = body("@alice:example.org");
    by_session["sid"] = session.sid.into();
    by_session["client_secret"] = session.client_secret.into();
    v2(&server).unbind(&[], &by_session).await.ok();
}

/// A header is not parsed once the client is over its limit, so malformed ones cost
/// no more than valid ones.
#[actix_web::test]
async fn malformed_signatures_are_counted() {
    let (server, homeserver, _other) = limited(2, 100);
    let body = body(&homeserver.user("alice"));
    let many = ",x=1".repeat(2000);
    let long = format!("X-Matrix origin=a.example,key=ed25519:1,sig=A{many}");
    for header in ["X-Matrix rubbish", &long] {
        let answer = v2(&server)
            .unbind(&[("authorization", header)], &body)
            .await;
        answer.refused(403, "M_FORBIDDEN");
    }
    let refused = unbind(&server, &homeserver).await;
    refused.refused(429, "M_LIMIT_EXCEEDED");
}

/// NET-20
#[actix_web::test]
async fn homeserver_limit_holds_for_every_client() {
    let (server, homeserver, other) = limited(100, 1);
    unbind(&server, &homeserver).await.ok();
    let refused = unbind(&server, &homeserver).await;
    refused.refused(429, "M_LIMIT_EXCEEDED");
    unbind(&server, &other).await.ok();
}

/// NET-20, OPS-06
#[actix_web::test]
async fn calls_for_keys_are_limited_for_all() {
    let homeserver = Homeserver::start();
    let limits = |settings: &mut Settings| {
        homeserver.configure(settings);
        settings.limits.unbind_per_homeserver = RateSettings {
            burst: 2,
            every: Duration::from_hours(1),
        };
    };
    let one = TestServer::start(limits);
    let other = TestServer::start_on(TestDatabase::existing(&one.database.url), limits);
    unbind(&one, &homeserver).await.ok();
    unbind(&other, &homeserver).await.ok();
    drop(other);
    // Its cache and what it counts by itself are empty.
    let one = one.start_again(limits);
    let refused = unbind(&one, &homeserver).await;
    refused.refused(429, "M_LIMIT_EXCEEDED");
    assert_eq!(homeserver.requests_to(SERVER_KEYS).len(), 2);
}

/// Anyone can send signatures that are not valid. They cost no transaction unless they
/// make this server call the homeserver.
///
/// NET-20
#[actix_web::test]
async fn cached_keys_cost_no_charge() {
    let (server, homeserver, _other) = limited(100, 100);
    unbind(&server, &homeserver).await.ok();
    let charged = "send_limits WHERE counted LIKE 'limits.unbind%'";
    assert!(server.database.count(charged) >= 2);
    server
        .database
        .execute("CREATE TABLE before AS SELECT counted, paid_until FROM send_limits");
    unbind(&server, &homeserver).await.ok();
    let body = body(&homeserver.user("alice"));
    let good = Signing::to(HERE).header(&homeserver, &body);
    for (from, to) in [("sig=\"", "sig=\"A"), ("ed25519:hs", "ed25519:other")] {
        let forged = good.replace(from, to);
        let headers = [("authorization", forged.as_str())];
        v2(&server)
            .unbind(&headers, &body)
            .await
            .refused(403, "M_FORBIDDEN");
    }
    let written = "send_limits WHERE NOT EXISTS (SELECT 1 FROM before WHERE \
        before.counted = send_limits.counted AND before.paid_until = send_limits.paid_until)";
    assert_eq!(server.database.count(written), 0);
}
