//! Slow homeservers, too many calls, and homeservers that are not allowed.

use std::time::{Duration, Instant};

use serde_json::json;
use sydent::actor::federation::{CallError, KeyError, OnbindFailure};
use sydent::actor::pool::Fault;
use sydent::domain::ids::{KeyId, ServerName};

use super::{unreachable, user_info};
use crate::harness::{
    Behaviour, Homeserver, SERVER_KEYS, SERVER_NAME, TestServer, USER_INFO, V2, WELL_KNOWN,
    wait_for,
};

/// NET-16
#[actix_web::test]
async fn slow_homeserver_times_out() {
    let hs = Homeserver::start();
    let id = TestServer::start(|settings| {
        hs.configure(settings);
        settings.federation.timeout = Duration::from_secs(1);
    });
    for slow in [
        Behaviour::Silent,
        Behaviour::DrippingHead,
        Behaviour::DrippingBody,
    ] {
        hs.behave(USER_INFO, slow.clone());
        let started = Instant::now();
        let error = unreachable(&id, hs.name.as_str()).await;
        assert_eq!(error, CallError::TimedOut, "{slow:?}");
        assert!(started.elapsed() < Duration::from_secs(10), "{slow:?}");
    }
}

/// NET-16
#[actix_web::test]
async fn silent_connection_times_out() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let id = TestServer::start(|settings| {
        settings.federation.timeout = Duration::from_secs(1);
        let address = silent.local_addr().unwrap();
        settings
            .federation
            .hosts
            .insert("mute.test".to_owned(), address);
    });
    assert_eq!(unreachable(&id, "mute.test").await, CallError::TimedOut);
}

/// NET-16
#[actix_web::test]
async fn silent_homeserver_does_not_stall_unbind() {
    let hs = Homeserver::start();
    hs.behave(SERVER_KEYS, Behaviour::Silent);
    let id = TestServer::start(|settings| {
        hs.configure(settings);
        settings.http.request_timeout = Duration::from_secs(2);
        settings.delivery.answer_within = Duration::from_secs(1);
    });
    let threepid = json!({"medium": "email", "address": "alice@example.com"});
    let body = json!({"mxid": hs.user("alice"), "threepid": threepid});
    let uri = format!("{V2}/3pid/unbind");
    let header = hs.authorization("POST", &uri, SERVER_NAME, Some(&body));
    let started = Instant::now();
    let api = id.api().on(V2);
    let answer = api.unbind(&[("authorization", &header)], &body).await;
    answer.refused(504, "M_UNKNOWN");
    // The default timeout of a call is longer, 20 seconds.
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[actix_web::test]
async fn full_queue_is_rejected_and_recovers() {
    let hs = Homeserver::start();
    hs.behave(USER_INFO, Behaviour::Silent);
    let id = TestServer::start(|settings| {
        hs.configure(settings);
        settings.federation.concurrency = 1;
        settings.federation.timeout = Duration::from_secs(3);
    });
    let federation = id.app.federation.clone();
    let name = hs.name.clone();
    let slow = tokio::spawn(async move { federation.user_info(&name, "token", None).await });
    wait_for("the slow call", async || {
        (!hs.requests().is_empty()).then_some(())
    })
    .await;
    let refused = id.app.federation.user_info(&hs.name, "token", None).await;
    assert!(matches!(refused, Err(Fault::QueueFull(_))), "{refused:?}");
    assert!(slow.await.unwrap().unwrap().is_err());
    hs.behave_normally(USER_INFO);
    let token = hs.openid_token("alice");
    let found = user_info(&id, hs.name.as_str(), &token).await;
    assert_eq!(found, Ok(hs.user("alice")));
    let metrics = id.operations().get("/metrics").await.text();
    for (outcome, count) in [("answered", 1), ("failed", 1)] {
        let line = format!(
            "sydent_homeserver_calls_total{{what=\"userinfo\",outcome=\"{outcome}\"}} {count}"
        );
        assert!(metrics.contains(&line), "{line}");
    }
}

/// SEC-25
#[actix_web::test]
async fn calls_per_homeserver_are_limited() {
    let (silent, other) = (Homeserver::start(), Homeserver::start());
    silent.behave(USER_INFO, Behaviour::Silent);
    let id = TestServer::start(|settings| {
        silent.configure(settings);
        other.configure(settings);
        settings.federation.concurrency = 20;
        settings.federation.timeout = Duration::from_secs(3);
    });
    let slow = [0; 4].map(|_| {
        let (federation, name) = (id.app.federation.clone(), silent.name.clone());
        tokio::spawn(async move { federation.user_info(&name, "token", None).await })
    });
    wait_for("the slow calls", async || {
        (silent.requests().len() == slow.len()).then_some(())
    })
    .await;
    let federation = &id.app.federation;
    let refused = federation.user_info(&silent.name, "token", None).await;
    assert!(matches!(refused, Err(Fault::QueueFull(_))), "{refused:?}");
    let token = other.openid_token("alice");
    let found = user_info(&id, other.name.as_str(), &token).await;
    assert_eq!(found, Ok(other.user("alice")));
    let (key_id, public) = silent.key();
    let key = federation.server_key(&silent.name, &key_id, None).await;
    assert_eq!(
        key.unwrap(),
        Ok(Some(public)),
        "key requests have their own limit"
    );
    let result = federation.onbind(&silent.name, "{}".to_owned()).await;
    assert_eq!(result.unwrap(), Ok(()), "and so have onbind notifications");
    for call in slow {
        assert!(call.await.unwrap().unwrap().is_err());
    }
}

/// AUTH-14
#[actix_web::test]
async fn only_users_of_allowed_homeservers_register() {
    let (listed, other) = (Homeserver::start(), Homeserver::start());
    let id = TestServer::start(|settings| {
        listed.configure(settings);
        other.configure(settings);
        settings.v1.enabled = false;
        let listed = listed.name.as_str().parse().unwrap();
        settings.federation.allow_homeservers = vec![listed];
    });
    let token = listed.openid_token("alice");
    let found = user_info(&id, listed.name.as_str(), &token).await;
    assert_eq!(found, Ok(listed.user("alice")));
    let error = unreachable(&id, other.name.as_str()).await;
    assert_eq!(error, CallError::NotAllowed);
    assert!(other.requests().is_empty());
    // Its keys are still fetched, since it may sign for its users.
    let (key_id, public) = other.key();
    let key = id
        .app
        .federation
        .server_key(&other.name, &key_id, None)
        .await;
    assert_eq!(key.unwrap(), Ok(Some(public)));
}

#[actix_web::test]
async fn denied_homeserver_is_never_contacted() {
    let hs = Homeserver::named("denied.test");
    let id = TestServer::start(|settings| {
        hs.configure(settings);
        settings.federation.deny_homeservers = vec!["*.test".parse().unwrap()];
    });
    let federation = &id.app.federation;
    for name in ["denied.test", "DENIED.test", "denied.test:8448"] {
        let server = ServerName::parse(name).unwrap();
        assert_eq!(unreachable(&id, name).await, CallError::NotAllowed);
        let key_id = KeyId::parse("ed25519:a").unwrap();
        let keys = federation.server_key(&server, &key_id, None).await.unwrap();
        assert_eq!(keys, Err(KeyError::Unreachable(CallError::NotAllowed)));
        let result = federation.onbind(&server, "{}".to_owned()).await.unwrap();
        assert!(
            matches!(result, Err(OnbindFailure::Permanent { .. })),
            "{result:?}"
        );
    }
    assert!(hs.requests().is_empty());
}

#[actix_web::test]
async fn delegation_to_a_denied_homeserver_is_blocked() {
    let (front, denied) = (
        Homeserver::named("front.test"),
        Homeserver::named("denied.test"),
    );
    let id = TestServer::start_with_clock(|settings| {
        front.configure(settings);
        settings.federation.hosts.clear();
        let hosts = [
            ("front.test:443", &front),
            ("denied.test", &denied),
            ("denied.test:443", &denied),
        ];
        for (name, hs) in hosts {
            let hosts = &mut settings.federation.hosts;
            hosts.insert(name.to_owned(), hs.address);
        }
        settings.federation.deny_homeservers = vec!["denied.test".parse().unwrap()];
    });
    let delegation = json!({"m.server": "denied.test"});
    front.behave(WELL_KNOWN, Behaviour::json(200, &delegation));
    assert_eq!(unreachable(&id, "front.test").await, CallError::NotAllowed);
    id.advance(3 * 24 * 60 * 60 * 1000);
    front.behave(WELL_KNOWN, Behaviour::redirect("https://denied.test/x"));
    assert_eq!(unreachable(&id, "front.test").await, CallError::NoAddress);
    assert_eq!(front.requests_to(WELL_KNOWN).len(), 2);
    assert!(denied.requests().is_empty());
}

/// OPS-10
#[actix_web::test]
async fn shutdown_waits_for_a_running_call() {
    let hs = Homeserver::start();
    hs.behave(USER_INFO, Behaviour::Silent);
    let mut id = TestServer::start(|settings| {
        hs.configure(settings);
        settings.federation.timeout = Duration::from_secs(1);
    });
    let federation = id.app.federation.clone();
    let name = hs.name.clone();
    let slow = tokio::spawn(async move { federation.user_info(&name, "token", None).await });
    wait_for("the slow call", async || {
        (!hs.requests().is_empty()).then_some(())
    })
    .await;
    id.begin_stop();
    assert!(
        slow.await.unwrap().is_ok(),
        "it was answered before the shutdown ended"
    );
    id.stop();
    let after = id.app.federation.user_info(&hs.name, "token", None).await;
    assert!(matches!(after, Err(Fault::Stopped(_))), "{after:?}");
}
