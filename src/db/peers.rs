//! The servers that are told of changes, and how far each has heard.
//!
//! A peer is pushed to by one instance at a time: by the one that has its lease.

use diesel::prelude::*;

use super::schema::association_journal::dsl as journal;
use super::schema::replication_peers::{self, dsl};
use super::{Conn, DbError, on_each};

/// A peer as the database knows it. Times are ms since the epoch.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = replication_peers)]
pub struct Peer {
    /// The name in its certificate.
    pub name: String,
    /// The last change that it has taken.
    pub sent_id: i64,
    /// When it last took some.
    pub sent_at: Option<i64>,
    /// When it last sent some.
    pub received_at: Option<i64>,
    /// Tries since it last took some.
    pub tries: i32,
    /// Why the last try failed.
    pub last_error: Option<String>,
    /// When it is to be tried next.
    pub due_at: i64,
}

/// The peers that the database knows.
///
/// # Errors
/// When the database does not answer.
pub fn all(connection: &mut Conn) -> Result<Vec<Peer>, DbError> {
    Ok(dsl::replication_peers
        .order(dsl::name.asc())
        .select(Peer::as_select())
        .load(connection)?)
}

/// Lets the database know a peer. One that is new has heard of nothing.
///
/// # Errors
/// When the database does not answer.
pub fn know(connection: &mut Conn, name: &str) -> Result<(), DbError> {
    let new = (
        dsl::name.eq(name),
        dsl::sent_id.eq(0),
        dsl::tries.eq(0),
        dsl::due_at.eq(0),
        dsl::lease_owner.eq(""),
        dsl::lease_until.eq(0),
    );
    on_each!(connection, inner => diesel::insert_into(dsl::replication_peers)
        .values(new)
        .on_conflict_do_nothing()
        .execute(inner))?;
    Ok(())
}

/// Which of the peers must hear of something, are due, and are not being pushed
/// to by anybody.
///
/// # Errors
/// When the database does not answer.
pub fn due(connection: &mut Conn, names: &[&str], now: i64) -> Result<Vec<String>, DbError> {
    let newest: Option<i64> = journal::association_journal
        .order(journal::id.desc())
        .select(journal::id)
        .first(connection)
        .optional()?;
    let Some(newest) = newest else {
        return Ok(Vec::new());
    };
    Ok(dsl::replication_peers
        .filter(dsl::name.eq_any(names))
        .filter(dsl::sent_id.lt(newest))
        .filter(dsl::due_at.le(now))
        .filter(dsl::lease_until.lt(now))
        .select(dsl::name)
        .load(connection)?)
}

/// Gives a due peer to `owner` until `lease_until`: to one owner only, however
/// many ask at once. Answers how far the peer has heard, and how often it was
/// tried, this try included; `None` if the peer is not to be had.
///
/// # Errors
/// When the database does not answer.
pub fn take(
    connection: &mut Conn,
    name: &str,
    owner: &str,
    now: i64,
    lease_until: i64,
) -> Result<Option<(i64, i32)>, DbError> {
    let free = dsl::replication_peers
        .find(name)
        .filter(dsl::due_at.le(now))
        .filter(dsl::lease_until.lt(now));
    let taken = diesel::update(free)
        .set((
            dsl::lease_owner.eq(owner),
            dsl::lease_until.eq(lease_until),
            dsl::tries.eq(dsl::tries + 1),
        ))
        .execute(connection)?;
    if taken == 0 {
        return Ok(None);
    }
    Ok(Some(
        dsl::replication_peers
            .find(name)
            .select((dsl::sent_id, dsl::tries))
            .first(connection)?,
    ))
}

/// Lets `owner` keep a peer that it has taken until `lease_until`.
///
/// # Errors
/// When the database does not answer.
pub fn keep(
    connection: &mut Conn,
    name: &str,
    owner: &str,
    lease_until: i64,
) -> Result<(), DbError> {
    let mine = dsl::replication_peers
        .find(name)
        .filter(dsl::lease_owner.eq(owner));
    diesel::update(mine)
        .set(dsl::lease_until.eq(lease_until))
        .execute(connection)?;
    Ok(())
}

/// Notes that the peer that `owner` has taken has heard of everything up to
/// `sent_id`, and lets go of it. Does nothing if it is somebody else's by now.
///
/// # Errors
/// When the database does not answer.
pub fn sent(
    connection: &mut Conn,
    name: &str,
    owner: &str,
    sent_id: i64,
    now: i64,
) -> Result<(), DbError> {
    let mine = dsl::replication_peers
        .find(name)
        .filter(dsl::lease_owner.eq(owner));
    diesel::update(mine)
        .set((
            dsl::sent_id.eq(sent_id),
            dsl::sent_at.eq(now),
            dsl::tries.eq(0),
            dsl::last_error.eq(None::<String>),
            dsl::due_at.eq(now),
            dsl::lease_owner.eq(""),
            dsl::lease_until.eq(0),
        ))
        .execute(connection)?;
    Ok(())
}

/// Notes that a try failed, and lets go of the peer until `due_at`. Does nothing
/// if it is somebody else's by now.
///
/// # Errors
/// When the database does not answer.
pub fn failed(
    connection: &mut Conn,
    name: &str,
    owner: &str,
    error: &str,
    due_at: i64,
) -> Result<(), DbError> {
    let mine = dsl::replication_peers
        .find(name)
        .filter(dsl::lease_owner.eq(owner));
    diesel::update(mine)
        .set((
            dsl::last_error.eq(error),
            dsl::due_at.eq(due_at),
            dsl::lease_owner.eq(""),
            dsl::lease_until.eq(0),
        ))
        .execute(connection)?;
    Ok(())
}

/// Lets go of a peer that `owner` has taken and could not even try.
///
/// # Errors
/// When the database does not answer.
pub fn give_back(connection: &mut Conn, name: &str, owner: &str) -> Result<(), DbError> {
    let mine = dsl::replication_peers
        .find(name)
        .filter(dsl::lease_owner.eq(owner));
    diesel::update(mine)
        .set((
            dsl::tries.eq(dsl::tries - 1),
            dsl::lease_owner.eq(""),
            dsl::lease_until.eq(0),
        ))
        .execute(connection)?;
    Ok(())
}
