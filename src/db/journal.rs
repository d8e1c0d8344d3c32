//! The journal that is replicated to other servers: the last change of each 3PID
//! whose association has this server as its origin, in the order of the changes.

use diesel::dsl::count_star;
use diesel::prelude::*;

use super::locks::Lock;
use super::schema::association_journal::dsl as journal;
use super::schema::associations::dsl as associations;
use super::{Conn, DbError};
use crate::domain::change::{Change, ChangeKind};
use crate::domain::ids::ServerName;
use crate::domain::threepid::ThreePid;

/// Records that the association of a 3PID with this server as its origin was
/// created or replaced, or that it was removed at `removed_at` (ms). Must be the
/// last statement in the transaction of the change: on PostgreSQL it takes a lock
/// that all such transactions wait for, and holds it until the transaction ends.
pub fn record_change(
    connection: &mut Conn,
    threepid: &ThreePid,
    removed_at: Option<i64>,
) -> Result<(), DbError> {
    let (medium, address) = (threepid.medium().as_str(), threepid.address());
    let older = journal::association_journal
        .filter(journal::address.eq(address))
        .filter(journal::medium.eq(medium));
    diesel::delete(older).execute(connection)?;
    // Held from the moment that the change gets its id until it is committed.
    // Otherwise id 7 could become visible before id 6, and a peer that was sent 7
    // would never be sent 6.
    Lock::Journal.lock_exclusive(connection)?;
    diesel::insert_into(journal::association_journal)
        .values((
            journal::medium.eq(medium),
            journal::address.eq(address),
            journal::removed_at.eq(removed_at),
        ))
        .execute(connection)?;
    Ok(())
}

type Row = (
    i64,
    String,
    String,
    Option<i64>,
    Option<(String, i64, i64, i64)>,
);

/// Up to `limit` changes with an id greater than `id`, oldest first. `origin` is
/// this server's name.
pub fn after(
    connection: &mut Conn,
    origin: &ServerName,
    id: i64,
    limit: i64,
) -> Result<Vec<Change>, DbError> {
    let is_current = associations::address
        .eq(journal::address)
        .and(associations::medium.eq(journal::medium))
        .and(associations::origin.eq(origin.as_str()));
    let rows: Vec<Row> = journal::association_journal
        .left_join(associations::associations.on(is_current))
        .filter(journal::id.gt(id))
        .order(journal::id.asc())
        .limit(limit)
        .select((
            journal::id,
            journal::medium,
            journal::address,
            journal::removed_at,
            (
                associations::mxid,
                associations::ts,
                associations::not_before,
                associations::not_after,
            )
                .nullable(),
        ))
        .load(connection)?;
    Ok(rows.into_iter().map(to_change).collect())
}

fn to_change((id, medium, address, removed_at, association): Row) -> Change {
    let kind = match (removed_at, association) {
        (Some(at), _) => ChangeKind::Removed { at },
        (None, Some((mxid, ts, not_before, not_after))) => ChangeKind::Bound {
            mxid,
            ts,
            not_before,
            not_after,
        },
        (None, None) => ChangeKind::NotOurs,
    };
    Change {
        id,
        medium,
        address,
        kind,
    }
}

/// How many changes have an id greater than `id`.
pub fn count_after(connection: &mut Conn, id: i64) -> Result<i64, DbError> {
    Ok(journal::association_journal
        .filter(journal::id.gt(id))
        .select(count_star())
        .first(connection)?)
}
