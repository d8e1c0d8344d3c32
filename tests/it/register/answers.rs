//! How the answers of homeservers about a token are interpreted.

use std::time::Duration;

use serde_json::{Value, json};

use super::both;
use crate::harness::{Behaviour, ClosedPort, Homeserver, TestServer, USER_INFO};

/// ACC-04, ACC-08
#[actix_web::test]
async fn only_200_with_a_small_object_is_accepted() {
    let (homeserver, server) = both();
    let sub = homeserver.user("alice");
    let object = json!({ "sub": sub });
    let padded = json!({ "sub": sub, "padding": "x".repeat(6000) });
    for (behaviour, status, errcode) in [
        (Behaviour::json(500, &object), 502, "M_UNKNOWN"),
        (Behaviour::json(403, &object), 502, "M_UNKNOWN"),
        (Behaviour::json(201, &object), 502, "M_UNKNOWN"),
        (Behaviour::json(401, &object), 401, "M_UNAUTHORIZED"),
        (
            Behaviour::redirect("https://elsewhere.test/"),
            502,
            "M_UNKNOWN",
        ),
        (Behaviour::json(200, &padded), 504, "M_UNKNOWN"),
        (Behaviour::text(200, "no JSON"), 502, "M_UNKNOWN"),
        (Behaviour::json(200, &json!({})), 502, "M_UNKNOWN"),
        (Behaviour::json(200, &json!({ "sub": 1 })), 502, "M_UNKNOWN"),
        (Behaviour::json(200, &json!([sub])), 502, "M_UNKNOWN"),
        (Behaviour::HangUp, 504, "M_UNKNOWN"),
    ] {
        let what = format!("{behaviour:?}");
        homeserver.behave(USER_INFO, behaviour);
        let answer = server.api().register(homeserver.open_id("alice")).await;
        let body: Value = answer.json();
        let found = (answer.status, body["errcode"].as_str());
        assert_eq!(found, (status, Some(errcode)), "{what}: {body}");
        assert!(!answer.text().contains("padding"), "{body}");
    }
    assert_eq!(server.database.count("accounts"), 0);
    homeserver.behave(USER_INFO, Behaviour::text(200, object.to_string()));
    server
        .api()
        .register(homeserver.open_id("alice"))
        .await
        .ok();
}

/// ACC-05, SEC-09
#[actix_web::test]
async fn register_accepts_only_users_of_the_homeserver() {
    let (homeserver, server) = both();
    let name = homeserver.name.as_str();
    for sub in [
        "@x:hs-b.test".to_owned(),
        format!("@x:{name}:hs-b.test"),
        format!("@x:hs-b.test:{name}"),
        format!("@x:{}", name.to_uppercase()),
        format!("@x:{name}:8448"),
    ] {
        let behaviour = Behaviour::json(200, &json!({ "sub": sub }));
        homeserver.behave(USER_INFO, behaviour);
        let answer = server.api().register(homeserver.open_id("x")).await;
        answer.refused(403, "M_UNAUTHORIZED");
    }
    assert_eq!(server.database.count("accounts"), 0);
}

/// ACC-05
#[actix_web::test]
async fn server_name_is_case_sensitive() {
    let homeserver = Homeserver::named("Hs-Capital.Test");
    let server = TestServer::start(|settings| homeserver.configure(settings));
    let body = server
        .api()
        .register(homeserver.open_id("Alice"))
        .await
        .ok();
    let api = server.api().with_token(body["token"].as_str().unwrap());
    assert_eq!(
        api.account().await.ok()["user_id"],
        "@Alice:Hs-Capital.Test"
    );
}

/// ACC-06
#[actix_web::test]
async fn invalid_user_id_gets_no_account() {
    let (homeserver, server) = both();
    let name = homeserver.name.as_str();
    for localpart in [
        "alice",
        " @alice",
        "@a\u{0}",
        &format!("@{}", "a".repeat(255)),
    ] {
        let behaviour = Behaviour::json(200, &json!({ "sub": format!("{localpart}:{name}") }));
        homeserver.behave(USER_INFO, behaviour);
        let answer = server.api().register(homeserver.open_id("x")).await;
        answer.refused(502, "M_UNKNOWN");
    }
    assert_eq!(server.database.count("accounts"), 0);
    for historical in [
        "@ALICE",
        "@a!\u{e9}\"",
        "@=",
        "@",
        "@Old Name",
        "@a\n\u{1}",
        "@\u{202e}/%",
    ] {
        let user = format!("{historical}:{name}");
        homeserver.behave(USER_INFO, Behaviour::json(200, &json!({ "sub": user })));
        let answer = server.api().register(homeserver.open_id("x")).await;
        let api = server
            .api()
            .with_token(answer.ok()["token"].as_str().unwrap());
        assert_eq!(api.account().await.ok()["user_id"], user);
    }
}

/// ACC-08
#[actix_web::test]
async fn homeserver_outage_is_not_a_client_error() {
    let homeserver = Homeserver::start();
    let closed = ClosedPort::new();
    let server = TestServer::start(|settings| {
        homeserver.configure(settings);
        settings.federation.timeout = Duration::from_secs(2);
        let hosts = &mut settings.federation.hosts;
        hosts.insert(
            "closed.test".to_owned(),
            ([127, 0, 0, 1], closed.number).into(),
        );
        hosts.insert("other-name.test".to_owned(), homeserver.address);
    });
    let register = async |name: &str, token: &str| {
        let body = json!({ "access_token": token, "matrix_server_name": name });
        server.api().register(body).await
    };
    let name = homeserver.name.as_str();
    let unknown = register(name, "unknown")
        .await
        .refused(401, "M_UNAUTHORIZED");
    let closed = register("closed.test", "x").await.refused(504, "M_UNKNOWN");
    let foreign = register("other-name.test", "x")
        .await
        .refused(504, "M_UNKNOWN");
    homeserver.behave(USER_INFO, Behaviour::Silent);
    let silent = register(name, "x").await.refused(504, "M_UNKNOWN");
    homeserver.behave(USER_INFO, Behaviour::text(200, "no JSON"));
    let bad = register(name, "x").await.refused(502, "M_UNKNOWN");
    // Sydent's own tests expect these words.
    for answer in [&closed, &foreign, &silent] {
        assert!(
            answer["error"].as_str().unwrap().contains("contact"),
            "{answer}"
        );
    }
    assert!(bad["error"].as_str().unwrap().contains("JSON"), "{bad}");
    assert_ne!(unknown["error"], bad["error"]);
}
