//! How many new addresses one attacker can look up (LKP-18, V1L-06).

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use sydent::config::{BudgetSettings, Settings};

use crate::harness::{Answer, Api, BlockedActor, TestDatabase, TestServer, V1, fresh_address};

const HOUR: i64 = 60 * 60 * 1000;

fn ten() -> BudgetSettings {
    BudgetSettings {
        burst: 10,
        per_day: 24,
    }
}

fn small(settings: &mut Settings) {
    settings.lookup.max_addresses = 10;
}

/// A v2 lookup of the addresses with these numbers.
async fn look_up(api: &Api, numbers: std::ops::Range<u32>) -> Answer {
    let pepper = api.hash_details().await.ok()["lookup_pepper"].clone();
    look_up_with(api, &pepper, numbers).await
}

async fn look_up_with(api: &Api, pepper: &Value, numbers: std::ops::Range<u32>) -> Answer {
    let entry = |number| format!("user-number-{number}@example.com email");
    let addresses: Vec<String> = numbers.map(entry).collect();
    let fields = json!({"algorithm": "none", "pepper": pepper, "addresses": addresses});
    api.hashed_lookup(fields).await
}

#[track_caller]
fn expect_limited(answer: &Answer) {
    let wait_ms = answer.refused(429, "M_LIMIT_EXCEEDED")["retry_after_ms"].as_i64();
    assert!(wait_ms.is_some_and(|wait_ms| wait_ms > 0));
}

/// LKP-18
#[actix_web::test]
async fn only_new_addresses_count_for_an_account() {
    let server = TestServer::start_with_clock(|settings| {
        small(settings);
        settings.limits.new_addresses_per_account = ten();
    });
    let alice = server.account("@alice:example.org").await;
    for _ in 0..3 {
        look_up(&alice, 0..8).await.ok();
    }
    let refused = look_up(&alice, 4..14).await;
    let body = refused.refused(429, "M_LIMIT_EXCEEDED");
    assert_eq!(body["retry_after_ms"], 4 * HOUR);
    // That cost nothing.
    look_up(&alice, 8..10).await.ok();
    expect_limited(&look_up(&alice, 10..11).await);
    look_up(&alice, 0..10).await.ok();
    server.advance(HOUR);
    look_up(&alice, 10..11).await.ok();
    let bob = server.account("@bob:example.org").await;
    look_up(&bob, 100..110).await.ok();
}

/// LKP-18
#[actix_web::test]
async fn accounts_of_one_domain_share_a_limit() {
    let server = TestServer::start_with_clock(|settings| {
        small(settings);
        settings.limits.new_addresses_per_homeserver = ten();
    });
    let mut accounts = Vec::new();
    for user in [
        "@a:evil.example",
        "@b:x.evil.example:8448",
        "@c:y.evil.example",
    ] {
        accounts.push(server.account(user).await);
    }
    look_up(&accounts[0], 0..5).await.ok();
    look_up(&accounts[1], 5..10).await.ok();
    expect_limited(&look_up(&accounts[2], 10..11).await);
    let other = server.account("@d:honest.example").await;
    look_up(&other, 0..10).await.ok();
}

/// LKP-18
#[actix_web::test]
async fn one_network_has_one_limit_for_all_accounts() {
    let server = TestServer::start_with_clock(|settings| {
        small(settings);
        settings.limits.new_addresses_per_client = ten();
        settings.limits.trusted_homeservers = vec!["*.trusted.example".parse().unwrap()];
    });
    for (user, numbers) in [("@a:a.example", 0..5), ("@b:b.example", 5..10)] {
        look_up(&server.account(user).await, numbers).await.ok();
    }
    let third = server.account("@c:c.example").await;
    expect_limited(&look_up(&third, 10..11).await);
    // Neither a trusted homeserver nor the internal listener is held back.
    let trusted = server.account("@d:hs.trusted.example").await;
    for start in [20, 30, 40] {
        look_up(&trusted, start..start + 10).await.ok();
    }
    for _ in 0..20 {
        let address = fresh_address("internal");
        let path = format!("/_matrix/identity/internal/lookup?medium=email&address={address}");
        server.internal().get(&path).await.ok();
    }
}

/// LKP-09, LKP-18
#[actix_web::test]
async fn lookup_with_a_wrong_pepper_costs_nothing() {
    let server = TestServer::start_with_clock(|settings| {
        small(settings);
        settings.limits.new_addresses_per_account = ten();
    });
    let alice = server.account("@alice:example.org").await;
    for _ in 0..3 {
        let refused = look_up_with(&alice, &json!("wrong"), 10..20).await;
        refused.refused(400, "M_INVALID_PEPPER");
    }
    look_up(&alice, 0..10).await.ok();
}

/// LKP-18, OPS-06
#[actix_web::test]
async fn budgets_are_shared_and_survive_a_restart() {
    let limits = |settings: &mut Settings| {
        small(settings);
        settings.limits.new_addresses_per_account = ten();
    };
    let one = TestServer::start_with_clock(limits);
    let url = one.database.url.clone();
    let other = TestServer::start_with_clock_on(TestDatabase::existing(&url), limits);
    look_up(&one.account("@a:example.org").await, 0..6)
        .await
        .ok();
    let there = other.account("@a:example.org").await;
    expect_limited(&look_up(&there, 10..15).await);
    look_up(&there, 10..13).await.ok();
    drop(other);
    let again = TestServer::start_with_clock_on(TestDatabase::existing(&url), limits);
    let there = again.account("@a:example.org").await;
    expect_limited(&look_up(&there, 20..22).await);
    look_up(&there, 20..21).await.ok();
}

/// Each of these lookups leases a part of the same budget.
///
/// LKP-18, OPS-06
#[actix_web::test]
async fn concurrent_leases_stay_within_the_budget() {
    let limits = |settings: &mut Settings| {
        small(settings);
        settings.limits.new_addresses_per_account = ten();
    };
    let one = TestServer::start_with_clock(limits);
    let same = TestDatabase::existing(&one.database.url);
    let other = TestServer::start_with_clock_on(same, limits);
    let apis = [
        one.account("@a:example.org").await,
        other.account("@a:example.org").await,
    ];
    let lookups = (0..40).map(|number| {
        let api = &apis[usize::from(number % 2 == 0)];
        look_up(api, number..number + 1)
    });
    let mut found = 0;
    for answer in join_all(lookups).await {
        if answer.status == 200 {
            found += 1;
        } else {
            expect_limited(&answer);
        }
    }
    assert!((1..=10).contains(&found), "{found}");
}

/// Asks v1 for new addresses through a proxy.
async fn ask(server: &TestServer, client: &str, count: usize) -> Answer {
    let threepids: Vec<Value> = (0..count)
        .map(|_| json!(["email", fresh_address("asked")]))
        .collect();
    let headers = [
        ("content-type", "application/json"),
        ("x-forwarded-for", client),
    ];
    let body = json!({ "threepids": threepids }).to_string();
    let path = format!("{V1}/bulk_lookup");
    let method = awc::http::Method::POST;
    let api = server.api();
    api.send(method, &path, &headers, body.into_bytes()).await
}

/// V1L-06
#[actix_web::test]
async fn v1_network_of_a_provider_is_one_client() {
    let server = TestServer::start_with_clock(|settings| {
        small(settings);
        settings.limits.new_addresses_per_client = ten();
        settings.http.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    });
    for client in ["2001:db8:1:1::1", "2001:db8:1:ffff::1", "192.0.2.1"] {
        ask(&server, client, 5).await.ok();
    }
    for client in ["2001:db8:1:2::1", "192.0.2.1"] {
        expect_limited(&ask(&server, client, 6).await);
    }
    for client in ["2001:db8:2::1", "192.0.2.2"] {
        ask(&server, client, 10).await.ok();
    }
    let one = server.api();
    for _ in 0..10 {
        one.lookup("email", &fresh_address("one")).await.ok();
    }
    expect_limited(&one.lookup("email", &fresh_address("one")).await);
}

/// SEC-22
#[actix_web::test]
async fn invites_of_new_addresses_count_as_lookups() {
    let server = TestServer::start_with_clock(|settings| {
        small(settings);
        settings.limits.new_addresses_per_account = ten();
    });
    let alice = server.account("@alice:example.org").await;
    look_up(&alice, 0..9).await.ok();
    for status in [200, 429] {
        let fields = json!({
            "medium": "email", "address": fresh_address("invited"),
            "room_id": "!room:example.org", "sender": "@alice:example.org",
        });
        let answer = alice.store_invite(fields).await;
        assert_eq!(answer.status, status);
    }
}

/// The defaults: an attacker with one network and one domain, and a user with many
/// contacts.
#[actix_web::test]
async fn attacker_gets_50000_addresses_in_a_day() {
    const CHUNK: u32 = 2500;
    let server = TestServer::start_with_clock(|_| {});
    let mut accounts = Vec::new();
    for number in 0..5 {
        let user = format!("@a{number}:x{number}.evil.example");
        accounts.push(server.account(&user).await);
    }
    let mut found = 0;
    for _three_hours in 0..=8 {
        for api in &accounts {
            // Until its own limit or that of all accounts is reached.
            while look_up(api, found..found + CHUNK).await.status == 200 {
                found += CHUNK;
            }
        }
        // The old version has no budget of its own.
        while ask(&server, "", 500).await.status == 200 {
            found += 500;
        }
        server.advance(3 * HOUR);
    }
    assert!((40_000..=50_000).contains(&found), "{found}");
    let contacts = 1_000_000..1_005_000;
    let alice = server.account("@alice:honest.example").await;
    for _day in 0..4 {
        server.advance(24 * HOUR);
        look_up(&alice, contacts.clone()).await.ok();
        look_up(&alice, contacts.clone()).await.ok();
    }
}

/// Reading does not depend on writing.
#[actix_web::test]
async fn some_lookups_go_on_while_writes_wait() {
    let server = TestServer::start(|settings| {
        small(settings);
        settings.delivery.answer_within = Duration::from_secs(1);
        settings.http.request_timeout = Duration::from_secs(3);
        settings.limits.new_addresses_per_account = BudgetSettings {
            burst: 250,
            per_day: 24,
        };
    });
    let alice = server.account("@alice:example.org").await;
    {
        let _blocked = BlockedActor::new(&server.app.sessions, 2);
        look_up(&alice, 0..10).await.ok();
        look_up(&alice, 0..10).await.ok();
        assert_eq!(look_up(&alice, 10..11).await.status, 503);
    }
    // They are charged afterwards.
    for start in (10..250).step_by(10) {
        look_up(&alice, start..start + 10).await.ok();
    }
    expect_limited(&look_up(&alice, 250..251).await);
}
