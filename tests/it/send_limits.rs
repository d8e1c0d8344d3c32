//! How many mails are sent on behalf of one client and to one address
//! (EML-25, OPS-01, OPS-03, OPS-06).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use sydent::config::{RateSettings, Settings};

use crate::harness::{Answer, SmtpServer, TestServer, Tls, fresh_address};

const TWO: RateSettings = RateSettings {
    burst: 2,
    every: Duration::from_mins(1),
};

fn limit_per_client(settings: &mut Settings) {
    settings.limits.email_per_client = TWO;
}

#[track_caller]
fn expect_limited(answer: &Answer, retry_after_ms: i64) {
    let body = answer.refused(429, "M_LIMIT_EXCEEDED");
    assert_eq!(body["retry_after_ms"], retry_after_ms);
    let seconds = (retry_after_ms + 999) / 1000;
    assert_eq!(
        answer.header("retry-after"),
        Some(seconds.to_string().as_str())
    );
}

/// EML-25, OPS-01
#[actix_web::test]
async fn client_gets_a_burst_and_then_one_per_interval() {
    let server = TestServer::start_with_clock(limit_per_client);
    let api = server.api();
    for name in ["one", "two"] {
        api.request_token(&fresh_address(name), "secret", 1)
            .await
            .ok();
    }
    let third = fresh_address("three");
    expect_limited(&api.request_token(&third, "secret", 1).await, 60_000);
    server.advance(59_900);
    expect_limited(&api.request_token(&third, "secret", 1).await, 100);
    server.advance(100);
    api.request_token(&third, "secret", 1).await.ok();
    expect_limited(
        &api.request_token(&fresh_address("four"), "secret", 1).await,
        60_000,
    );
}

#[actix_web::test]
async fn clock_set_back_blocks_no_client() {
    let server = TestServer::start_with_clock(limit_per_client);
    let (api, third) = (server.api(), fresh_address("back"));
    for name in ["one", "two"] {
        let address = fresh_address(name);
        api.request_token(&address, "secret", 1).await.ok();
    }
    server.advance(-24 * 60 * 60 * 1000);
    expect_limited(&api.request_token(&third, "secret", 1).await, 60_000);
    server.advance(60_000);
    api.request_token(&third, "secret", 1).await.ok();
}

/// EML-25
#[actix_web::test]
async fn address_limit_holds_across_secrets() {
    let server = TestServer::start_with_clock(|settings| settings.limits.email_per_address = TWO);
    let (api, address) = (server.api(), fresh_address("flooded"));
    for secret in ["one", "two"] {
        api.request_token(&address, secret, 1).await.ok();
    }
    expect_limited(
        &api.request_token(&address.to_uppercase(), "three", 1).await,
        60_000,
    );
    api.request_token(&fresh_address("other"), "three", 1)
        .await
        .ok();
    assert_eq!(
        server.database.count("validation_sessions"),
        3,
        "nothing is stored for the refused one"
    );
}

/// SES-10
#[actix_web::test]
async fn requests_that_send_nothing_are_not_counted() {
    let server = TestServer::start_with_clock(limit_per_client);
    let (api, address) = (server.api(), fresh_address("again"));
    for _ in 0..5 {
        api.request_token(&address, "secret", 1).await.ok();
    }
    api.request_token(&address, "secret", 2).await.ok();
    expect_limited(&api.request_token(&address, "secret", 3).await, 60_000);
}

fn refusing_relay() -> SmtpServer {
    let relay = SmtpServer::start(Tls::None, "localhost", &[]);
    relay.behave(&serde_json::json!({"rcpt": "550 5.1.1 nobody here"}));
    relay
}

/// EML-25, SES-11
#[actix_web::test]
async fn refused_mails_count_for_who_asked() {
    let relay = refusing_relay();
    let server = TestServer::start_with_clock(|settings| {
        limit_per_client(settings);
        relay.configure(settings);
    });
    for name in ["one", "two"] {
        let answer = server
            .api()
            .request_token(&fresh_address(name), "secret", 1)
            .await;
        answer.refused(400, "M_EMAIL_SEND_ERROR");
    }
    let (api, third) = (server.api(), fresh_address("three"));
    expect_limited(&api.request_token(&third, "secret", 1).await, 60_000);
    assert_eq!(
        server.database.count("validation_sessions"),
        0,
        "nobody has got a sid"
    );
}

/// EML-25
#[actix_web::test]
async fn refused_mails_count_for_the_account() {
    let relay = refusing_relay();
    let server = TestServer::start_with_clock(|settings| {
        settings.limits.email_per_account = TWO;
        relay.configure(settings);
    });
    let alice = server.account("@alice:example.org").await;
    for name in ["one", "two"] {
        let answer = alice.request_token(&fresh_address(name), "secret", 1).await;
        answer.refused(400, "M_EMAIL_SEND_ERROR");
    }
    let third = fresh_address("three");
    expect_limited(&alice.request_token(&third, "secret", 1).await, 60_000);
}

/// EML-25, SES-11
#[actix_web::test]
async fn refused_mails_do_not_count_for_the_recipient() {
    let relay = refusing_relay();
    let server = TestServer::start_with_clock(|settings| {
        settings.limits.email_per_address = TWO;
        relay.configure(settings);
    });
    let address = fresh_address("nobody");
    for secret in ["one", "two", "three"] {
        let answer = server.api().request_token(&address, secret, 1).await;
        answer.refused(400, "M_EMAIL_SEND_ERROR");
    }
}

/// SES-11
#[actix_web::test]
async fn session_that_a_client_knows_is_kept() {
    let relay = SmtpServer::start(Tls::None, "localhost", &[]);
    let server = TestServer::start(|settings| relay.configure(settings));
    let (api, address) = (server.api(), fresh_address("known"));
    let sid = api.request_token(&address, "secret", 1).await.ok()["sid"].clone();
    relay.behave(&serde_json::json!({"rcpt": "550 5.1.1 nobody here"}));
    let refused = api.request_token(&address, "secret", 2).await;
    refused.refused(400, "M_EMAIL_SEND_ERROR");
    let again = api.request_token(&address, "secret", 1).await.ok();
    assert_eq!(again["sid"], sid);
}

/// Keys cannot be reversed by trying all addresses.
#[actix_web::test]
async fn counters_are_hashed_with_a_secret() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    api.request_token("alice@example.com", "secret", 1)
        .await
        .ok();
    assert_eq!(
        server
            .database
            .count("database_keys WHERE name = 'counters'"),
        1
    );
    let by_trial = sha256_key("limits.email_per_address", "client alice@example.com");
    let with = |condition: &str| {
        server
            .database
            .count(&format!("send_limits WHERE {condition}"))
    };
    assert_eq!(with("counted LIKE 'limits.email_per_address:%'"), 1);
    assert_eq!(with(&format!("counted = '{by_trial}'")), 0);
}

fn sha256_key(scope: &str, who: &str) -> String {
    let digest = Sha256::digest(format!("{scope} {who}").as_bytes());
    format!("{scope}:{}", URL_SAFE_NO_PAD.encode(digest))
}

/// OPS-06
#[actix_web::test]
async fn limits_survive_a_restart() {
    let mut server = TestServer::start(limit_per_client);
    for name in ["one", "two"] {
        server
            .api()
            .request_token(&fresh_address(name), "secret", 1)
            .await
            .ok();
    }
    server.stop();
    let server = server.start_again(limit_per_client);
    server
        .api()
        .request_token(&fresh_address("three"), "secret", 1)
        .await
        .refused(429, "M_LIMIT_EXCEEDED");
}

/// OPS-04
#[actix_web::test]
async fn clients_behind_a_proxy_are_counted_apart() {
    let server = TestServer::start_with_clock(|settings| {
        limit_per_client(settings);
        settings.http.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    });
    for client in [
        "192.0.2.1",
        "192.0.2.2",
        "2001:db8:0:1::1",
        "2001:db8:0:2::1",
    ] {
        for _ in 0..2 {
            request_by(&server, client).await.ok();
        }
    }
    for client in ["192.0.2.1", "2001:db8:0:1::ffff"] {
        expect_limited(&request_by(&server, client).await, 60_000);
    }
}

async fn request_by(server: &TestServer, client: &str) -> Answer {
    let headers = [
        ("content-type", "application/json"),
        ("x-forwarded-for", client),
    ];
    let body = serde_json::json!({"client_secret": "secret", "email": fresh_address("by"), "send_attempt": 1});
    let path = "/_matrix/identity/api/v1/validate/email/requestToken";
    server
        .api()
        .send(
            awc::http::Method::POST,
            path,
            &headers,
            body.to_string().into_bytes(),
        )
        .await
}
