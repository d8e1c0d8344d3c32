//! The peppers of hashed look-ups.

use diesel::prelude::*;

use super::schema::lookup_peppers;
use super::{Conn, DbError};

/// The current pepper; `None` in a database that was never prepared.
///
/// # Errors
/// When the database does not answer.
pub fn current(connection: &mut Conn) -> Result<Option<String>, DbError> {
    Ok(lookup_peppers::table
        .order(lookup_peppers::id.desc())
        .select(lookup_peppers::pepper)
        .first(connection)
        .optional()?)
}

/// Makes `pepper` the current one.
///
/// # Errors
/// When the database does not answer.
pub fn add(connection: &mut Conn, pepper: &str, now: i64) -> Result<(), DbError> {
    diesel::insert_into(lookup_peppers::table)
        .values((
            lookup_peppers::pepper.eq(pepper),
            lookup_peppers::created_at.eq(now),
        ))
        .execute(connection)?;
    Ok(())
}
