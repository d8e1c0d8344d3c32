//! Invitations of addresses to rooms.

use std::fmt;

use diesel::prelude::*;

use super::schema::{ephemeral_keys, invites, invites::dsl};
use super::{Conn, DbError};
use crate::domain::ids::{KeyId, Mxid};
use crate::domain::invite::RoomId;
use crate::domain::secret::InviteToken;
use crate::domain::threepid::ThreePid;

/// An invite that is stored.
#[derive(Debug)]
pub struct Invite<'a> {
    /// Names it in the room; unguessable.
    pub token: &'a InviteToken,
    /// Who is invited.
    pub threepid: &'a ThreePid,
    /// Where to.
    pub room_id: &'a RoomId,
    /// By whom.
    pub sender: &'a Mxid,
    /// The long-term key that was advertised with it.
    pub key_id: &'a KeyId,
    /// The public half of the key that was made for it, in unpadded standard
    /// base64.
    pub ephemeral_key: &'a str,
    /// Now, ms.
    pub created_at: i64,
}

/// An invite that no homeserver has taken yet.
#[derive(Clone, PartialEq, Eq, Queryable)]
pub struct Pending {
    /// Its row.
    pub id: i64,
    /// Names it in the room.
    pub token: String,
    /// Where to.
    pub room_id: String,
    /// By whom.
    pub sender: String,
    /// The long-term key that was advertised with it.
    pub key_id: String,
}

// Written by hand: who has the token can have it signed.
impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Stores an invite, and the public half of its key as one that is valid
/// (PUB-08).
///
/// # Errors
/// When the database does not answer.
pub fn insert(connection: &mut Conn, invite: &Invite<'_>) -> Result<(), DbError> {
    diesel::insert_into(ephemeral_keys::table)
        .values((
            ephemeral_keys::public_key.eq(invite.ephemeral_key),
            ephemeral_keys::created_at.eq(invite.created_at),
        ))
        .execute(connection)?;
    diesel::insert_into(dsl::invites)
        .values((
            dsl::token.eq(invite.token.expose()),
            dsl::medium.eq(invite.threepid.medium().as_str()),
            dsl::address.eq(invite.threepid.address()),
            dsl::room_id.eq(invite.room_id.as_str()),
            dsl::sender.eq(invite.sender.as_str()),
            dsl::key_id.eq(invite.key_id.as_str()),
            dsl::ephemeral_key.eq(invite.ephemeral_key),
            dsl::created_at.eq(invite.created_at),
        ))
        .execute(connection)?;
    Ok(())
}

/// Who sent the invite with that token.
///
/// # Errors
/// When the database does not answer.
pub fn sender(connection: &mut Conn, token: &InviteToken) -> Result<Option<String>, DbError> {
    Ok(dsl::invites
        .filter(dsl::token.eq(token.expose()))
        .select(dsl::sender)
        .first(connection)
        .optional()?)
}

/// The invites of a 3PID that no homeserver has taken, the oldest first.
///
/// # Errors
/// When the database does not answer.
pub fn pending(connection: &mut Conn, threepid: &ThreePid) -> Result<Vec<Pending>, DbError> {
    Ok(dsl::invites
        .filter(dsl::address.eq(threepid.address()))
        .filter(dsl::medium.eq(threepid.medium().as_str()))
        .filter(dsl::delivered_at.is_null())
        .order(dsl::id.asc())
        .select((dsl::id, dsl::token, dsl::room_id, dsl::sender, dsl::key_id))
        .load(connection)?)
}

/// Notes that a homeserver has taken these invites, at most 30,000.
///
/// # Errors
/// When the database does not answer.
pub fn mark_delivered(connection: &mut Conn, ids: &[i64], now: i64) -> Result<(), DbError> {
    diesel::update(dsl::invites.filter(dsl::id.eq_any(ids)))
        .set(dsl::delivered_at.eq(now))
        .execute(connection)?;
    Ok(())
}

/// Removes invites that a homeserver has taken, at most 30,000; their keys stay
/// valid, since rooms are checked late (PUB-09).
///
/// # Errors
/// When the database does not answer.
pub fn remove(connection: &mut Conn, ids: &[i64]) -> Result<(), DbError> {
    diesel::delete(dsl::invites.filter(dsl::id.eq_any(ids))).execute(connection)?;
    Ok(())
}

/// Whether there is an invite with that token.
///
/// # Errors
/// When the database does not answer.
pub fn exists(connection: &mut Conn, token: &InviteToken) -> Result<bool, DbError> {
    let found: Option<i64> = dsl::invites
        .filter(dsl::token.eq(token.expose()))
        .select(dsl::id)
        .first(connection)
        .optional()?;
    Ok(found.is_some())
}

/// Takes an invite back, and the key that was made for it, as if they had never
/// been.
///
/// # Errors
/// When the database does not answer.
pub fn withdraw(connection: &mut Conn, token: &str) -> Result<(), DbError> {
    let key: Option<String> = dsl::invites
        .filter(dsl::token.eq(token))
        .select(dsl::ephemeral_key)
        .first(connection)
        .optional()?;
    if let Some(key) = key {
        diesel::delete(ephemeral_keys::table.find(key)).execute(connection)?;
        diesel::delete(invites::table.filter(dsl::token.eq(token))).execute(connection)?;
    }
    Ok(())
}
