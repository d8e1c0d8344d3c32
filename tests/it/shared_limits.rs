//! Limits of binds, registrations and signed unbinds hold for all instances together, and
//! across restarts.

use std::time::Duration;

use futures_util::future::join_all;
use sydent::config::{RateSettings, Settings};

use crate::harness::{
    Answer, Behaviour, Homeserver, RawConnection, SERVER_NAME, TestDatabase, TestServer, USER_INFO,
    V2, fresh_address, post, wait_until,
};

const TWO: RateSettings = RateSettings {
    burst: 2,
    every: Duration::from_hours(1),
};

const USER: &str = "@alice:example.org";

/// Another instance.
fn beside(one: &TestServer, change: impl FnOnce(&mut Settings)) -> TestServer {
    TestServer::start_on(TestDatabase::existing(&one.database.url), change)
}

/// Binds a new address by v1.
async fn bind(server: &TestServer) -> Answer {
    let session = server.validate(&fresh_address("shared")).await;
    let api = server.api();
    api.bind(&session.sid, &session.client_secret, USER).await
}

/// A refusal writes nothing.
///
/// BND-01, OPS-06
#[actix_web::test]
async fn binds_are_limited_for_all_instances() {
    let limits = |settings: &mut Settings| settings.limits.bind_per_client = TWO;
    let one = TestServer::start(limits);
    let other = beside(&one, limits);
    bind(&one).await.ok();
    bind(&other).await.ok();
    let session = one.validate(&fresh_address("third")).await;
    one.database
        .execute("CREATE TABLE before AS SELECT counted, paid_until FROM send_limits");
    for server in [&one, &other] {
        let api = server.api();
        let refused = api.bind(&session.sid, &session.client_secret, USER).await;
        refused.refused(429, "M_LIMIT_EXCEEDED");
    }
    let written = "send_limits WHERE NOT EXISTS (SELECT 1 FROM before WHERE \
        before.counted = send_limits.counted AND before.paid_until = send_limits.paid_until)";
    assert_eq!(one.database.count(written), 0);
    assert_eq!(one.database.count("associations"), 2);
    drop(other);
    let one = one.start_again(limits);
    let api = one.api();
    let refused = api.bind(&session.sid, &session.client_secret, USER).await;
    refused.refused(429, "M_LIMIT_EXCEEDED");
}

/// ACC-14, OPS-06
#[actix_web::test]
async fn registrations_are_limited_for_all_instances() {
    let homeserver = Homeserver::start();
    let limits = |settings: &mut Settings| {
        homeserver.configure(settings);
        settings.limits.register_per_homeserver = TWO;
    };
    let one = TestServer::start(limits);
    let other = beside(&one, limits);
    let register = async |server: &TestServer| {
        let api = server.api();
        api.register(homeserver.open_id("alice")).await
    };
    register(&one).await.ok();
    register(&other).await.ok();
    for server in [&one, &other] {
        register(server).await.refused(429, "M_LIMIT_EXCEEDED");
    }
    drop(other);
    let one = one.start_again(limits);
    register(&one).await.refused(429, "M_LIMIT_EXCEEDED");
    assert_eq!(homeserver.requests_to(USER_INFO).len(), 2);
}

/// ACC-14
#[actix_web::test]
async fn client_that_hangs_up_has_registered() {
    let homeserver = Homeserver::start();
    homeserver.behave(USER_INFO, Behaviour::Silent);
    let limits = |settings: &mut Settings| {
        homeserver.configure(settings);
        settings.limits.register_per_client = TWO;
    };
    let one = TestServer::start(limits);
    let other = beside(&one, limits);
    for (number, server) in [&one, &other].into_iter().enumerate() {
        let mut wire = RawConnection::connect(server.addresses.client[0]).await;
        let request = post(
            &format!("{V2}/account/register"),
            &homeserver.open_id("alice"),
        );
        wire.send(&request).await;
        wait_until("a call to the homeserver", || {
            homeserver.requests_to(USER_INFO).len() == number + 1
        })
        .await;
        wire.reset();
    }
    homeserver.behave_normally(USER_INFO);
    for server in [&one, &other] {
        let refused = server.api().register(homeserver.open_id("alice")).await;
        refused.refused(429, "M_LIMIT_EXCEEDED");
    }
    assert_eq!(homeserver.requests_to(USER_INFO).len(), 2);
}

/// Each bind adopts an association of this server's former name, which locks the journal,
/// and all of them charge the same client.
///
/// OPS-11
#[actix_web::test]
async fn adopting_binds_of_one_client_never_deadlock() {
    const ADDRESSES: usize = 8;
    let one = TestServer::start(|settings| settings.limits.bind_per_client.burst = 1000);
    let other = beside(&one, |settings| {
        settings.limits.bind_per_client.burst = 1000;
    });
    let mut sessions = Vec::new();
    for _ in 0..ADDRESSES {
        sessions.push(one.validate(&fresh_address("adopted")).await);
    }
    for round in 0..4 {
        let binds = sessions.iter().enumerate().map(|(index, session)| {
            let server = if index % 2 == 0 { &one } else { &other };
            let api = server.api();
            async move { api.bind(&session.sid, &session.client_secret, USER).await }
        });
        for bound in join_all(binds).await {
            assert_eq!(bound.status, 200, "{round}: {}", bound.text());
        }
        let quoted = |name: &str| format!("'\"{name}\"'");
        one.database.execute(&format!(
            "UPDATE associations SET origin = 'old.example', signed = replace(signed, {}, {})",
            quoted(SERVER_NAME),
            quoted("old.example")
        ));
    }
}
