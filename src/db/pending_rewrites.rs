//! Erasures after which an SQLite file must still be rewritten. They are stored with what
//! they erase, so that none is forgotten if its command is killed.

use diesel::prelude::*;

use super::schema::pending_rewrites::dsl;
use super::{Conn, DbError};

/// Has the file rewritten. Does nothing on PostgreSQL.
pub fn request(connection: &mut Conn, now: i64) -> Result<(), DbError> {
    if matches!(connection, Conn::Sqlite(_)) {
        diesel::insert_into(dsl::pending_rewrites)
            .values(dsl::requested_at.eq(now))
            .execute(connection)?;
    }
    Ok(())
}

/// The last request, if one is pending: its id, and whether the file was rewritten since.
pub fn last(connection: &mut Conn) -> Result<Option<(i64, bool)>, DbError> {
    Ok(dsl::pending_rewrites
        .order(dsl::id.desc())
        .select((dsl::id, dsl::is_rewritten))
        .first(connection)
        .optional()?)
}

/// Notes that the file was rewritten after the request `last`.
pub fn set_rewritten(connection: &mut Conn, last: i64) -> Result<(), DbError> {
    diesel::update(dsl::pending_rewrites.filter(dsl::id.le(last)))
        .set(dsl::is_rewritten.eq(true))
        .execute(connection)?;
    Ok(())
}

/// Removes the requests up to `last`: the write-ahead log is empty as well.
pub fn remove(connection: &mut Conn, last: i64) -> Result<(), DbError> {
    diesel::delete(dsl::pending_rewrites.filter(dsl::id.le(last))).execute(connection)?;
    Ok(())
}
