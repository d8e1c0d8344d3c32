//! Limits of binds and registrations hold for all instances together, and across restarts.
//! For those of signed unbinds see `unbind::limits`.

use std::time::Duration;

use futures_util::future::join_all;
use sydent::clock::Clock;
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

/// Nobody makes this server write to the database with names of homeservers that it does
/// not call, nor with limits that are switched off.
///
/// ACC-14, BND-01
#[actix_web::test]
async fn what_is_not_limited_is_not_counted() {
    let homeserver = Homeserver::start();
    let server = TestServer::start(|settings| {
        homeserver.configure(settings);
        settings.federation.deny_homeservers = vec![homeserver.name.as_str().parse().unwrap()];
        settings.limits.bind_per_session.burst = 0;
        settings.limits.bind_per_client.burst = 0;
    });
    let refused = server.api().register(homeserver.open_id("alice")).await;
    refused.refused(403, "M_UNAUTHORIZED");
    bind(&server).await.ok();
    for name in ["bind", "register"] {
        let counted = format!("send_limits WHERE counted LIKE 'limits.{name}%'");
        assert_eq!(server.database.count(&counted), 0, "{name}");
    }
}

/// The clock of one instance is ahead. It neither keeps clients from the other one nor
/// allows more.
///
/// BND-01
#[actix_web::test]
async fn clock_of_one_instance_changes_no_limit() {
    let limits = |settings: &mut Settings| {
        settings.limits.bind_per_client = RateSettings {
            burst: 2,
            every: Duration::from_secs(20),
        };
    };
    let one = TestServer::start(limits);
    if !one.database.is_postgres() {
        return;
    }
    let now = Clock::system().now().as_i64();
    let database = TestDatabase::existing(&one.database.url);
    let ahead = TestServer::start_with_clock_on_at(database, now + 45_000, limits);
    bind(&ahead).await.ok();
    bind(&one).await.ok();
    let session = ahead.validate(&fresh_address("third")).await;
    for server in [&ahead, &one] {
        let api = server.api();
        let refused = api.bind(&session.sid, &session.client_secret, USER).await;
        refused.refused(429, "M_LIMIT_EXCEEDED");
    }
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

/// About half of the binds adopt an association of this server's former name, and so lock
/// the journal early, the others late; all of them charge the same client.
///
/// BND-01
#[actix_web::test]
async fn adopting_binds_of_one_client_never_deadlock() {
    const ADDRESSES: usize = 16;
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
            let server = if index / 2 % 2 == 0 { &one } else { &other };
            let api = server.api();
            async move { api.bind(&session.sid, &session.client_secret, USER).await }
        });
        for bound in join_all(binds).await {
            assert_eq!(bound.status, 200, "{round}: {}", bound.text());
        }
        let quoted = |name: &str| format!("'\"{name}\"'");
        one.database.execute(&format!(
            "UPDATE associations SET origin = 'old.example', signed = replace(signed, {}, {}) \
             WHERE id % 2 = 0",
            quoted(SERVER_NAME),
            quoted("old.example")
        ));
    }
}
