//! The peppers of hashed lookups: the current one and the previous one.

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
    /// When it became the current one, ms.
    pub created_at: i64,
}

/// The current pepper; `None` in a database that no server has started on.
pub fn current(connection: &mut Conn) -> Result<Option<StoredPepper>, DbError> {
    let row: Option<(String, i64)> = dsl::lookup_peppers
        .order(dsl::id.desc())
        .select((dsl::pepper, dsl::created_at))
        .first(connection)
        .optional()?;
    row.map(|(pepper, created_at)| {
        let pepper = Pepper::parse(&pepper).map_err(|_invalid| DbError::Corrupt("pepper"))?;
        Ok(StoredPepper { pepper, created_at })
    })
    .transpose()
}

/// The current pepper, for a transaction that stores a hash. Until it ends, the
/// pepper stays current: a rotation waits for all such transactions, and they
/// wait for a running rotation.
pub fn current_for_hashing(connection: &mut Conn) -> Result<Option<StoredPepper>, DbError> {
    Lock::Pepper.lock_shared(connection)?;
    current(connection)
}

/// The current pepper, for the transaction that replaces it. Until it ends, no
/// other transaction stores a hash.
pub fn current_for_rotation(connection: &mut Conn) -> Result<Option<StoredPepper>, DbError> {
    Lock::Pepper.lock_exclusive(connection)?;
    current(connection)
}

/// Makes `pepper` the current one, and deletes all but the one before it.
pub fn set_current(connection: &mut Conn, pepper: &Pepper, now: i64) -> Result<(), DbError> {
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
