//! Whether a database belongs to the server that opens it: by the stored name, and by
//! the signatures of its associations.

use std::collections::BTreeSet;

use diesel::prelude::*;
use serde_json::{Map, Value};

use super::contents::Contents;
use crate::db::schema::associations::dsl as associations;
use crate::db::schema::invites::dsl as invites;
use crate::db::{Conn, DbError, own_associations, server_identity};
use crate::domain::ids::{KeyId, ServerName};
use crate::domain::signing::{KeyRing, verify};

/// The server that opens a database.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// Its name, which its associations are signed with.
    pub name: &'a ServerName,
    /// Its keys.
    pub keys: &'a KeyRing,
}

/// How many associations are looked at, of the oldest and of the newest each.
const SAMPLE: i64 = 200;

/// `Ok` with warnings if the database belongs to the server, `Err` with the reason and
/// what to do if it does not.
pub(super) type Verdict = Result<Vec<String>, String>;

pub(super) fn check(
    connection: &mut Conn,
    contents: &Contents,
    owner: Owner<'_>,
) -> Result<Verdict, DbError> {
    if let Some(former) = other_name(connection, contents, owner.name)? {
        let name = owner.name;
        return Ok(Err(format!(
            "it belongs to the server {former}, but server.name is {name}; set server.name = \
             {former:?}. To rename the server for good, stop it and run `sydent database sign \
             --former-name {former}`"
        )));
    }
    check_keys(connection, contents, owner)
}

/// The name of the server that the database belongs to, if it is another one.
fn other_name(
    connection: &mut Conn,
    contents: &Contents,
    name: &ServerName,
) -> Result<Option<String>, DbError> {
    if contents.tables.contains("server_identity")
        && let Some(stored) = server_identity::name(connection)?
    {
        return Ok((stored != name.as_str()).then_some(stored));
    }
    // Earlier versions did not store it: the associations tell.
    if contents.tables.contains("association_journal") {
        return own_associations::other_origin(connection, name.as_str());
    }
    // Without a journal there are no peers.
    let origins: Vec<String> = associations::associations
        .select(associations::origin)
        .distinct()
        .load(connection)?;
    let is_ours = origins.iter().any(|origin| origin == name.as_str());
    Ok(origins.into_iter().next().filter(|_| !is_ours))
}

/// Refuses keys of which none has signed any of the associations. Associations of a key
/// that is no longer in the file cause a warning.
fn check_keys(
    connection: &mut Conn,
    contents: &Contents,
    owner: Owner<'_>,
) -> Result<Verdict, DbError> {
    let (mut is_ours, mut others) = (false, BTreeSet::new());
    for signed in sample(connection, contents, owner.name)? {
        let Ok(object) = serde_json::from_str::<Map<String, Value>>(&signed) else {
            continue;
        };
        for id in signers(&object, owner.name) {
            match owner.keys.by_id(&id) {
                Some(_) if is_ours => {}
                Some(key) if verify(&object, owner.name.as_str(), &id, &key.public()) => {
                    is_ours = true;
                }
                _ => {
                    others.insert(id.to_string());
                }
            }
        }
    }
    if !is_ours && others.is_empty() {
        others = advertised(connection, contents, owner.keys)?;
    }
    if others.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    let others: Vec<String> = others.into_iter().collect();
    let others = others.join(", ");
    if is_ours {
        return Ok(Ok(vec![format!(
            "some associations have signatures of a key that is not in \
             server.signing_key_file: {others}. They cannot be verified until its line is added \
             below the active key, or `sydent database sign` signs them again"
        )]));
    }
    Ok(Err(wrong_key(&others, owner.keys)))
}

fn wrong_key(others: &str, keys: &KeyRing) -> String {
    let ours: Vec<String> = keys
        .public_keys()
        .iter()
        .map(|(id, _)| id.to_string())
        .collect();
    let same_id = ours.iter().any(|id| others == id);
    let which = if same_id {
        "another key of that ID"
    } else {
        &ours.join(", ")
    };
    format!(
        "server.signing_key_file is not the key file that it was used with: its signatures are of \
         the key {others}, and the file has {which}; add the line of the key {others} to the file, \
         below the active key if you are changing the key. If that key is lost or must not be used \
         any more, stop the server and run `sydent database sign`"
    )
}

/// The oldest and the newest associations that the server has signed, as JSON.
fn sample(
    connection: &mut Conn,
    contents: &Contents,
    name: &ServerName,
) -> Result<Vec<String>, DbError> {
    let own = associations::associations
        .filter(associations::origin.eq(name.as_str()))
        .select(associations::signed)
        .limit(SAMPLE);
    let has_numbers = contents.tables.contains("association_journal");
    let (mut signed, oldest): (Vec<String>, Vec<String>) = match connection {
        // All own ones have the same number. It is named, so that SQLite takes the order
        // of the index for origin and number, and does not sort all of them by id.
        Conn::Sqlite(sqlite) if has_numbers => (
            own.order((associations::number.desc(), associations::id.desc()))
                .load(sqlite)?,
            own.order((associations::number.asc(), associations::id.asc()))
                .load(sqlite)?,
        ),
        _ => (
            own.order(associations::id.desc()).load(connection)?,
            own.order(associations::id.asc()).load(connection)?,
        ),
    };
    signed.extend(oldest);
    Ok(signed)
}

/// The ids of the keys that the server has signed an object with.
fn signers(object: &Map<String, Value>, name: &ServerName) -> Vec<KeyId> {
    let by_key = object
        .get("signatures")
        .and_then(|by_server| by_server.get(name.as_str()))
        .and_then(Value::as_object);
    let ids = by_key.into_iter().flat_map(Map::keys);
    ids.filter_map(|id| KeyId::parse(id).ok()).collect()
}

/// The keys that pending invitations were advertised with, unless one of them is in the
/// file. Nothing else says whose key file it is before the first binding.
fn advertised(
    connection: &mut Conn,
    contents: &Contents,
    keys: &KeyRing,
) -> Result<BTreeSet<String>, DbError> {
    if !contents.tables.contains("invites") {
        return Ok(BTreeSet::new());
    }
    let ids: Vec<String> = invites::invites
        .filter(invites::delivered_at.is_null())
        .select(invites::key_id)
        .distinct()
        .load(connection)?;
    let is_known = |id: &String| KeyId::parse(id).is_ok_and(|id| keys.by_id(&id).is_some());
    if ids.iter().any(is_known) {
        return Ok(BTreeSet::new());
    }
    Ok(ids.into_iter().collect())
}
