//! The requests that homeservers receive.

use serde_json::json;
use sydent::actor::federation::UserInfoError;

use super::{reaching, user_info};
use crate::harness::{Homeserver, ONBIND, SERVER_KEYS, USER_INFO};

#[actix_web::test]
async fn acc_04_a_homeserver_says_who_holds_a_token() {
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

#[actix_web::test]
async fn net_23_net_24_a_request_says_who_asks_and_is_not_signed() {
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

#[actix_web::test]
async fn net_17_keys_are_fetched_once_and_remembered() {
    let hs = Homeserver::start();
    let id = reaching(&hs);
    let (key_id, public) = hs.key();
    for _ in 0..3 {
        let found = id.app.federation.server_key(&hs.name, &key_id).await;
        assert_eq!(found.unwrap(), Ok(Some(public)));
    }
    let received = hs.requests_to(SERVER_KEYS);
    assert_eq!(received.len(), 1);
    assert_eq!(
        (received[0].method.as_str(), received[0].query.as_str()),
        ("GET", "")
    );
}

#[actix_web::test]
async fn onb_02_a_homeserver_is_told_by_the_method_that_it_knows() {
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
