//! The peers whose statements about a 3PID do not count, because an administrator has
//! removed their binding.

use diesel::prelude::*;

use super::schema::association_removals::dsl as removals;
use super::schema::associations::dsl as associations;
use super::schema::ignored_statements::{self, dsl};
use super::{Conn, DbError, with_backend};
use crate::domain::ids::ServerName;
use crate::domain::threepid::ThreePid;

/// Whether statements of that peer about the 3PID do not count.
pub fn contains(
    connection: &mut Conn,
    threepid: &ThreePid,
    peer: &ServerName,
) -> Result<bool, DbError> {
    let key = (
        threepid.address(),
        threepid.medium().as_str(),
        peer.as_str(),
    );
    let found: Option<i64> = dsl::ignored_statements
        .find(key)
        .select(dsl::ignored_at)
        .first(connection)
        .optional()?;
    Ok(found.is_some())
}

/// Deletes what the peer has said about the 3PID, and ignores what it will say.
pub fn add(
    connection: &mut Conn,
    threepid: &ThreePid,
    peer: &ServerName,
    now: i64,
) -> Result<(), DbError> {
    let (medium, address) = (threepid.medium().as_str(), threepid.address());
    let bound = associations::associations
        .filter(associations::address.eq(address))
        .filter(associations::medium.eq(medium))
        .filter(associations::origin.eq(peer.as_str()));
    diesel::delete(bound).execute(connection)?;
    let removed = removals::association_removals.find((address, medium, peer.as_str()));
    diesel::delete(removed).execute(connection)?;
    let row = (
        dsl::medium.eq(medium),
        dsl::address.eq(address),
        dsl::origin.eq(peer.as_str()),
        dsl::ignored_at.eq(now),
    );
    with_backend!(connection, inner => diesel::insert_into(ignored_statements::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(inner))?;
    Ok(())
}

/// Lets statements of the peer about the 3PID count again. Returns whether they did
/// not.
pub fn remove(
    connection: &mut Conn,
    threepid: &ThreePid,
    peer: &ServerName,
) -> Result<bool, DbError> {
    let row = dsl::ignored_statements.find((
        threepid.address(),
        threepid.medium().as_str(),
        peer.as_str(),
    ));
    Ok(diesel::delete(row).execute(connection)? > 0)
}
