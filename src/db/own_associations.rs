//! The associations that a server has made itself, when it is renamed or gets another
//! key.

use diesel::dsl::exists;
use diesel::prelude::*;

use super::schema::association_journal::dsl as journal;
use super::schema::associations::{self, dsl};
use super::{Conn, DbError};
use crate::domain::ids::ServerName;

/// An association as it is stored.
#[derive(Queryable)]
pub struct Own {
    /// The row id.
    pub id: i64,
    /// The server that signed it.
    pub origin: String,
    /// The signed association, as JSON.
    pub signed: String,
}

/// Up to `limit` associations of these origins with a row id greater than `id`, in that
/// order.
pub fn after(
    connection: &mut Conn,
    origins: [&str; 2],
    id: i64,
    limit: i64,
) -> Result<Vec<Own>, DbError> {
    Ok(dsl::associations
        .filter(dsl::origin.eq_any(origins))
        .filter(dsl::id.gt(id))
        .order(dsl::id.asc())
        .limit(limit)
        .select((dsl::id, dsl::origin, dsl::signed))
        .load(connection)?)
}

/// The associations of addresses that the server of the database has bound. A macro,
/// because the type of the query is long.
macro_rules! made_here {
    () => {
        journal::association_journal
            .inner_join(
                dsl::associations.on(dsl::address
                    .eq(journal::address)
                    .and(dsl::medium.eq(journal::medium))),
            )
            .filter(journal::removed_at.is_null())
    };
}

/// The origin of associations that the server of the database has made itself, if it has
/// made some and none as `name`. Those of peers may be taken for its own, where they have
/// one of the same address.
pub fn other_origin(connection: &mut Conn, name: &str) -> Result<Option<String>, DbError> {
    if has_made_some(connection, name)? {
        return Ok(None);
    }
    Ok(made_here!()
        .select(dsl::origin)
        .order(dsl::id.asc())
        .first(connection)
        .optional()?)
}

/// Whether the server of the database has made associations under this name.
pub fn has_made_some(connection: &mut Conn, name: &str) -> Result<bool, DbError> {
    let one: Option<i64> = made_here!()
        .filter(dsl::origin.eq(name))
        .select(dsl::id)
        .first(connection)
        .optional()?;
    Ok(one.is_some())
}

/// Replaces the signed form of an association, and its origin.
pub fn replace_signed(
    connection: &mut Conn,
    id: i64,
    origin: &ServerName,
    signed: &str,
) -> Result<(), DbError> {
    diesel::update(dsl::associations.find(id))
        .set((dsl::origin.eq(origin.as_str()), dsl::signed.eq(signed)))
        .execute(connection)?;
    Ok(())
}

/// Of addresses that have an association of both origins, deletes the older one.
pub fn remove_older(connection: &mut Conn, one: &str, other: &str) -> Result<(), DbError> {
    let newer = diesel::alias!(associations as newer);
    for (from, instead_of) in [(one, other), (other, one)] {
        let is_newer = newer
            .filter(newer.field(dsl::origin).eq(from))
            .filter(newer.field(dsl::address).eq(dsl::address))
            .filter(newer.field(dsl::medium).eq(dsl::medium))
            .filter(newer.field(dsl::ts).ge(dsl::ts));
        let older = dsl::associations
            .filter(dsl::origin.eq(instead_of))
            .filter(exists(is_newer))
            .select(dsl::id);
        let older: Vec<i64> = older.load(connection)?;
        for ids in older.chunks(1000) {
            diesel::delete(dsl::associations.filter(dsl::id.eq_any(ids))).execute(connection)?;
        }
    }
    Ok(())
}
