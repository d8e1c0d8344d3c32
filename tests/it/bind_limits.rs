//! How often addresses are bound, each of which makes this server call a homeserver.

use std::time::Duration;

use sydent::config::{RateSettings, Settings};

use crate::harness::{Homeserver, TestServer, fresh_address, wait_for};

const TWO: RateSettings = RateSettings {
    burst: 2,
    every: Duration::from_hours(1),
};

/// BND-01, ONB-01
#[actix_web::test]
async fn binds_per_session_are_limited() {
    let server = TestServer::start(|settings| settings.limits.bind_per_session = TWO);
    let session = server.validate(&fresh_address("storm")).await;
    let other = server.validate(&fresh_address("other")).await;
    let api = server.api();
    for user in ["@a:example.org", "@b:example.org"] {
        let bound = api.bind(&session.sid, &session.client_secret, user).await;
        bound.ok();
    }
    let refused = api.bind(&session.sid, &session.client_secret, "@c:example.org");
    let refused = refused.await;
    // An hour after the first bind, which was a moment ago.
    let pause: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((3500..=3600).contains(&pause), "{pause}");
    refused.refused(429, "M_LIMIT_EXCEEDED");
    let bound = api.bind(&other.sid, &other.client_secret, "@c:example.org");
    bound.await.ok();
}

/// BND-01
#[actix_web::test]
async fn binds_per_client_and_account_are_limited() {
    type Change = fn(&mut Settings);
    let client: Change = |settings| settings.limits.bind_per_client = TWO;
    let via: Change = |settings| settings.limits.bind_per_client_with_account = TWO;
    let account: Change = |settings| settings.limits.bind_per_account = TWO;
    for (change, has_account) in [(client, false), (via, true), (account, true)] {
        let server = TestServer::start(change);
        let user = "@alice:example.org";
        let api = if has_account {
            server.account(user).await
        } else {
            server.api()
        };
        for status in [200, 200, 429] {
            let session = server.validate(&fresh_address("bound")).await;
            let answer = api.bind(&session.sid, &session.client_secret, user).await;
            assert_eq!(answer.status, status);
        }
    }
}

/// ONB-01
#[actix_web::test]
async fn notifications_per_homeserver_are_limited() {
    let homeserver = Homeserver::start();
    let server = TestServer::start(|settings| {
        homeserver.configure(settings);
        settings.limits.onbind_per_homeserver = TWO;
    });
    let deferred = "outbox WHERE kind = 'onbind' AND lease_until = 0 AND tries = 0";
    for number in 0..4 {
        let address = fresh_address("many");
        let user = homeserver.user(&format!("u{number}"));
        server
            .internal()
            .internal_bind("email", &address, &user)
            .await
            .ok();
    }
    let onbind = "/_matrix/federation/v1/3pid/onbind";
    wait_for("two are sent and two wait", async || {
        let is_so = homeserver.requests_to(onbind).len() == 2
            && server.database.count(deferred) == 2
            && server.database.count("outbox") == 2;
        is_so.then_some(())
    })
    .await;
}
