//! The peppers of hashed look-ups: the current one and the one before it.

use diesel::prelude::*;

use super::locks::Lock;
use super::schema::lookup_peppers::{self, dsl};
use super::{Conn, DbError};
use crate::domain::lookup::Pepper;

/// A pepper as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPepper {
    /// The pepper.
    pub pepper: Pepper,
    /// Since when it has been the current one, ms.
    pub created_at: i64,
}

/// The current pepper; `None` in a database that was never prepared.
///
/// # Errors
/// When the database does not answer.
pub fn current(connection: &mut Conn) -> Result<Option<StoredPepper>, DbError> {
    let found: Option<(String, i64)> = dsl::lookup_peppers
        .order(dsl::id.desc())
        .select((dsl::pepper, dsl::created_at))
        .first(connection)
        .optional()?;
    found
        .map(|(pepper, created_at)| {
            let pepper = Pepper::parse(&pepper).map_err(|_invalid| DbError::Corrupt("a pepper"))?;
            Ok(StoredPepper { pepper, created_at })
        })
        .transpose()
}

/// The current pepper, which is the current one until the transaction ends:
/// whoever stores a hash asks for it so, and a change of peppers waits for them
/// and they for it.
///
/// # Errors
/// When the database does not answer.
pub fn current_to_hash_with(connection: &mut Conn) -> Result<Option<StoredPepper>, DbError> {
    Lock::Pepper.share(connection)?;
    current(connection)
}

/// The current pepper, which nobody hashes with until the transaction ends.
///
/// # Errors
/// When the database does not answer.
pub fn current_to_replace(connection: &mut Conn) -> Result<Option<StoredPepper>, DbError> {
    Lock::Pepper.take(connection)?;
    current(connection)
}

/// Makes `pepper` the current one, and forgets all but the one before it.
///
/// # Errors
/// When the database does not answer.
pub fn add(connection: &mut Conn, pepper: &Pepper, now: i64) -> Result<(), DbError> {
    let previous: Option<i64> = dsl::lookup_peppers
        .order(dsl::id.desc())
        .select(dsl::id)
        .first(connection)
        .optional()?;
    if let Some(previous) = previous {
        diesel::delete(dsl::lookup_peppers.filter(dsl::id.lt(previous))).execute(connection)?;
    }
    diesel::insert_into(lookup_peppers::table)
        .values((dsl::pepper.eq(pepper.as_str()), dsl::created_at.eq(now)))
        .execute(connection)?;
    Ok(())
}
