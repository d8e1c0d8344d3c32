//! The public halves of the ephemeral keys that were issued with invites.

use diesel::prelude::*;

use super::on_backend::OnBackend as _;
use super::schema::ephemeral_keys;
use super::{Conn, DbError};

/// Whether this server issued that key; `public_key` is unpadded standard base64.
pub fn exists(connection: &mut Conn, public_key: &str) -> Result<bool, DbError> {
    let created_at: Option<i64> = ephemeral_keys::table
        .find(public_key)
        .select(ephemeral_keys::created_at)
        .first_on(connection)
        .optional()?;
    Ok(created_at.is_some())
}
