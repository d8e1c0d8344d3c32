//! `/v2/account/register` (section 4), against a homeserver.

mod answers;

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use sydent::domain::secret::TokenHash;

use crate::harness::{Behaviour, Homeserver, TestDatabase, TestProcess, TestServer, USER_INFO, V2};

/// A homeserver, and a server that can reach it.
fn both() -> (Homeserver, TestServer) {
    let homeserver = Homeserver::start();
    let server = TestServer::start(|settings| homeserver.configure(settings));
    (homeserver, server)
}

/// ACC-01, ACC-02, ACC-03, ACC-04, ACC-10
#[actix_web::test]
async fn openid_token_creates_an_account() {
    let (homeserver, server) = both();
    let body = server
        .api()
        .register(homeserver.open_id("alice"))
        .await
        .ok();
    let token = body["token"].as_str().unwrap();
    assert_eq!(body, json!({ "token": token, "access_token": token }));
    let api = server.api().with_token(token);
    let user = homeserver.user("alice");
    assert_eq!(api.account().await.ok(), json!({ "user_id": user }));

    let received = homeserver.requests();
    assert_eq!(received.len(), 1, "{received:?}");
    assert_eq!(
        (received[0].method.as_str(), received[0].path.as_str()),
        ("GET", USER_INFO)
    );
    assert_eq!(received[0].header("authorization"), None);
}

/// ACC-01, GEN-08, GEN-09
#[actix_web::test]
async fn only_token_and_server_name_are_required() {
    let (homeserver, server) = both();
    let name = homeserver.name.as_str();
    let token = || homeserver.openid_token("alice");
    for good in [
        json!({ "access_token": token(), "matrix_server_name": name }),
        json!({ "access_token": token(), "matrix_server_name": name, "expires_in": null }),
        json!({ "access_token": token(), "matrix_server_name": name, "more": [1] }),
        json!({ "access_token": token(), "matrix_server_name": name, "expires_in": 0.5, "token_type": "x" }),
    ] {
        server.api().register(good).await.ok();
    }
    for (missing, names) in [
        (json!({}), "access_token, matrix_server_name"),
        (json!({ "access_token": "x" }), "matrix_server_name"),
        (
            json!({ "access_token": null, "matrix_server_name": name }),
            "access_token",
        ),
    ] {
        let body = server
            .api()
            .register(missing)
            .await
            .refused(400, "M_MISSING_PARAMS");
        assert!(body["error"].as_str().unwrap().ends_with(names), "{body}");
    }
    for wrong in [
        json!({ "access_token": 1, "matrix_server_name": name }),
        json!({ "access_token": "", "matrix_server_name": name }),
        json!({ "access_token": "x".repeat(4097), "matrix_server_name": name }),
        json!({ "access_token": "x", "matrix_server_name": [name] }),
        json!({ "access_token": "x", "matrix_server_name": name, "token_type": 1 }),
        json!({ "access_token": "x", "matrix_server_name": name, "expires_in": "3600" }),
    ] {
        server
            .api()
            .register(wrong)
            .await
            .refused(400, "M_INVALID_PARAM");
    }
    assert_eq!(homeserver.requests().len(), 4);
}

/// ACC-04
#[actix_web::test]
async fn token_reaches_the_homeserver_unchanged() {
    let (homeserver, server) = both();
    let alice = json!({ "sub": homeserver.user("alice") });
    homeserver.behave(USER_INFO, Behaviour::json(200, &alice));
    let token = "a&b=c#d%2e+f g/h?i\u{e9}\n";
    let body = json!({ "access_token": token, "matrix_server_name": homeserver.name });
    server.api().register(body).await.ok();
    let received = homeserver.requests();
    assert_eq!(received[0].path, USER_INFO);
    assert_eq!(received[0].query("access_token").as_deref(), Some(token));
}

/// ACC-07, ACC-12
#[actix_web::test]
async fn server_name_is_checked_before_any_request() {
    let homeserver = Homeserver::start();
    let server = TestServer::start(|settings| {
        homeserver.configure(settings);
        settings.v1.enabled = false;
        settings.federation.allow_homeservers = vec!["other.test".parse().unwrap()];
    });
    let long = "a".repeat(5000);
    for name in [
        "",
        "example.com#",
        "a/b",
        "x:99999",
        "x:",
        "user@host",
        "a b",
        "a?b",
        "[::1",
        "a\n.test",
        "https://a.test",
        "1.2.3.4.5",
        &long,
    ] {
        let body = json!({ "access_token": "x", "matrix_server_name": name });
        server
            .api()
            .register(body)
            .await
            .refused(400, "M_INVALID_PARAM");
    }
    let answer = server.api().register(homeserver.open_id("alice")).await;
    answer.refused(403, "M_UNAUTHORIZED");
    assert_eq!(homeserver.requests().len(), 0);
}

/// ACC-12, AUTH-14
#[actix_web::test]
async fn allow_and_deny_lists_are_applied() {
    let (homeserver, denied) = (Homeserver::start(), Homeserver::start());
    let server = TestServer::start(|settings| {
        homeserver.configure(settings);
        denied.configure(settings);
        settings.v1.enabled = false;
        settings.federation.allow_homeservers = vec!["*.test".parse().unwrap()];
        settings.federation.deny_homeservers = vec![denied.name.as_str().parse().unwrap()];
    });
    server
        .api()
        .register(homeserver.open_id("alice"))
        .await
        .ok();
    let answer = server.api().register(denied.open_id("alice")).await;
    answer.refused(403, "M_UNAUTHORIZED");
    assert_eq!(denied.requests().len(), 0);
}

/// ACC-14, OPS-01
#[actix_web::test]
async fn limits_apply_per_client_and_per_homeserver() {
    let (homeserver, other) = (Homeserver::start(), Homeserver::start());
    let server = TestServer::start(|settings| {
        homeserver.configure(settings);
        other.configure(settings);
        settings.limits.register_per_homeserver.burst = 2;
        settings.limits.register_per_homeserver.every = Duration::from_hours(1);
        settings.limits.register_per_client.burst = 5;
        settings.limits.register_per_client.every = Duration::from_hours(1);
    });
    let api = server.api();
    for _ in 0..2 {
        api.register(homeserver.open_id("alice")).await.ok();
    }
    // Another port of the same host shares the limit.
    let mut other_port = homeserver.open_id("alice");
    other_port["matrix_server_name"] = format!("{}:8449", homeserver.name).into();
    for body in [homeserver.open_id("alice"), other_port] {
        let answer = api.register(body).await;
        assert_eq!(answer.header("retry-after"), Some("3600"));
        let refused = answer.refused(429, "M_LIMIT_EXCEEDED");
        assert!(
            refused["retry_after_ms"].as_i64().unwrap() > 3_000_000,
            "{refused}"
        );
    }
    assert_eq!(homeserver.requests().len(), 2);
    api.register(other.open_id("alice")).await.ok();
    let answer = api.register(other.open_id("alice")).await;
    answer.refused(429, "M_LIMIT_EXCEEDED");
    assert_eq!(other.requests().len(), 1);
}

/// ACC-15, AUTH-16
#[actix_web::test]
async fn concurrent_registrations_share_one_account() {
    let (homeserver, server) = both();
    let apis: Vec<_> = (0..8).map(|_| server.api()).collect();
    let calls = apis
        .iter()
        .map(|api| api.register(homeserver.open_id("alice")));
    let mut tokens = Vec::new();
    for answer in join_all(calls).await {
        tokens.push(answer.ok()["token"].as_str().unwrap().to_owned());
    }
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 8);
    assert_eq!(server.database.count("accounts"), 1);
    for token in &tokens {
        server.api().with_token(token.as_str()).account().await.ok();
    }
}

/// AUTH-15, OPS-06
#[actix_web::test]
async fn tokens_are_hashed_and_survive_a_restart() {
    let (homeserver, server) = both();
    let body = server
        .api()
        .register(homeserver.open_id("alice"))
        .await
        .ok();
    let token = body["token"].as_str().unwrap().to_owned();
    let alphanumeric = token.bytes().all(|byte| byte.is_ascii_alphanumeric());
    assert!(token.len() >= 32 && alphanumeric, "{token}");
    let rows = |text: &str| {
        let table = format!("access_tokens WHERE token_hash = '{text}'");
        server.database.count(&table)
    };
    assert_eq!(rows(&token), 0);
    assert_eq!(rows(TokenHash::new(&token).as_str()), 1);
    let server = server.start_again(|_| {});
    server.api().with_token(token).account().await.ok();
}

/// AUTH-07
#[actix_web::test]
async fn openid_token_is_not_an_access_token() {
    let (homeserver, server) = both();
    let open_id = homeserver.open_id("alice");
    server.api().register(open_id.clone()).await.ok();
    let api = server
        .api()
        .with_token(open_id["access_token"].as_str().unwrap());
    api.account().await.refused(401, "M_UNAUTHORIZED");
}

/// ACC-13, SEC-26
#[actix_web::test]
async fn token_alone_binds_nothing() {
    let (homeserver, server) = both();
    let body = server
        .api()
        .register(homeserver.open_id("alice"))
        .await
        .ok();
    let api = server.api().with_token(body["token"].as_str().unwrap());
    let bind = |user: String| json!({ "sid": "x", "client_secret": "secret", "mxid": user });
    let path = format!("{V2}/3pid/bind");
    let own = api.post(&path, bind(homeserver.user("alice"))).await;
    own.refused(404, "M_NO_VALID_SESSION");
    let other = api.post(&path, bind(homeserver.user("bob"))).await;
    other.refused(403, "M_UNAUTHORIZED");
    assert_eq!(server.database.count("associations"), 0);
}

/// AUTH-12
#[actix_web::test]
async fn bad_token_does_not_prevent_registration() {
    let (homeserver, server) = both();
    let api = server.api().with_token("nobody's");
    api.register(homeserver.open_id("alice")).await.ok();
}

/// AUTH-03, ACC-04
#[actix_web::test]
async fn tokens_are_never_logged() {
    let homeserver = Homeserver::start();
    let database = TestDatabase::fresh();
    let process = TestProcess::start(&database, |settings| homeserver.configure(settings));
    homeserver.behave(USER_INFO, Behaviour::json(500, &json!({})));
    let open_id = homeserver.open_id("alice");
    let mut secrets = vec![open_id["access_token"].as_str().unwrap().to_owned()];
    process
        .api()
        .register(open_id)
        .await
        .refused(502, "M_UNKNOWN");
    homeserver.behave_normally(USER_INFO);
    let body = process
        .api()
        .register(homeserver.open_id("alice"))
        .await
        .ok();
    let token = body["token"].as_str().unwrap().to_owned();
    let path = format!("{V2}/account?access_token={token}");
    process.api().get(&path).await.ok();
    let api = process.api().with_token(token.as_str());
    api.logout().await.ok();
    process
        .api()
        .get(&path)
        .await
        .refused(401, "M_UNAUTHORIZED");
    secrets.push(TokenHash::new(&token).as_str().to_owned());
    secrets.push(token);
    let log = process.log_containing("registration failed: ").await;
    for secret in secrets {
        assert!(!log.contains(&secret), "{log}");
    }
}
