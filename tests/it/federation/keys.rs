//! The keys of homeservers: which are accepted, and for how long they are cached.

use serde_json::{Value, json};
use sydent::actor::federation::{CallError, KeyError};
use sydent::domain::base64;
use sydent::domain::ids::KeyId;
use sydent::domain::public_key::PublicKey;

use super::reaching;
use crate::harness::{Behaviour, Homeserver, SERVER_KEYS, TestServer};

const DAY: i64 = 24 * 60 * 60 * 1000;
/// How long a server is not contacted again after a failed key lookup, ms.
const RETRY_AFTER_MS: i64 = 60 * 1000;

async fn key(
    id: &TestServer,
    hs: &Homeserver,
    key_id: &str,
) -> Result<Option<PublicKey>, KeyError> {
    let key_id = KeyId::parse(key_id).unwrap();
    let found = id.app.federation.server_key(&hs.name, &key_id, None).await;
    found.unwrap()
}

/// The signed keys of the homeserver with one field changed.
fn changed(hs: &Homeserver, field: &str, value: Value) -> Behaviour {
    let mut keys = hs.unsigned_keys();
    keys[field] = value;
    Behaviour::json(200, &hs.signed(keys))
}

/// NET-18, SEC-11
#[actix_web::test]
async fn unverifiable_key_responses_are_rejected() {
    let (hs, other) = (Homeserver::start(), Homeserver::start());
    let id = TestServer::start_with_clock(|settings| hs.configure(settings));
    let now = id.now();
    let entry = |key: Value| json!({"ed25519:hs": {"key": key}});
    for bad in [
        changed(&hs, "server_name", json!("other.test")),
        changed(&hs, "valid_until_ts", json!("4102444800000")),
        changed(&hs, "valid_until_ts", json!(now - 1)),
        changed(&hs, "valid_until_ts", json!(null)),
        changed(&hs, "verify_keys", json!([])),
        changed(&hs, "verify_keys", entry(json!(7))),
        changed(&hs, "verify_keys", entry(json!(base64::encode(&[1; 31])))),
        // A key other than the one that signed.
        changed(&hs, "verify_keys", entry(json!(base64::encode(&[1; 32])))),
        // Without a signature, and with the signature of another server.
        Behaviour::json(200, &hs.unsigned_keys()),
        Behaviour::json(200, &other.signed(hs.unsigned_keys())),
        Behaviour::json(200, &other.signed(other.unsigned_keys())),
        Behaviour::json(500, &hs.signed(hs.unsigned_keys())),
        Behaviour::text(200, "[]"),
    ] {
        hs.behave(SERVER_KEYS, bad.clone());
        id.advance(RETRY_AFTER_MS);
        let found = key(&id, &hs, "ed25519:hs").await;
        assert!(
            matches!(found, Err(KeyError::InvalidResponse(_))),
            "{bad:?}: {found:?}"
        );
    }
    // Values without a canonical JSON form cannot be signed.
    for value in [
        json!(4.1e12),
        json!(4_102_444_800_000.5),
        json!(1e300),
        json!(u64::MAX),
    ] {
        let mut keys = hs.signed(hs.unsigned_keys());
        keys["valid_until_ts"] = value;
        hs.behave(SERVER_KEYS, Behaviour::json(200, &keys));
        id.advance(RETRY_AFTER_MS);
        let found = key(&id, &hs, "ed25519:hs").await;
        assert!(
            matches!(found, Err(KeyError::InvalidResponse(_))),
            "{found:?}"
        );
    }
    hs.behave_normally(SERVER_KEYS);
    id.advance(RETRY_AFTER_MS);
    assert_eq!(key(&id, &hs, "ed25519:hs").await, Ok(Some(hs.key().1)));
}

/// NET-15, SEC-01
#[actix_web::test]
async fn key_response_size_is_limited() {
    let hs = Homeserver::start();
    let id = TestServer::start_with_clock(|settings| hs.configure(settings));
    let too_long = Err(KeyError::Unreachable(CallError::ResponseTooLarge));
    for huge in [
        changed(&hs, "pad", json!("x".repeat(50 * 1024))),
        Behaviour::Endless,
    ] {
        hs.behave(SERVER_KEYS, huge);
        id.advance(RETRY_AFTER_MS);
        assert_eq!(key(&id, &hs, "ed25519:hs").await, too_long);
    }
}

/// NET-18, NET-19
#[actix_web::test]
async fn old_and_malformed_keys_are_skipped() {
    let hs = Homeserver::start();
    let id = reaching(&hs);
    let (_, public) = hs.key();
    let mut keys = hs.unsigned_keys();
    keys["old_verify_keys"] = json!({"ed25519:old": {"key": public.to_base64(), "expired_ts": 1}});
    keys["verify_keys"]["ed25519:number"] = json!({"key": 7});
    keys["verify_keys"]["rsa:a"] = json!({"key": public.to_base64()});
    keys["verify_keys"]["nonsense"] = json!(null);
    hs.behave(SERVER_KEYS, Behaviour::json(200, &hs.signed(keys)));
    assert_eq!(key(&id, &hs, "ed25519:hs").await, Ok(Some(public)));
    assert_eq!(key(&id, &hs, "ed25519:old").await, Ok(None));
    assert_eq!(key(&id, &hs, "ed25519:number").await, Ok(None));
}

/// NET-18, OPS-05
#[actix_web::test]
async fn keys_are_cached_for_a_week_at_most() {
    let hs = Homeserver::start();
    let id = TestServer::start_with_clock(|settings| hs.configure(settings));
    for (valid_for, remembered_for) in [(1000 * DAY, 7 * DAY), (DAY, DAY)] {
        let until = json!(id.now() + valid_for);
        hs.behave(SERVER_KEYS, changed(&hs, "valid_until_ts", until));
        let before = hs.requests().len();
        for (advance, calls) in [(0, 1), (remembered_for - 1, 1), (1, 2)] {
            id.advance(advance);
            let _ = key(&id, &hs, "ed25519:hs").await;
            assert_eq!(hs.requests().len() - before, calls);
        }
        id.advance(8 * DAY);
    }
}

/// NET-20
#[actix_web::test]
async fn unknown_key_ids_cost_one_call_a_minute() {
    let hs = Homeserver::start();
    let id = TestServer::start_with_clock(|settings| hs.configure(settings));
    assert_eq!(key(&id, &hs, "ed25519:hs").await, Ok(Some(hs.key().1)));
    hs.rotate_key("ed25519:new", 9);
    for n in 0..20 {
        assert_eq!(key(&id, &hs, &format!("ed25519:{n}")).await, Ok(None));
    }
    assert_eq!(hs.requests().len(), 1);
    id.advance(60_000);
    assert_eq!(key(&id, &hs, "ed25519:new").await, Ok(Some(hs.key().1)));
    assert_eq!(hs.requests().len(), 2);
    assert_eq!(
        key(&id, &hs, "ed25519:hs").await,
        Ok(None),
        "it is no longer published"
    );
    assert_eq!(hs.requests().len(), 2);
}

/// NET-20
#[actix_web::test]
async fn failing_homeserver_costs_one_call_a_minute() {
    let hs = Homeserver::start();
    let id = TestServer::start_with_clock(|settings| hs.configure(settings));
    for (calls, bad) in [(1, Behaviour::HangUp), (2, Behaviour::text(404, "no"))] {
        hs.behave(SERVER_KEYS, bad);
        for n in 0..5 {
            let found = key(&id, &hs, &format!("ed25519:{n}")).await;
            assert!(found.is_err(), "{found:?}");
        }
        assert_eq!(hs.requests_to(SERVER_KEYS).len(), calls);
        id.advance(RETRY_AFTER_MS);
    }
    hs.behave_normally(SERVER_KEYS);
    assert_eq!(key(&id, &hs, "ed25519:hs").await, Ok(Some(hs.key().1)));
}
