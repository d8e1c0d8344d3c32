//! Verification and caching of the keys that homeservers publish.

use awc::http::header::HeaderMap;
use serde_json::json;

use super::*;
use crate::domain::signing::KeyPair;

const NOW: i64 = 1_800_000_000_000;
const DAY: i64 = 24 * 60 * 60 * 1000;

fn server() -> ServerName {
    ServerName::parse("hs.example").unwrap()
}

fn id(text: &str) -> KeyId {
    KeyId::parse(text).unwrap()
}

fn pair() -> KeyPair {
    KeyPair::from_seed(id("ed25519:a"), &[7; 32])
}

fn key_entry(key: &[u8]) -> Value {
    json!({"key": base64::encode(key)})
}

/// The keys of a server as it publishes them.
fn published() -> Value {
    json!({
        "server_name": "hs.example",
        "valid_until_ts": NOW + DAY,
        "verify_keys": {"ed25519:a": key_entry(pair().public().as_bytes())},
        "old_verify_keys": {"ed25519:old": {"key": base64::encode(&[1; 32]), "expired_ts": 1}},
    })
}

fn signed(mut value: Value) -> String {
    let object = value.as_object_mut().unwrap();
    // An object without a canonical form stays unsigned.
    let _ = pair().sign(&server(), object);
    value.to_string()
}

fn parse_body(body: &str) -> Result<ServerKeys, KeyError> {
    let response = Response {
        status: 200,
        headers: HeaderMap::new(),
        body: body.as_bytes().to_vec(),
    };
    parse(&server(), &response, NOW)
}

/// Parses a valid response after a change, signed again.
fn changed(field: &str, value: Value) -> Result<ServerKeys, KeyError> {
    let mut published = published();
    published[field] = value;
    parse_body(&signed(published))
}

/// NET-18
#[test]
fn valid_response_is_trusted_until_it_expires() {
    let keys = parse_body(&signed(published())).unwrap();
    assert_eq!(keys.get(&id("ed25519:a")), Some(pair().public()));
    assert_eq!(keys.valid_until, NOW + DAY);
    let long = changed("valid_until_ts", json!(NOW + 100 * DAY)).unwrap();
    assert_eq!(long.valid_until, NOW + 7 * DAY);
}

/// NET-18
#[test]
fn retired_keys_are_ignored() {
    let keys = parse_body(&signed(published())).unwrap();
    assert_eq!(keys.get(&id("ed25519:old")), None);
}

/// NET-18, SEC-11
#[test]
fn invalid_key_responses_are_rejected() {
    for (field, value) in [
        ("server_name", json!("other.example")),
        ("server_name", json!("HS.example")),
        ("server_name", json!(null)),
        ("valid_until_ts", json!(NOW)),
        ("valid_until_ts", json!(NOW - DAY)),
        ("valid_until_ts", json!("1900000000000")),
        ("valid_until_ts", json!(1.9e12)),
        ("valid_until_ts", json!(null)),
        ("valid_until_ts", json!(u64::MAX)),
        ("valid_until_ts", json!(1e300)),
        ("verify_keys", json!([])),
        ("verify_keys", json!({})),
        ("verify_keys", json!(null)),
        ("verify_keys", json!({"ed25519:a": {"key": 7}})),
        ("verify_keys", json!({"ed25519:a": "key"})),
        ("verify_keys", json!({"ed25519:a": key_entry(&[1; 32])})),
    ] {
        assert!(changed(field, value.clone()).is_err(), "{field}: {value}");
    }
    let unsigned = published().to_string();
    assert!(parse_body(&unsigned).is_err());
    let tampered = signed(published()).replace("expired_ts\":1", "expired_ts\":2");
    assert!(parse_body(&tampered).is_err());
    for text in ["", "[]", "null", "{", "{}"] {
        assert!(parse_body(text).is_err(), "{text}");
    }
}

/// NET-19
#[test]
fn malformed_keys_are_skipped() {
    let keys = json!({
        "ed25519:a": key_entry(pair().public().as_bytes()),
        "ed25519:number": {"key": 7},
        "ed25519:text": "key",
        "ed25519:none": {},
        "ed25519:short": key_entry(&[1; 31]),
        "ed25519:odd": {"key": "!"},
        "curve25519:b": key_entry(&[2; 32]),
        "ed25519:": key_entry(&[3; 32]),
        "nonsense": null,
    });
    let keys = changed("verify_keys", keys).unwrap();
    assert_eq!(keys.keys.len(), 1, "{:?}", keys.keys.keys());
}

/// SEC-25
#[test]
fn too_many_keys_are_rejected() {
    let with = |count: usize| {
        let mut keys = Map::new();
        keys.insert(
            "ed25519:a".to_owned(),
            key_entry(pair().public().as_bytes()),
        );
        for n in 1..count {
            keys.insert(format!("ed25519:{n}"), key_entry(&[1; 32]));
        }
        changed("verify_keys", Value::Object(keys))
    };
    assert!(with(MAX_KEYS).is_ok());
    assert!(with(MAX_KEYS + 1).is_err());
}

/// NET-20
#[test]
fn unknown_key_id_is_refetched_after_a_delay() {
    let mut cache = KeyCache::new();
    let (a, b) = (id("ed25519:a"), id("ed25519:b"));
    assert_eq!(cache.get(&server(), &a, NOW), CachedKey::Unknown);
    let keys = parse_body(&signed(published())).unwrap();
    cache.insert(&server(), keys, NOW);
    let found = CachedKey::Found(Some(pair().public()));
    assert_eq!(cache.get(&server(), &a, NOW), found);
    assert_eq!(cache.get(&server(), &b, NOW), CachedKey::Found(None));
    let later = NOW + RETRY_AFTER_MS;
    assert_eq!(cache.get(&server(), &b, later - 1), CachedKey::Found(None));
    assert_eq!(cache.get(&server(), &b, later), CachedKey::Unknown);
    assert_eq!(cache.get(&server(), &a, later), found);
    assert_eq!(cache.get(&server(), &a, NOW + DAY), CachedKey::Unknown);
}

/// NET-20
#[test]
fn failure_is_cached_and_keeps_known_keys() {
    let mut cache = KeyCache::new();
    let (a, b) = (id("ed25519:a"), id("ed25519:b"));
    let timeout = KeyError::Unreachable(CallError::TimedOut);
    cache.insert_failure(&server(), timeout.clone(), NOW);
    let later = NOW + RETRY_AFTER_MS;
    let failed = CachedKey::Failed(timeout.clone());
    assert_eq!(cache.get(&server(), &a, later - 1), failed);
    assert_eq!(cache.get(&server(), &a, later), CachedKey::Unknown);
    cache.insert(&server(), parse_body(&signed(published())).unwrap(), later);
    let much_later = later + RETRY_AFTER_MS;
    assert_eq!(cache.get(&server(), &b, much_later), CachedKey::Unknown);
    cache.insert_failure(&server(), timeout, much_later);
    assert_eq!(cache.get(&server(), &b, much_later), failed);
    let found = CachedKey::Found(Some(pair().public()));
    assert_eq!(cache.get(&server(), &a, much_later), found);
}
