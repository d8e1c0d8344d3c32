//! The journal that is replicated to other servers: the last change of each 3PID
//! whose association has this server as its origin, in the order of the changes.

use std::collections::HashMap;

use diesel::dsl::count_star;
use diesel::prelude::*;

use super::locks::Lock;
use super::on_backend::OnBackend as _;
use super::schema::association_journal::dsl as journal;
use super::schema::associations::dsl as associations;
use super::statements::{self, Key};
use super::{Conn, DbError, erasures};
use crate::domain::change::{Change, ChangeKind};
use crate::domain::ids::ServerName;
use crate::domain::merge::Statement;
use crate::domain::threepid::ThreePid;

/// Records that the association of a 3PID with this server as its origin was
/// created or replaced, or that it was removed at `removed_at` (ms). `restates`
/// says whether peers have made statements about the 3PID. Must be the last
/// statement in the transaction of the change: on PostgreSQL it takes a lock that
/// all such transactions wait for, and holds it until the transaction ends.
pub fn record_change(
    connection: &mut Conn,
    threepid: &ThreePid,
    removed_at: Option<i64>,
    restates: bool,
) -> Result<(), DbError> {
    let (medium, address) = (threepid.medium().as_str(), threepid.address());
    replace(connection, medium, address, |_held| {
        Some((removed_at, restates))
    })
}

/// Records again the changes of those of these 3PIDs that this server has made a
/// statement about, so that peers receive them once more. As [`record_change`],
/// must come last in its transaction. Returns whether there was one.
pub fn repeat(connection: &mut Conn, keys: &[Key]) -> Result<bool, DbError> {
    let mut any = false;
    for (medium, address) in keys {
        replace(connection, medium, address, |held| {
            any |= held.is_some();
            held.map(|removed_at| (removed_at, true))
        })?;
    }
    Ok(any)
}

/// Has the changes of those of these 3PIDs that this server has made a statement about
/// pushed with the answer of all servers from now on, to peers that have not received
/// them. No peer receives them once more.
pub fn restate(connection: &mut Conn, keys: &[Key]) -> Result<(), DbError> {
    for (medium, address) in keys {
        let change = journal::association_journal
            .filter(journal::address.eq(address))
            .filter(journal::medium.eq(medium));
        diesel::update(change)
            .set(journal::restates.eq(true))
            .execute_on(connection)?;
    }
    Ok(())
}

/// Replaces the change of a 3PID by one with a new id. `new` gets the time of its
/// removal, ms, if there is a change.
fn replace(
    connection: &mut Conn,
    medium: &str,
    address: &str,
    new: impl FnOnce(Option<Option<i64>>) -> Option<(Option<i64>, bool)>,
) -> Result<(), DbError> {
    // Held from the moment that the change gets its id until it is committed.
    // Otherwise id 7 could become visible before id 6, and a peer that was sent 7
    // would never be sent 6.
    Lock::Journal.lock_exclusive(connection)?;
    let older = journal::association_journal
        .filter(journal::address.eq(address))
        .filter(journal::medium.eq(medium));
    let held: Option<(i64, Option<i64>)> = older
        .select((journal::id, journal::removed_at))
        .first_on(connection)
        .optional()?;
    let Some((removed_at, restates)) = new(held.map(|(_, removed_at)| removed_at)) else {
        return Ok(());
    };
    diesel::delete(older).execute_on(connection)?;
    diesel::insert_into(journal::association_journal)
        .values((
            journal::medium.eq(medium),
            journal::address.eq(address),
            journal::removed_at.eq(removed_at),
            journal::restates.eq(restates),
        ))
        .execute_on(connection)?;
    if let Some((former, Some(_removed))) = held {
        let removal = match removed_at {
            Some(_) => find(connection, medium, address)?,
            None => None,
        };
        erasures::replace_change(connection, former, removal)?;
    }
    Ok(())
}

/// The id of the change of a 3PID.
pub fn find(connection: &mut Conn, medium: &str, address: &str) -> Result<Option<i64>, DbError> {
    Ok(journal::association_journal
        .filter(journal::address.eq(address))
        .filter(journal::medium.eq(medium))
        .select(journal::id)
        .first_on(connection)
        .optional()?)
}

/// Deletes the change of a 3PID.
pub fn forget(connection: &mut Conn, threepid: &ThreePid) -> Result<(), DbError> {
    let change = journal::association_journal
        .filter(journal::address.eq(threepid.address()))
        .filter(journal::medium.eq(threepid.medium().as_str()));
    diesel::delete(change).execute_on(connection)?;
    Ok(())
}

type Row = (
    i64,
    String,
    String,
    Option<i64>,
    bool,
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
            journal::restates,
            (
                associations::mxid,
                associations::ts,
                associations::not_before,
                associations::not_after,
            )
                .nullable(),
        ))
        .load_on(connection)?;
    let shared: Vec<&str> = rows
        .iter()
        .filter(|(_, _, _, _, restates, _)| *restates)
        .map(|(_, _, address, _, _, _)| address.as_str())
        .collect();
    let mut statements = match shared.as_slice() {
        [] => HashMap::new(),
        addresses => statements::find_all(connection, addresses)?,
    };
    let with_answer = |row: Row| {
        let restates = row.4;
        let mut change = to_change(row);
        let key = (change.medium.clone(), change.address.clone());
        let held = statements.remove(&key).filter(|_| restates);
        change.answer = held.and_then(|held| held.answer().map(to_kind));
        change
    };
    Ok(rows.into_iter().map(with_answer).collect())
}

fn to_kind(statement: &Statement) -> ChangeKind {
    match &statement.binding {
        None => ChangeKind::Removed {
            at: statement.counts_at,
        },
        Some(binding) => ChangeKind::Bound {
            mxid: binding.mxid.clone(),
            ts: statement.counts_at,
            not_before: binding.not_before,
            not_after: binding.not_after,
        },
    }
}

fn to_change((id, medium, address, removed_at, _, association): Row) -> Change {
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
        answer: None,
    }
}

/// How many changes have an id greater than `id`.
pub fn count_after(connection: &mut Conn, id: i64) -> Result<i64, DbError> {
    Ok(journal::association_journal
        .filter(journal::id.gt(id))
        .select(count_star())
        .first_on(connection)?)
}
