//! The parts of v1 that can be switched off alone, and the rate limit of its
//! lookups.

use std::time::Duration;

use awc::http::Method;
use serde_json::json;
use sydent::config::RateSettings;

use crate::harness::{Api, Listener, Route, TestServer, V1, V2, fresh_address, routes_of};

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

/// INV-27
#[actix_web::test]
async fn v1_invites_can_be_disabled_alone() {
    let server = TestServer::start(|settings| settings.v1.store_invite = false);
    let invite = json!({
        "medium": "email", "address": fresh_address("switch"), "room_id": "!r:example.org",
        "sender": "@a:example.org",
    });
    let refused = server.api().on(V1).store_invite(invite.clone()).await;
    refused.refused(403, "M_FORBIDDEN");
    let account = server.account("@a:example.org").await;
    account.store_invite(invite).await.ok();
}

/// Every route of v1 that can be limited, with a method.
fn limited_routes() -> impl Iterator<Item = (&'static Route, &'static str)> {
    let calls = routes_of(Listener::Client).filter(|route| route.is_v1_only());
    let calls = calls.flat_map(|route| route.methods.iter().map(move |it| (route, *it)));
    calls.filter(|(route, method)| !(route.is_form() || route.is_page() && *method == "GET"))
}

async fn statuses(api: &Api, headers: &[(&str, &str)]) -> Vec<u16> {
    let mut found = Vec::new();
    for (route, method) in limited_routes() {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = api.send(method, route.path, headers, "".into()).await;
        found.push(answer.status);
    }
    assert!(found.len() > 10);
    found
}

/// GEN-33
#[actix_web::test]
async fn v1_can_be_limited_to_networks() {
    let server = TestServer::start(|settings| {
        settings.v1.allowed_networks = vec!["192.0.2.0/24".parse().unwrap()];
        settings.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    });
    let api = server.api();
    let refused = statuses(&api, &[]).await;
    assert!(refused.iter().all(|status| *status == 403), "{refused:?}");
    let forwarded = [("X-Forwarded-For", "192.0.2.7")];
    let answered = statuses(&api, &forwarded).await;
    assert!(!answered.contains(&403), "{answered:?}");

    // Mailed links, keys and v2 stay open.
    let account = server.account("@a:example.org").await;
    account.account().await.ok();
    let (sid, mail) = {
        let address = fresh_address("open");
        let fields = json!({"email": address, "client_secret": "secret", "send_attempt": 1});
        let answer = account.request_token_with(fields).await.ok();
        let sid = answer["sid"].as_str().unwrap().to_owned();
        (sid, server.mails_sent(&address).await.pop().unwrap())
    };
    let page = api.open_link(&mail.link().replace(V2, V1)).await;
    assert_eq!(page.status, 200, "{sid}");
    api.get(&format!("{V1}/pubkey/ed25519:0")).await.ok();
}

/// GEN-33
#[actix_web::test]
async fn v1_can_be_limited_by_a_secret() {
    let secret = "correct-horse-battery-staple";
    let server = TestServer::start(|settings| {
        settings.v1.secret = Some(secret.to_owned().into());
    });
    let api = server.api();
    let bearer = format!("Bearer {secret}");
    let answered = statuses(&api, &[("Authorization", &bearer)]).await;
    assert!(!answered.contains(&403), "{answered:?}");
    for wrong in ["Bearer correct-horse", "Basic x", "Bearer "] {
        let refused = statuses(&api, &[("Authorization", wrong)]).await;
        assert!(refused.iter().all(|status| *status == 403), "{refused:?}");
    }
    let in_query = format!("{V1}?access_token={secret}");
    api.get(&in_query).await.refused(403, "M_FORBIDDEN");
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
