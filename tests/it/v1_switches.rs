//! The parts of v1 that can be switched off alone, and the rate limit of its
//! lookups.

use std::time::Duration;

use serde_json::json;
use sydent::config::RateSettings;

use crate::harness::{TestServer, fresh_address};

/// BND-08
#[actix_web::test]
async fn v1_bind_can_be_disabled_alone() {
    let server = TestServer::start(|settings| settings.v1.bind = false);
    let (api, address) = (server.api(), fresh_address("switch"));
    let session = server.validate(&address).await;
    let bound = api
        .bind(&session.sid, &session.client_secret, "@alice:example.org")
        .await;
    bound.refused(403, "M_FORBIDDEN");
    assert_eq!(api.lookup("email", &address).await.ok(), json!({}));
}

/// V1L-08
#[actix_web::test]
async fn v1_lookup_can_be_disabled_alone() {
    let server = TestServer::start(|settings| settings.v1.lookup = false);
    let (api, address) = (server.api(), fresh_address("switch"));
    api.lookup("email", &address)
        .await
        .refused(403, "M_FORBIDDEN");
    api.bulk_lookup(json!([["email", address]]))
        .await
        .refused(403, "M_FORBIDDEN");
    server
        .internal()
        .internal_bind("email", &address, "@alice:example.org")
        .await
        .ok();
}

/// V1L-06
#[actix_web::test]
async fn lookups_per_client_are_limited() {
    let server = TestServer::start(|settings| {
        settings.lookup.max_addresses = 10;
        settings.limits.lookup_per_client = RateSettings {
            burst: 12,
            every: Duration::from_hours(1),
        };
    });
    let api = server.api();
    let many = |count: usize| json!(vec![["email", "nobody@example.com"]; count]);
    api.bulk_lookup(many(10)).await.ok();
    let refused = api.bulk_lookup(many(3)).await;
    let body = refused.refused(429, "M_LIMIT_EXCEEDED");
    assert!(body["retry_after_ms"].as_i64().is_some_and(|wait| wait > 0));
    assert!(refused.header("retry-after").is_some());
    for _ in 0..2 {
        api.lookup("email", "nobody@example.com").await.ok();
    }
    api.lookup("email", "nobody@example.com")
        .await
        .refused(429, "M_LIMIT_EXCEEDED");
    // Tools on this machine are not limited.
    let internal = "/_matrix/identity/internal/lookup?medium=email&address=nobody@example.com";
    server.internal().get(internal).await.ok();
}

/// SES-07
#[actix_web::test]
async fn resent_mail_states_the_remaining_lifetime() {
    let server = TestServer::start_with_clock(|_| {});
    let (api, address) = (server.api(), fresh_address("again"));
    api.request_token(&address, "secret", 1).await.ok();
    server.advance(22 * 3_600_000 + 1_800_000);
    api.request_token(&address, "secret", 2).await.ok();
    let relay = crate::harness::SmtpServer::shared();
    crate::harness::wait_until("both mails", || relay.mails_to(&address).len() == 2).await;
    let texts: Vec<String> = relay
        .mails_to(&address)
        .iter()
        .map(crate::harness::Mail::text)
        .collect();
    assert!(texts[0].contains("valid for 24 hours"), "{}", texts[0]);
    assert!(texts[1].contains("valid for 90 minutes"), "{}", texts[1]);
}
