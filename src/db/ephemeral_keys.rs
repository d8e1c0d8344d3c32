//! The public halves of the keys that were handed out with invites.

use diesel::prelude::*;

use super::schema::ephemeral_keys;
use super::{Conn, DbError};

/// Whether that key was handed out; `public_key` is unpadded standard base64.
///
/// # Errors
/// When the database does not answer.
pub fn exists(connection: &mut Conn, public_key: &str) -> Result<bool, DbError> {
    let found: Option<i64> = ephemeral_keys::table
        .find(public_key)
        .select(ephemeral_keys::created_at)
        .first(connection)
        .optional()?;
    Ok(found.is_some())
}
