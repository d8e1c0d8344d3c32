//! The journal of what other servers must hear of: the last change of each 3PID
//! that this server speaks for, in the order in which the changes were made.

use diesel::dsl::count_star;
use diesel::prelude::*;

use super::locks::Lock;
use super::schema::association_journal::dsl as journal;
use super::schema::associations::dsl as associations;
use super::{Conn, DbError};
use crate::domain::change::{Change, What};
use crate::domain::ids::ServerName;
use crate::domain::threepid::ThreePid;

/// Notes that the association of a 3PID with this server as its origin has
/// changed: it was stated, or removed at that moment (ms). To be called in the
/// transaction of the change, as the last thing in it: on PostgreSQL whoever
/// changes another association waits from here to the end.
///
/// # Errors
/// When the database does not answer.
pub fn changed(
    connection: &mut Conn,
    threepid: &ThreePid,
    removed_at: Option<i64>,
) -> Result<(), DbError> {
    let (medium, address) = (threepid.medium().as_str(), threepid.address());
    let older = journal::association_journal
        .filter(journal::address.eq(address))
        .filter(journal::medium.eq(medium));
    diesel::delete(older).execute(connection)?;
    // From the moment that a change gets its number until it is there for all: who
    // reads 7 must not find a 6 later.
    Lock::Journal.take(connection)?;
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

/// The changes after that number, at most so many, the oldest first. `origin` is
/// this server's name.
///
/// # Errors
/// When the database does not answer.
pub fn after(
    connection: &mut Conn,
    origin: &ServerName,
    id: i64,
    limit: i64,
) -> Result<Vec<Change>, DbError> {
    let stated = associations::address
        .eq(journal::address)
        .and(associations::medium.eq(journal::medium))
        .and(associations::origin.eq(origin.as_str()));
    let rows: Vec<Row> = journal::association_journal
        .left_join(associations::associations.on(stated))
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
    Ok(rows.into_iter().map(change).collect())
}

fn change((id, medium, address, removed_at, stated): Row) -> Change {
    let what = match (removed_at, stated) {
        (Some(at), _) => What::Removed { at },
        (None, Some((mxid, ts, not_before, not_after))) => What::Stated {
            mxid,
            ts,
            not_before,
            not_after,
        },
        (None, None) => What::NotOurs,
    };
    Change {
        id,
        medium,
        address,
        what,
    }
}

/// How many changes there are after that number.
///
/// # Errors
/// When the database does not answer.
pub fn count_after(connection: &mut Conn, id: i64) -> Result<i64, DbError> {
    Ok(journal::association_journal
        .filter(journal::id.gt(id))
        .select(count_star())
        .first(connection)?)
}
