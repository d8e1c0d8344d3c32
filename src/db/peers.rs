//! The peers that receive this server's changes, and how far each has got. One
//! instance at a time pushes to a peer: the one that holds its lease.

use diesel::prelude::*;

use super::schema::association_journal::dsl as journal;
use super::schema::replication_peers::{self, dsl};
use super::{Conn, DbError, with_backend};
use crate::domain::message::InstanceId;

/// A peer as it is stored. Times are milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = replication_peers)]
pub struct Peer {
    /// The name in its certificate.
    pub name: String,
    /// The id of the last change that it accepted.
    pub sent_id: i64,
    /// When it last accepted changes.
    pub sent_at: Option<i64>,
    /// When it last sent changes.
    pub received_at: Option<i64>,
    /// Tries since it last accepted changes.
    pub tries: i32,
    /// Why the last try failed.
    pub last_error: Option<String>,
    /// When it is to be tried next.
    pub due_at: i64,
    /// How many changes that it sent were skipped, because they are not valid.
    pub skipped: i64,
    /// The number of the last one that was skipped.
    pub skipped_number: String,
}

/// All stored peers, by name.
pub fn all(connection: &mut Conn) -> Result<Vec<Peer>, DbError> {
    Ok(dsl::replication_peers
        .order(dsl::name.asc())
        .select(Peer::as_select())
        .load(connection)?)
}

/// Whether all peers are known to compare statements, so that none is a Python Sydent.
pub fn all_compare(connection: &mut Conn) -> Result<bool, DbError> {
    let other: Option<String> = dsl::replication_peers
        .filter(dsl::compares.is_null().or(dsl::compares.eq(false)))
        .select(dsl::name)
        .first(connection)
        .optional()?;
    Ok(other.is_none())
}

/// Adds a peer that has received nothing yet, unless it is stored already.
pub fn add(connection: &mut Conn, name: &str) -> Result<(), DbError> {
    let new = (
        dsl::name.eq(name),
        dsl::sent_id.eq(0),
        dsl::tries.eq(0),
        dsl::due_at.eq(0),
        dsl::lease_owner.eq(""),
        dsl::lease_until.eq(0),
    );
    with_backend!(connection, inner => diesel::insert_into(dsl::replication_peers)
        .values(new)
        .on_conflict_do_nothing()
        .execute(inner))?;
    Ok(())
}

/// The newest change that all of these peers have received; `i64::MAX` without peers.
pub fn confirmed(connection: &mut Conn, names: &[String]) -> Result<i64, DbError> {
    let sent: Vec<i64> = dsl::replication_peers
        .filter(dsl::name.eq_any(names))
        .select(dsl::sent_id)
        .load(connection)?;
    // A peer that is not stored yet has received nothing.
    let is_missing = sent.len() < names.len();
    let missing = is_missing.then_some(0);
    Ok(sent.into_iter().chain(missing).min().unwrap_or(i64::MAX))
}

/// Lets every peer receive all changes again.
pub fn start_over(connection: &mut Conn) -> Result<(), DbError> {
    diesel::update(dsl::replication_peers)
        .set(dsl::sent_id.eq(0))
        .execute(connection)?;
    Ok(())
}

/// Makes these peers due that are to be tried later than `now`.
pub fn retry_now(connection: &mut Conn, names: &[&str], now: i64) -> Result<(), DbError> {
    let later = dsl::replication_peers
        .filter(dsl::name.eq_any(names))
        .filter(dsl::due_at.gt(now));
    diesel::update(later)
        .set(dsl::due_at.eq(now))
        .execute(connection)?;
    Ok(())
}

/// Which of the peers have changes to receive, are due, and are not leased.
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
        .order(dsl::due_at.asc())
        .select(dsl::name)
        .load(connection)?)
}

/// Leases a due peer to `instance` until `lease_until`. Of several instances
/// that try at once, one gets it. Returns the last change that the peer accepted
/// and the number of this try; `None` if the peer is not due or leased.
pub fn take(
    connection: &mut Conn,
    name: &str,
    instance: &InstanceId,
    now: i64,
    lease_until: i64,
) -> Result<Option<(i64, i32)>, DbError> {
    let free = dsl::replication_peers
        .find(name)
        .filter(dsl::due_at.le(now))
        .filter(dsl::lease_until.lt(now));
    let leased = diesel::update(free)
        .set((
            dsl::lease_owner.eq(instance.as_str()),
            dsl::lease_until.eq(lease_until),
            dsl::tries.eq(dsl::tries + 1),
        ))
        .execute(connection)?;
    if leased == 0 {
        return Ok(None);
    }
    Ok(Some(
        dsl::replication_peers
            .find(name)
            .select((dsl::sent_id, dsl::tries))
            .first(connection)?,
    ))
}

/// Renews the leases that `instance` holds on these peers until `lease_until`.
pub fn extend_leases(
    connection: &mut Conn,
    names: &[&str],
    instance: &InstanceId,
    lease_until: i64,
) -> Result<(), DbError> {
    let held = dsl::replication_peers
        .filter(dsl::name.eq_any(names))
        .filter(dsl::lease_owner.eq(instance.as_str()));
    diesel::update(held)
        .set(dsl::lease_until.eq(lease_until))
        .execute(connection)?;
    Ok(())
}

/// Records that a peer accepted everything up to `sent_id`, and ends the lease
/// of `instance`. Does nothing when another instance holds the lease by now.
pub fn record_success(
    connection: &mut Conn,
    name: &str,
    instance: &InstanceId,
    sent_id: i64,
    now: i64,
) -> Result<(), DbError> {
    let held = dsl::replication_peers
        .find(name)
        .filter(dsl::lease_owner.eq(instance.as_str()));
    diesel::update(held)
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

/// Records that a try failed, and ends the lease of `instance`; the peer is due
/// again at `due_at`. Does nothing when another instance holds the lease by now.
pub fn record_failure(
    connection: &mut Conn,
    name: &str,
    instance: &InstanceId,
    error: &str,
    due_at: i64,
) -> Result<(), DbError> {
    let held = dsl::replication_peers
        .find(name)
        .filter(dsl::lease_owner.eq(instance.as_str()));
    diesel::update(held)
        .set((
            dsl::last_error.eq(error),
            dsl::due_at.eq(due_at),
            dsl::lease_owner.eq(""),
            dsl::lease_until.eq(0),
        ))
        .execute(connection)?;
    Ok(())
}

/// Ends the lease of `instance` on a peer that it did not push to.
pub fn release(connection: &mut Conn, name: &str, instance: &InstanceId) -> Result<(), DbError> {
    let held = dsl::replication_peers
        .find(name)
        .filter(dsl::lease_owner.eq(instance.as_str()));
    diesel::update(held)
        .set((
            dsl::tries.eq(dsl::tries - 1),
            dsl::lease_owner.eq(""),
            dsl::lease_until.eq(0),
        ))
        .execute(connection)?;
    Ok(())
}
