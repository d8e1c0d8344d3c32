//! What each server of the mesh said last about a 3PID: an association, or that
//! it was removed.

use std::collections::HashMap;

use diesel::dsl::{exists, not};
use diesel::prelude::*;

use super::on_backend::OnBackend as _;
use super::schema::association_journal::dsl as journal;
use super::schema::association_removals::{self, dsl as removals};
use super::schema::associations::dsl as associations;
use super::{Conn, DbError, with_backend};
use crate::domain::ids::ServerName;
use crate::domain::merge::{Binding, Statement, Statements};
use crate::domain::threepid::ThreePid;

/// A medium and an address.
pub type Key = (String, String);

/// A row of an association: medium, address, origin, number, time that counts, time that
/// was stated, user, and the bounds of its validity.
type Bound = (
    String,
    String,
    String,
    i64,
    i64,
    Option<i64>,
    String,
    i64,
    i64,
);

/// A row of a removal, likewise.
type Removed = (String, String, String, i64, i64, Option<i64>);

/// The rows whose column `address` fulfils a condition. A macro, because the type of the
/// queries depends on it.
macro_rules! rows_where {
    ($connection:expr, $condition:ident($value:expr)) => {{
        let bound: Vec<Bound> = associations::associations
            .filter(associations::address.$condition($value))
            .select((
                associations::medium,
                associations::address,
                associations::origin,
                associations::number,
                associations::ts,
                associations::stated_ts,
                associations::mxid,
                associations::not_before,
                associations::not_after,
            ))
            .load($connection)?;
        let removed: Vec<Removed> = removals::association_removals
            .filter(removals::address.$condition($value))
            .select((
                removals::medium,
                removals::address,
                removals::origin,
                removals::number,
                removals::ts,
                removals::stated_ts,
            ))
            .load($connection)?;
        (bound, removed)
    }};
}

/// All statements about a 3PID.
pub fn find(connection: &mut Conn, threepid: &ThreePid) -> Result<Statements, DbError> {
    // Unlike those with any number of addresses, these queries stay prepared.
    let (bound, removed) = rows_where!(connection, eq(threepid.address()));
    let mut found = merge(bound, removed);
    Ok(found.remove(&key(threepid)).unwrap_or_default())
}

/// The key of a 3PID among the results of [`find_all`].
#[must_use]
pub fn key(threepid: &ThreePid) -> Key {
    let medium = threepid.medium().as_str();
    (medium.to_owned(), threepid.address().to_owned())
}

/// All statements about these addresses, of any medium.
pub fn find_all(
    connection: &mut Conn,
    addresses: &[&str],
) -> Result<HashMap<Key, Statements>, DbError> {
    let (bound, removed) = rows_where!(connection, eq_any(addresses));
    Ok(merge(bound, removed))
}

fn merge(bound: Vec<Bound>, removed: Vec<Removed>) -> HashMap<Key, Statements> {
    let mut found: HashMap<Key, Statements> = HashMap::new();
    for (medium, address, origin, number, counts_at, stated, mxid, not_before, not_after) in bound {
        let binding = Some(Binding {
            mxid,
            not_before,
            not_after,
        });
        let statement = Statement {
            origin,
            number,
            ts: stated.unwrap_or(counts_at),
            counts_at,
            binding,
        };
        let _ = found.entry((medium, address)).or_default().merge(statement);
    }
    for (medium, address, origin, number, counts_at, stated) in removed {
        let statement = Statement {
            origin,
            number,
            ts: stated.unwrap_or(counts_at),
            counts_at,
            binding: None,
        };
        let _ = found.entry((medium, address)).or_default().merge(statement);
    }
    found
}

/// Stores that `origin` removed its association of a 3PID at `ts` (ms), which counts
/// as made at `counts_at`.
pub fn store_removal(
    connection: &mut Conn,
    threepid: &ThreePid,
    origin: &ServerName,
    number: i64,
    ts: i64,
    counts_at: i64,
) -> Result<(), DbError> {
    let association = associations::associations
        .filter(associations::address.eq(threepid.address()))
        .filter(associations::medium.eq(threepid.medium().as_str()))
        .filter(associations::origin.eq(origin.as_str()));
    diesel::delete(association).execute_on(connection)?;
    let stated = stated_ts(ts, counts_at);
    let row = (
        removals::medium.eq(threepid.medium().as_str()),
        removals::address.eq(threepid.address()),
        removals::origin.eq(origin.as_str()),
        removals::number.eq(number),
        removals::ts.eq(counts_at),
        removals::stated_ts.eq(stated),
    );
    diesel::insert_into(removals::association_removals)
        .values(row)
        .on_conflict((removals::address, removals::medium, removals::origin))
        .do_update()
        .set((
            removals::number.eq(number),
            removals::ts.eq(counts_at),
            removals::stated_ts.eq(stated),
        ))
        .execute_on(connection)?;
    Ok(())
}

/// The stated time of a statement, where another one counts.
pub(super) fn stated_ts(ts: i64, counts_at: i64) -> Option<i64> {
    (ts != counts_at).then_some(ts)
}

/// Stores the removals of the journal that are not stored and hide nothing of what is
/// found today: what a peer pushes later and is older than one of them stays removed.
/// They come from a Sydent, which keeps older bindings of other servers that it received
/// after a removal, or from an instance of a version that stored no removals. `origin`
/// is this server's name, which has no quotation mark.
pub fn store_missing_removals(
    connection: &mut Conn,
    origin: &ServerName,
) -> Result<usize, DbError> {
    let missing = format!(
        "INSERT INTO association_removals (medium, address, origin, number, ts) \
         SELECT j.medium, j.address, '{origin}', 0, j.removed_at FROM association_journal AS j \
         WHERE j.removed_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM associations AS a \
         WHERE a.address = j.address AND a.medium = j.medium AND a.ts <= j.removed_at) \
         AND NOT EXISTS (SELECT 1 FROM association_removals AS r WHERE r.address = j.address \
         AND r.medium = j.medium AND r.ts >= j.removed_at) \
         ON CONFLICT (address, medium, origin) DO UPDATE SET ts = excluded.ts"
    );
    Ok(with_backend!(connection, inner => diesel::sql_query(missing).execute(inner))?)
}

/// Gives the removals of the origin `former` to `name`; of an address that both have
/// removed, the one that came last stays.
pub fn rename_removals(
    connection: &mut Conn,
    former: &str,
    name: &ServerName,
) -> Result<(), DbError> {
    let other = diesel::alias!(association_removals as other);
    let by = |origin: &str| {
        let ts = other.field(removals::ts);
        other
            .filter(other.field(removals::origin).eq(origin.to_owned()))
            .filter(other.field(removals::address).eq(removals::address))
            .filter(other.field(removals::medium).eq(removals::medium))
            .filter(ts.ge(removals::ts))
    };
    for (origin, later) in [(former, name.as_str()), (name.as_str(), former)] {
        let overtaken = removals::association_removals
            .filter(removals::origin.eq(origin))
            .filter(exists(by(later)));
        diesel::delete(overtaken).execute_on(connection)?;
    }
    diesel::update(removals::association_removals.filter(removals::origin.eq(former)))
        .set(removals::origin.eq(name.as_str()))
        .execute_on(connection)?;
    Ok(())
}

/// Deletes the removal of a 3PID that `origin` bound again.
pub fn delete_removal(
    connection: &mut Conn,
    threepid: &ThreePid,
    origin: &ServerName,
) -> Result<(), DbError> {
    let removal = removals::association_removals.find((
        threepid.address(),
        threepid.medium().as_str(),
        origin.as_str(),
    ));
    diesel::delete(removal).execute_on(connection)?;
    Ok(())
}

/// The addresses about which this server and `peer` have both said something, and
/// which a Python Sydent may have changed again when it made its last change: it
/// then repeats all own changes after its last binding that others left alone. At
/// most `limit`.
pub fn shared_and_recent(
    connection: &mut Conn,
    peer: &ServerName,
    limit: i64,
) -> Result<Vec<Key>, DbError> {
    let in_journal = || {
        journal::association_journal
            .filter(journal::address.eq(associations::address))
            .filter(journal::medium.eq(associations::medium))
    };
    let untouched: Option<i64> = associations::associations
        .filter(associations::origin.eq(peer.as_str()))
        .filter(not(exists(in_journal())))
        .order(associations::number.desc())
        .select(associations::number)
        .first_on(connection)
        .optional()?;
    let after = untouched.unwrap_or(-1);
    let bound: Vec<Key> = associations::associations
        .filter(associations::origin.eq(peer.as_str()))
        .filter(associations::number.gt(after))
        .filter(exists(in_journal()))
        .order(associations::number.desc())
        .limit(limit)
        .select((associations::medium, associations::address))
        .load_on(connection)?;
    let removed: Vec<Key> = removals::association_removals
        .filter(removals::origin.eq(peer.as_str()))
        .filter(removals::number.gt(after))
        .filter(exists(
            journal::association_journal
                .filter(journal::address.eq(removals::address))
                .filter(journal::medium.eq(removals::medium)),
        ))
        .order(removals::number.desc())
        .limit(limit)
        .select((removals::medium, removals::address))
        .load_on(connection)?;
    Ok([bound, removed].concat())
}
