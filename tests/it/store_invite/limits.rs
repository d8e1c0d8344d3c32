//! Limits and blocklists of store-invite.

use std::time::Duration;

use serde_json::json;
use sydent::config::{LimitSettings, RateSettings};

use super::{by_synapse, with};
use crate::harness::{TestServer, fresh_address};

const TWO: RateSettings = RateSettings {
    burst: 2,
    every: Duration::from_mins(1),
};

/// INV-22
#[actix_web::test]
async fn blocked_servers_rooms_and_keywords_are_403() {
    let server = TestServer::start(|settings| {
        let invites = &mut settings.invites;
        invites.blocked_homeservers = vec!["*.spam.example".parse().unwrap()];
        invites.blocked_rooms = vec!["!bad:example.org".to_owned()];
        invites.blocked_keywords = vec!["HTTP".to_owned(), "Lottery".to_owned()];
    });
    let (api, address) = (server.api(), fresh_address("blocked"));
    for refused in [
        json!({"sender": "@a:mail.spam.example"}),
        json!({"room_id": "!bad:example.org"}),
        json!({"room_name": "The LOTTERY of the year"}),
        json!({"further": "Http://x"}),
        json!({"sender_display_name": "lottery"}),
        json!({"room_name": "lot\u{200b}tery"}),
    ] {
        let answer = api.store_invite(with(&address, refused)).await;
        answer.refused(403, "M_UNAUTHORIZED");
    }
    assert_eq!(server.database.count("invites"), 0);
    // INV-05: the location of the client is a URL. Other types are not searched.
    for allowed in [
        json!({"org.matrix.web_client_location": "https://app.example"}),
        json!({"room_name": ["lottery"]}),
        json!({"sender": "@a:spam.example"}),
    ] {
        api.store_invite(with(&address, allowed)).await.ok();
    }
}

/// INV-23
#[actix_web::test]
async fn invites_per_account_and_address_are_limited() {
    let server = TestServer::start_with_clock(|settings| {
        settings.limits.invites_per_sender = TWO;
        settings.limits.invites_per_address.burst = 3;
    });
    let api = server.account("@a:example.org").await;
    let address = fresh_address("limited");
    for _ in 0..2 {
        api.store_invite(by_synapse(&address)).await.ok();
    }
    let refused = api.store_invite(by_synapse(&fresh_address("other"))).await;
    let body = refused.refused(429, "M_LIMIT_EXCEEDED");
    assert_eq!(body["retry_after_ms"], 60_000);
    assert_eq!(server.database.count("invites"), 2, "nothing is stored");

    // Another account has its own limit, but an address has one for all accounts.
    let other = server.account("@b:example.org").await;
    let fields = with(&address, json!({"sender": "@b:example.org"}));
    other.store_invite(fields.clone()).await.ok();
    let refused = other.store_invite(fields).await;
    refused.refused(429, "M_LIMIT_EXCEEDED");
    server.advance(60_000);
    api.store_invite(by_synapse(&fresh_address("later")))
        .await
        .ok();
}

/// INV-23
#[actix_web::test]
async fn homeserver_and_client_limits_span_accounts() {
    type Pick = fn(&mut LimitSettings) -> &mut RateSettings;
    let homeserver: Pick = |limits| &mut limits.invites_per_homeserver;
    let client: Pick = |limits| &mut limits.invites_per_client_with_account;
    for (pick, third, status) in [
        (homeserver, "@c:example.org", 429),
        (homeserver, "@c:other.example.org", 429),
        (homeserver, "@c:example.net", 200),
        (client, "@c:example.net", 429),
    ] {
        let server = TestServer::start(|settings| *pick(&mut settings.limits) = TWO);
        for (sender, status) in [
            ("@a:example.org", 200),
            ("@b:example.org", 200),
            (third, status),
        ] {
            let api = server.account(sender).await;
            let fields = with(&fresh_address("by"), json!({"sender": sender}));
            assert_eq!(api.store_invite(fields).await.status, status, "{sender}");
        }
    }
}

/// INV-24
#[actix_web::test]
async fn v1_limits_the_client_and_not_the_sender() {
    let server = TestServer::start(|settings| {
        settings.limits.invites_per_client = TWO;
        settings.limits.invites_per_sender.burst = 1;
    });
    let api = server.api();
    for sender in ["@a:example.org", "@b:example.org"] {
        let fields = with(&fresh_address("by"), json!({"sender": sender}));
        api.store_invite(fields).await.ok();
    }
    let fields = with(&fresh_address("by"), json!({"sender": "@c:example.org"}));
    let refused = api.store_invite(fields).await;
    refused.refused(429, "M_LIMIT_EXCEEDED");
    let off = TestServer::start(|settings| settings.v1.enabled = false);
    let answer = off
        .api()
        .store_invite(by_synapse(&fresh_address("off")))
        .await;
    answer.refused(403, "M_FORBIDDEN");
}

/// SEC-22, INV-08
#[actix_web::test]
async fn probing_bound_addresses_counts_as_lookups() {
    let server = TestServer::start(|settings| {
        settings.lookup.max_addresses = 2;
        settings.limits.lookup_per_client.burst = 2;
        settings.limits.lookup_per_client.every = Duration::from_hours(1);
    });
    let address = fresh_address("asked");
    let user = "@alice:example.org";
    server
        .internal()
        .internal_bind("email", &address, user)
        .await
        .ok();
    for _ in 0..2 {
        let answer = server.api().store_invite(by_synapse(&address)).await;
        answer.refused(400, "M_THREEPID_IN_USE");
    }
    let answer = server.api().store_invite(by_synapse(&address)).await;
    answer.refused(429, "M_LIMIT_EXCEEDED");
}
