//! The requests that homeservers receive.

use serde_json::json;
use sydent::actor::federation::UserInfoError;

use super::{reaching, user_info};
use crate::harness::{Homeserver, ONBIND, SERVER_KEYS, USER_INFO};

/// ACC-04
#[actix_web::test]
async fn homeserver_identifies_the_user_of_a_token() {
    let hs = Homeserver::start();
    let id = reaching(&hs);
    let token = hs.openid_token("alice");
    let found = user_info(&id, hs.name.as_str(), &token).await;
    assert_eq!(found, Ok(hs.user("alice")));
    let refused = user_info(&id, hs.name.as_str(), "no such token").await;
    assert_eq!(refused, Err(UserInfoError::UnknownToken));
    let received = hs.requests_to(USER_INFO);
    assert_eq!(received[0].query("access_token"), Some(token));
    assert_eq!(received[0].method, "GET");
}

/// NET-23, NET-24
#[actix_web::test]
async fn request_has_a_user_agent_and_no_signature() {
    let hs = Homeserver::start();
    let id = reaching(&hs);
    let _ = user_info(&id, hs.name.as_str(), "token").await;
    let received = &hs.requests()[0];
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        received.header("user-agent"),
        Some(format!("sydent/{version}").as_str())
    );
    assert_eq!(received.header("authorization"), None);
    assert_eq!(received.header("host"), Some(hs.name.as_str()));
    assert_eq!(received.sni.as_deref(), Some(hs.name.as_str()));
}

/// NET-17
#[actix_web::test]
async fn keys_are_fetched_once_and_cached() {
    let hs = Homeserver::start();
    let id = reaching(&hs);
    let (key_id, public) = hs.key();
    for _ in 0..3 {
        let found = id.app.federation.server_key(&hs.name, &key_id, None).await;
        assert_eq!(found.unwrap(), Ok(Some(public)));
    }
    let received = hs.requests_to(SERVER_KEYS);
    assert_eq!(received.len(), 1);
    assert_eq!(
        (received[0].method.as_str(), received[0].query.as_str()),
        ("GET", "")
    );
}

/// ONB-02
#[actix_web::test]
async fn onbind_uses_the_method_that_is_supported() {
    for (method, calls) in [("POST", 1), ("PUT", 2)] {
        let hs = Homeserver::start();
        hs.set_onbind_method(method);
        let id = reaching(&hs);
        let body = json!({"mxid": hs.user("alice"), "invites": []});
        let result = id.app.federation.onbind(&hs.name, body.to_string()).await;
        assert_eq!(result.unwrap(), Ok(()));
        assert_eq!(hs.onbinds(), [body]);
        assert_eq!(hs.requests_to(ONBIND).len(), calls);
    }
}
