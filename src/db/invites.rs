//! Pending and delivered invites of 3PIDs to rooms.

use std::fmt;

use diesel::prelude::*;

use super::on_backend::OnBackend as _;
use super::schema::{ephemeral_keys, invites, invites::dsl};
use super::{Conn, DbError};
use crate::domain::ids::{KeyId, Mxid};
use crate::domain::invite::RoomId;
use crate::domain::secret::InviteToken;
use crate::domain::threepid::ThreePid;

/// An invite to store.
#[derive(Debug)]
pub struct Invite<'a> {
    /// Identifies the invite in the room; unguessable.
    pub token: &'a InviteToken,
    /// The 3PID that is invited.
    pub threepid: &'a ThreePid,
    /// The room.
    pub room_id: &'a RoomId,
    /// The user who invites.
    pub sender: &'a Mxid,
    /// The ID of the long-term key that was returned with it.
    pub key_id: &'a KeyId,
    /// The ephemeral public key that was generated for it, in unpadded standard
    /// base64.
    pub ephemeral_key: &'a str,
    /// Now, ms.
    pub created_at: i64,
}

/// An invite that was not delivered to a homeserver yet.
#[derive(Clone, PartialEq, Eq, Queryable)]
pub struct Pending {
    /// The row id.
    pub id: i64,
    /// Identifies the invite in the room.
    pub token: String,
    /// The room.
    pub room_id: String,
    /// The user who invites.
    pub sender: String,
    /// The ID of the long-term key that was returned with it.
    pub key_id: String,
}

// Not derived, because anyone who has the token can have it signed.
impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Stores an invite, and its ephemeral public key, which is valid from now on
/// (PUB-08).
pub fn insert(connection: &mut Conn, invite: &Invite<'_>) -> Result<(), DbError> {
    diesel::insert_into(ephemeral_keys::table)
        .values((
            ephemeral_keys::public_key.eq(invite.ephemeral_key),
            ephemeral_keys::created_at.eq(invite.created_at),
        ))
        .execute_on(connection)?;
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
        .execute_on(connection)?;
    Ok(())
}

/// The sender of the invite with that token.
pub fn sender(connection: &mut Conn, token: &InviteToken) -> Result<Option<String>, DbError> {
    Ok(dsl::invites
        .filter(dsl::token.eq(token.expose()))
        .select(dsl::sender)
        .first_on(connection)
        .optional()?)
}

/// The undelivered invites of a 3PID, oldest first.
pub fn pending(connection: &mut Conn, threepid: &ThreePid) -> Result<Vec<Pending>, DbError> {
    Ok(dsl::invites
        .filter(dsl::address.eq(threepid.address()))
        .filter(dsl::medium.eq(threepid.medium().as_str()))
        .filter(dsl::delivered_at.is_null())
        .order(dsl::id.asc())
        .select((dsl::id, dsl::token, dsl::room_id, dsl::sender, dsl::key_id))
        .load_on(connection)?)
}

/// Marks at most 30,000 invites as delivered to a homeserver.
pub fn mark_delivered(connection: &mut Conn, ids: &[i64], now: i64) -> Result<(), DbError> {
    diesel::update(dsl::invites.filter(dsl::id.eq_any(ids)))
        .set(dsl::delivered_at.eq(now))
        .execute_on(connection)?;
    Ok(())
}

/// Deletes at most 30,000 delivered invites. Their ephemeral keys stay valid,
/// because a homeserver may check them long after the delivery (PUB-09).
pub fn remove(connection: &mut Conn, ids: &[i64]) -> Result<(), DbError> {
    diesel::delete(dsl::invites.filter(dsl::id.eq_any(ids))).execute_on(connection)?;
    Ok(())
}

/// Whether there is an invite with that token.
pub fn exists(connection: &mut Conn, token: &InviteToken) -> Result<bool, DbError> {
    let id: Option<i64> = dsl::invites
        .filter(dsl::token.eq(token.expose()))
        .select(dsl::id)
        .first_on(connection)
        .optional()?;
    Ok(id.is_some())
}

/// Deletes an invite and the ephemeral key that was generated for it.
pub fn withdraw(connection: &mut Conn, token: &str) -> Result<(), DbError> {
    let key: Option<String> = dsl::invites
        .filter(dsl::token.eq(token))
        .select(dsl::ephemeral_key)
        .first_on(connection)
        .optional()?;
    if let Some(key) = key {
        diesel::delete(ephemeral_keys::table.find(key)).execute_on(connection)?;
        diesel::delete(invites::table.filter(dsl::token.eq(token))).execute_on(connection)?;
    }
    Ok(())
}
