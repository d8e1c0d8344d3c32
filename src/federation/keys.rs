//! The signing keys of homeservers (Server-Server API, "Retrieving server
//! keys"): `GET /_matrix/key/v2/server`, checked, and remembered.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::CallError;
use super::cache::Cache;
use super::exchange::Answer;
use crate::domain::ids::{KeyId, ServerName};
use crate::domain::{base64, canonical_json, signing};

/// Where they are published: without a key id and a slash (NET-17).
pub(super) const PATH: &str = "/_matrix/key/v2/server";
/// The largest answer that is read, in bytes (NET-15).
pub(super) const LIMIT: usize = 50 * 1024;

/// Servers whose keys are remembered.
const MOST_SERVERS: usize = 1000;
/// More keys than a server needs that signs with one and brings in another.
/// Each of them may have to be tried.
const MOST_KEYS: usize = 16;
/// No key is believed for longer, whatever it says itself (NET-18).
const LONGEST_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// A server that has been asked is not asked again for so long, because of a key
/// id that it did not have, since ids can be made up, nor because it failed
/// (NET-20).
const ASK_AGAIN_AFTER_MS: i64 = 60 * 1000;

/// Why there are no keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The homeserver could not be asked.
    #[error("the homeserver could not be asked for its keys: {0}")]
    Unreachable(#[from] CallError),
    /// The homeserver's answer cannot be believed.
    #[error("the homeserver's keys cannot be believed: {0}")]
    BadAnswer(&'static str),
}

/// The keys that one server signs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerKeys {
    keys: HashMap<KeyId, [u8; 32]>,
    valid_until: i64,
    asked_at: i64,
}

/// The keys of servers that were asked, and which of them failed of late.
#[derive(Debug)]
pub(super) struct KnownKeys {
    keys: Cache<ServerName, ServerKeys>,
    // Apart from the keys, which stay good while their server is away.
    failures: Cache<ServerName, KeyError>,
}

/// What is known without asking.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// The key, or that the server has no such key.
    Answer(Option<[u8; 32]>),
    /// It was asked a moment ago, and failed.
    Failure(KeyError),
    /// It must be asked.
    Operation,
}

impl KnownKeys {
    pub(super) fn new() -> Self {
        Self {
            keys: Cache::new(MOST_SERVERS),
            failures: Cache::new(MOST_SERVERS),
        }
    }

    pub(super) fn find(&self, server: &ServerName, id: &KeyId, now: i64) -> Known {
        let found = self.keys.get(server, now);
        if let Some(key) = found.and_then(|keys| keys.key(id)) {
            return Known::Answer(Some(key));
        }
        if let Some(failure) = self.failures.get(server, now) {
            return Known::Failure(failure.clone());
        }
        match found {
            Some(keys) if now < keys.asked_at.saturating_add(ASK_AGAIN_AFTER_MS) => {
                Known::Answer(None)
            }
            _ => Known::Operation,
        }
    }

    pub(super) fn remember_failure(&mut self, server: &ServerName, failure: KeyError, now: i64) {
        let until = now.saturating_add(ASK_AGAIN_AFTER_MS);
        self.failures.put(server.clone(), failure, until, now);
    }

    pub(super) fn remember(&mut self, server: &ServerName, keys: ServerKeys, now: i64) {
        let until = keys.valid_until;
        self.keys.put(server.clone(), keys, until, now);
    }
}

impl ServerKeys {
    pub(super) fn key(&self, id: &KeyId) -> Option<[u8; 32]> {
        self.keys.get(id).copied()
    }
}

/// Checks an answer of `server` (NET-18, NET-19). Keys that are retired
/// (`old_verify_keys`) do not sign requests, and are passed over.
pub(super) fn read(server: &ServerName, answer: &Answer, now: i64) -> Result<ServerKeys, KeyError> {
    if answer.status != 200 {
        return Err(KeyError::BadAnswer("its status is not 200"));
    }
    let Ok(Value::Object(object)) = serde_json::from_slice(&answer.body) else {
        return Err(KeyError::BadAnswer("it is not a JSON object"));
    };
    check(server, &object, now).map_err(KeyError::BadAnswer)
}

fn check(
    server: &ServerName,
    object: &Map<String, Value>,
    now: i64,
) -> Result<ServerKeys, &'static str> {
    if object.get("server_name").and_then(Value::as_str) != Some(server.as_str()) {
        return Err("server_name is not the name of the server that was asked");
    }
    let valid_until = object.get("valid_until_ts").and_then(Value::as_i64);
    let valid_until = valid_until.ok_or("valid_until_ts is not a whole number")?;
    if valid_until <= now {
        return Err("valid_until_ts has passed");
    }
    let written = object.get("verify_keys").and_then(Value::as_object);
    let written = written.ok_or("verify_keys is not an object")?;
    let keys: HashMap<KeyId, [u8; 32]> = written
        .iter()
        .filter_map(|(id, entry)| {
            let key = base64::decode(entry.get("key")?.as_str()?)?;
            Some((KeyId::parse(id).ok()?, key.try_into().ok()?))
        })
        .collect();
    if keys.len() > MOST_KEYS {
        return Err("it has more keys than a server needs");
    }
    if !is_signed(server, object, &keys) {
        return Err("none of its keys has signed it");
    }
    Ok(ServerKeys {
        keys,
        valid_until: valid_until.min(now.saturating_add(LONGEST_MS)),
        asked_at: now,
    })
}

/// Whether one of the keys has signed the object. What is signed is the same for
/// all of them, and large enough to be made once.
fn is_signed(
    server: &ServerName,
    object: &Map<String, Value>,
    keys: &HashMap<KeyId, [u8; 32]>,
) -> bool {
    let signatures = object
        .get("signatures")
        .and_then(|all| all.get(server.as_str()));
    let Some(signatures) = signatures else {
        return false;
    };
    let mut bare = object.clone();
    bare.remove("signatures");
    bare.remove("unsigned");
    canonical_json::encode_object(&bare).is_ok_and(|text| {
        keys.iter().any(|(id, key)| {
            let signature = signatures.get(id.as_str()).and_then(Value::as_str);
            signature.is_some_and(|signature| signing::verify_text(&text, signature, key))
        })
    })
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
