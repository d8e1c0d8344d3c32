//! The signing keys of homeservers: `GET /_matrix/key/v2/server` (Server-Server
//! API, "Retrieving server keys"), verification, and a cache.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::cache::Cache;
use crate::domain::ids::{KeyId, ServerName};
use crate::domain::public_key::PublicKey;
use crate::domain::{base64, signing};
use crate::outgoing::{CallError, Response};

/// The path of the keys, without a key id and a trailing slash (NET-17).
pub(super) const PATH: &str = "/_matrix/key/v2/server";
/// The largest response that is accepted, in bytes (NET-15).
pub(super) const MAX_RESPONSE: usize = 50 * 1024;

/// The maximum number of servers in the cache.
const MAX_SERVERS: usize = 1000;
/// The maximum number of keys of a server, since each may have to be tried. A server
/// needs one key, or two during a key change.
const MAX_KEYS: usize = 16;
/// The maximum validity of a key, whatever `valid_until_ts` is (NET-18).
const MAX_VALIDITY_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// The minimum time between two requests to a server, after a failure or for an
/// unknown key id: clients could invent any number of ids (NET-20).
const RETRY_AFTER_MS: i64 = 60 * 1000;

/// Why the keys of a homeserver are not available.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The request failed.
    #[error("fetching the keys failed: {0}")]
    Unreachable(#[from] CallError),
    /// The response is invalid.
    #[error("invalid response to the request for keys: {0}")]
    InvalidResponse(&'static str),
}

/// The current signing keys of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerKeys {
    keys: HashMap<KeyId, PublicKey>,
    valid_until: i64,
    fetched_at: i64,
}

/// The keys of servers, and recent failures to fetch them.
#[derive(Debug)]
pub(super) struct KeyCache {
    keys: Cache<ServerName, ServerKeys>,
    // Separate, because keys stay valid while their server is unreachable.
    failures: Cache<ServerName, KeyError>,
}

/// The content of the cache for a key id.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CachedKey {
    /// The key; `None` if the server has no such key.
    Found(Option<PublicKey>),
    /// Fetching the keys failed recently.
    Failed(KeyError),
    /// The keys must be fetched.
    Unknown,
}

impl KeyCache {
    pub(super) fn new() -> Self {
        Self {
            keys: Cache::new(MAX_SERVERS),
            failures: Cache::new(MAX_SERVERS),
        }
    }

    pub(super) fn get(&self, server: &ServerName, id: &KeyId, now: i64) -> CachedKey {
        let keys = self.keys.get(server, now);
        if let Some(key) = keys.and_then(|keys| keys.get(id)) {
            return CachedKey::Found(Some(key));
        }
        if let Some(failure) = self.failures.get(server, now) {
            return CachedKey::Failed(failure.clone());
        }
        match keys {
            Some(keys) if now < keys.fetched_at.saturating_add(RETRY_AFTER_MS) => {
                CachedKey::Found(None)
            }
            _ => CachedKey::Unknown,
        }
    }

    pub(super) fn insert_failure(&mut self, server: &ServerName, failure: KeyError, now: i64) {
        let expires_at = now.saturating_add(RETRY_AFTER_MS);
        self.failures
            .insert(server.clone(), failure, expires_at, now);
    }

    pub(super) fn insert(&mut self, server: &ServerName, keys: ServerKeys, now: i64) {
        let expires_at = keys.valid_until;
        self.keys.insert(server.clone(), keys, expires_at, now);
    }
}

impl ServerKeys {
    pub(super) fn get(&self, id: &KeyId) -> Option<PublicKey> {
        self.keys.get(id).copied()
    }
}

/// Parses and verifies a response of `server` (NET-18, NET-19). Retired keys
/// (`old_verify_keys`) are ignored, because they do not sign requests.
pub(super) fn parse(
    server: &ServerName,
    response: &Response,
    now: i64,
) -> Result<ServerKeys, KeyError> {
    if response.status != 200 {
        return Err(KeyError::InvalidResponse("the status is not 200"));
    }
    let Ok(Value::Object(object)) = serde_json::from_slice(&response.body) else {
        return Err(KeyError::InvalidResponse("the body is not a JSON object"));
    };
    verify(server, &object, now).map_err(KeyError::InvalidResponse)
}

fn verify(
    server: &ServerName,
    object: &Map<String, Value>,
    now: i64,
) -> Result<ServerKeys, &'static str> {
    if object.get("server_name").and_then(Value::as_str) != Some(server.as_str()) {
        return Err("server_name is not the name of the homeserver");
    }
    let valid_until = object
        .get("valid_until_ts")
        .and_then(Value::as_i64)
        .ok_or("valid_until_ts is not an integer")?;
    if valid_until <= now {
        return Err("valid_until_ts has passed");
    }
    let keys: HashMap<KeyId, PublicKey> = object
        .get("verify_keys")
        .and_then(Value::as_object)
        .ok_or("verify_keys is not an object")?
        .iter()
        .filter_map(|(id, entry)| {
            let key = base64::decode(entry.get("key")?.as_str()?)?
                .try_into()
                .ok()?;
            Some((KeyId::parse(id).ok()?, PublicKey::from_bytes(key)))
        })
        .collect();
    if keys.len() > MAX_KEYS {
        return Err("verify_keys has too many keys");
    }
    if !is_signed(server, object, &keys) {
        return Err("no valid signature by one of its keys");
    }
    Ok(ServerKeys {
        keys,
        valid_until: valid_until.min(now.saturating_add(MAX_VALIDITY_MS)),
        fetched_at: now,
    })
}

/// Whether one of the keys has signed the object. The signed text may be large, so
/// it is encoded once for all keys.
fn is_signed(
    server: &ServerName,
    object: &Map<String, Value>,
    keys: &HashMap<KeyId, PublicKey>,
) -> bool {
    let Some(signatures) = object
        .get("signatures")
        .and_then(|by_server| by_server.get(server.as_str()))
    else {
        return false;
    };
    signing::signed_text(object).is_ok_and(|text| {
        keys.iter().any(|(id, key)| {
            signatures
                .get(id.as_str())
                .and_then(Value::as_str)
                .is_some_and(|signature| signing::verify_text(&text, signature, key))
        })
    })
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
