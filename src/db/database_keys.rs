//! Random keys of the database. The name of a key is its use.

use diesel::prelude::*;

use super::schema::database_keys::{self, dsl};
use super::{Conn, DbError, with_backend};

/// The key with this name.
pub(super) fn find(connection: &mut Conn, name: &str) -> Result<Option<String>, DbError> {
    Ok(dsl::database_keys
        .find(name)
        .select(dsl::value)
        .first(connection)
        .optional()?)
}

/// The key with this name, which becomes `fresh` if there is none yet.
pub(super) fn find_or(connection: &mut Conn, name: &str, fresh: &str) -> Result<String, DbError> {
    if let Some(key) = find(connection, name)? {
        return Ok(key);
    }
    let row = (dsl::name.eq(name), dsl::value.eq(fresh));
    with_backend!(connection, inner => diesel::insert_into(database_keys::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(inner))?;
    // Another instance may have been faster.
    find(connection, name)?.ok_or(DbError::Corrupt(CORRUPT))
}

/// Deletes the keys whose names begin so and sort before this one.
pub(super) fn delete_before(
    connection: &mut Conn,
    beginning: &str,
    name: &str,
) -> Result<(), DbError> {
    let earlier = dsl::database_keys
        .filter(dsl::name.like(format!("{beginning}%")))
        .filter(dsl::name.lt(name));
    diesel::delete(earlier).execute(connection)?;
    Ok(())
}

/// What a key that cannot be used is called.
pub(super) const CORRUPT: &str = "key of the database";
