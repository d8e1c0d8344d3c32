//! Invitations of addresses to rooms.

use diesel::prelude::*;

use super::schema::{ephemeral_keys, invites, invites::dsl};
use super::{Conn, DbError};

/// Whether there is an invite with that token.
///
/// # Errors
/// When the database does not answer.
pub fn exists(connection: &mut Conn, token: &str) -> Result<bool, DbError> {
    let found: Option<i64> = dsl::invites
        .filter(dsl::token.eq(token))
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
