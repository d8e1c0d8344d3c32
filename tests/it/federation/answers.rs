//! How the answers of homeservers are interpreted.

use serde_json::{Value, json};
use sydent::actor::federation::{CallError, OnbindFailure, UserInfoError};

use super::{reaching, unreachable, user_info};
use crate::harness::{Behaviour, Homeserver, ONBIND, USER_INFO};

/// ACC-04, ACC-08
#[actix_web::test]
async fn only_a_valid_userinfo_response_is_accepted() {
    let hs = Homeserver::start();
    let id = reaching(&hs);
    let sub = json!({"sub": hs.user("alice")});
    for (behaviour, good) in [
        (Behaviour::json(200, &sub), true),
        (Behaviour::text(200, sub.to_string()), true),
        (Behaviour::json(500, &sub), false),
        (Behaviour::json(302, &sub), false),
        (Behaviour::redirect("https://elsewhere.test/"), false),
        (Behaviour::json(200, &json!({})), false),
        (Behaviour::text(200, "{"), false),
    ] {
        hs.behave(USER_INFO, behaviour.clone());
        match user_info(&id, hs.name.as_str(), "token").await {
            Ok(found) => assert!(good && found == hs.user("alice"), "{behaviour:?}"),
            Err(UserInfoError::InvalidResponse(_)) => assert!(!good, "{behaviour:?}"),
            Err(other) => panic!("{other:?} for {behaviour:?}"),
        }
    }
}

/// ACC-05, ACC-06, SEC-09
#[actix_web::test]
async fn user_must_belong_to_the_homeserver() {
    let hs = Homeserver::named("Hs-A.test");
    let id = reaching(&hs);
    for (sub, expected) in [
        ("@x:Hs-A.test", Ok("@x:Hs-A.test".to_owned())),
        ("@x:hs-a.test", Err(UserInfoError::ForeignUser)),
        ("@x:hs-b.test", Err(UserInfoError::ForeignUser)),
        ("@x:Hs-A.test:hs-b.test", Err(UserInfoError::ForeignUser)),
        ("@:Hs-A.test", Ok("@:Hs-A.test".to_owned())),
        (
            "x:Hs-A.test",
            Err(UserInfoError::InvalidResponse("sub is not a Matrix ID")),
        ),
    ] {
        hs.behave(USER_INFO, Behaviour::json(200, &json!({"sub": sub})));
        assert_eq!(
            user_info(&id, "Hs-A.test", "token").await,
            expected,
            "{sub}"
        );
    }
}

/// NET-15, SEC-01
#[actix_web::test]
async fn response_size_is_limited() {
    let hs = Homeserver::start();
    let id = reaching(&hs);
    let padded = |length: usize| -> Value {
        let unpadded = json!({"sub": hs.user("alice"), "pad": ""})
            .to_string()
            .len();
        json!({"sub": hs.user("alice"), "pad": "x".repeat(length - unpadded)})
    };
    for (length, good) in [(5 * 1024, true), (5 * 1024 + 1, false), (1 << 20, false)] {
        hs.behave(USER_INFO, Behaviour::json(200, &padded(length)));
        let found = user_info(&id, hs.name.as_str(), "token").await;
        let too_long = Err(UserInfoError::Unreachable(CallError::ResponseTooLarge));
        let expected = if good { Ok(hs.user("alice")) } else { too_long };
        assert_eq!(found, expected, "{length}");
    }
    hs.behave(USER_INFO, Behaviour::Endless);
    assert_eq!(
        unreachable(&id, hs.name.as_str()).await,
        CallError::ResponseTooLarge
    );
}

/// NET-15
#[actix_web::test]
async fn onbind_response_body_is_not_read() {
    let hs = Homeserver::start();
    let id = reaching(&hs);
    hs.behave(ONBIND, Behaviour::Endless);
    let result = id.app.federation.onbind(&hs.name, "{}".to_owned()).await;
    assert_eq!(result.unwrap(), Ok(()));
}

/// ONB-02, ONB-11
#[actix_web::test]
async fn onbind_statuses_are_final_or_transient() {
    let hs = Homeserver::start();
    let id = reaching(&hs);
    for (status, is_temporary, calls) in [
        (400, false, 1),
        (403, false, 1),
        (404, true, 2),
        (405, true, 2),
        (408, true, 1),
        (429, true, 1),
        (500, true, 1),
        (302, true, 1),
    ] {
        let before = hs.requests_to(ONBIND).len();
        hs.behave(ONBIND, Behaviour::json(status, &json!({"errcode": "M_X"})));
        let result = id.app.federation.onbind(&hs.name, "{}".to_owned()).await;
        let failure = result.unwrap().unwrap_err();
        let found = matches!(failure, OnbindFailure::Transient { .. });
        assert_eq!(found, is_temporary, "{status}: {failure:?}");
        let received = hs.requests_to(ONBIND);
        assert_eq!(received.len() - before, calls, "{status}");
        assert_eq!(received[before].method, "POST");
        assert_eq!(
            received[before].header("content-type"),
            Some("application/json")
        );
    }
    hs.behave(ONBIND, Behaviour::HangUp);
    let result = id.app.federation.onbind(&hs.name, "{}".to_owned()).await;
    assert!(matches!(
        result.unwrap(),
        Err(OnbindFailure::Transient { .. })
    ));
}
