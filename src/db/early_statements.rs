//! Statements of earlier versions whose time is too far ahead, and that therefore win
//! over everything that is said until then.

use diesel::prelude::*;

use super::schema::association_removals::dsl as removals;
use super::schema::associations::dsl as associations;
use super::{Conn, DbError};
use crate::domain::ids::ServerName;

/// Lets statements with a time after `latest` count from `now` on, those of `origin`,
/// which is this server, after those of the peers that it has answered. Times are
/// milliseconds since the epoch. Returns how many there were.
pub fn reset(
    connection: &mut Conn,
    origin: &ServerName,
    latest: i64,
    now: i64,
) -> Result<usize, DbError> {
    if !has_any(connection, latest)? {
        return Ok(0);
    }
    let bound = || associations::associations.filter(associations::ts.gt(latest));
    let removed = || removals::association_removals.filter(removals::ts.gt(latest));
    let after_all = now.saturating_add(1);
    // The own ones first: those that are still too far ahead then are those of peers.
    let own = bound().filter(associations::origin.eq(origin.as_str()));
    let mut changed = diesel::update(own)
        .set((
            associations::stated_ts.eq(associations::ts.nullable()),
            associations::ts.eq(after_all),
        ))
        .execute(connection)?;
    let own = removed().filter(removals::origin.eq(origin.as_str()));
    changed += diesel::update(own)
        .set((
            removals::stated_ts.eq(removals::ts.nullable()),
            removals::ts.eq(after_all),
        ))
        .execute(connection)?;
    changed += diesel::update(bound())
        .set((
            associations::stated_ts.eq(associations::ts.nullable()),
            associations::ts.eq(now),
        ))
        .execute(connection)?;
    changed += diesel::update(removed())
        .set((
            removals::stated_ts.eq(removals::ts.nullable()),
            removals::ts.eq(now),
        ))
        .execute(connection)?;
    Ok(changed)
}

/// Whether there is one, which the indexes tell at once.
fn has_any(connection: &mut Conn, latest: i64) -> Result<bool, DbError> {
    let bound = associations::associations.filter(associations::ts.gt(latest));
    let removed = removals::association_removals.filter(removals::ts.gt(latest));
    let has_bound: bool = diesel::select(diesel::dsl::exists(bound)).get_result(connection)?;
    let has_removed: bool = diesel::select(diesel::dsl::exists(removed)).get_result(connection)?;
    Ok(has_bound || has_removed)
}
