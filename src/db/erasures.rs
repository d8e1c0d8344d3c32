//! What was removed of people for good, as keyed hashes. A peer may state an older
//! binding again, which must stay out.

use diesel::dsl::{count_star, exists, not};
use diesel::prelude::*;
use diesel::upsert::excluded;

use super::schema::association_journal::dsl as journal;
use super::schema::association_removals::dsl as removals;
use super::schema::associations::dsl as associations;
use super::schema::erasures::{self, dsl};
use super::{Conn, DbError, subject_keys, with_backend};
use crate::domain::ids::Mxid;
use crate::domain::subject_key::SubjectKey;
use crate::domain::threepid::ThreePid;

/// A 3PID or a user of which only this is left.
#[derive(Debug, Insertable)]
#[diesel(table_name = erasures)]
pub struct Erased {
    /// Its keyed hash.
    pub subject: String,
    /// Bindings that are not newer stay out, ms.
    pub ts: i64,
    /// When it was erased, ms.
    pub erased_at: i64,
    /// The change of the journal that tells the peers, if one has not received it.
    pub journal_id: Option<i64>,
}

/// Stores an erasure, which replaces an earlier one. What was kept out stays out.
pub fn store(connection: &mut Conn, mut erased: Erased) -> Result<(), DbError> {
    if let Some(earlier) = ts(connection, &erased.subject)? {
        erased.ts = erased.ts.max(earlier);
    }
    with_backend!(connection, inner => diesel::insert_into(erasures::table)
        .values(&erased)
        .on_conflict(dsl::subject)
        .do_update()
        .set((
            dsl::ts.eq(excluded(dsl::ts)),
            dsl::erased_at.eq(excluded(dsl::erased_at)),
            dsl::journal_id.eq(excluded(dsl::journal_id)),
        ))
        .execute(inner))?;
    Ok(())
}

/// The time up to which bindings of a 3PID, or to a user, stay out; `None` if neither
/// was erased.
pub fn latest(
    connection: &mut Conn,
    threepid: &ThreePid,
    user: Option<&Mxid>,
) -> Result<Option<i64>, DbError> {
    let Some(key) = subject_keys::for_erasures(connection)? else {
        return Ok(None);
    };
    let user = user.map(|user| key.user(user));
    let subjects = [Some(key.threepid(threepid)), user];
    Ok(dsl::erasures
        .filter(dsl::subject.eq_any(subjects.into_iter().flatten()))
        .order(dsl::ts.desc())
        .select(dsl::ts)
        .first(connection)
        .optional()?)
}

/// Raises the time of an erased 3PID to that of a later removal, which is then not
/// stored in clear. Returns whether the 3PID is an erased one.
pub fn raise(connection: &mut Conn, threepid: &ThreePid, ts: i64) -> Result<bool, DbError> {
    let Some(key) = subject_keys::for_erasures(connection)? else {
        return Ok(false);
    };
    let subject = key.threepid(threepid);
    let erased = self::ts(connection, &subject)?;
    if erased.is_some_and(|erased| erased < ts) {
        diesel::update(dsl::erasures.find(&subject))
            .set(dsl::ts.eq(ts))
            .execute(connection)?;
    }
    Ok(erased.is_some())
}

fn ts(connection: &mut Conn, subject: &str) -> Result<Option<i64>, DbError> {
    Ok(dsl::erasures
        .find(subject)
        .select(dsl::ts)
        .first(connection)
        .optional()?)
}

/// Has the erasure that waits for the change `former` wait for the one that has replaced
/// it; for none if that is no removal, because the 3PID is bound again.
pub(super) fn replace_change(
    connection: &mut Conn,
    former: i64,
    removal: Option<i64>,
) -> Result<(), DbError> {
    let waiting = dsl::erasures.filter(dsl::journal_id.eq(former));
    diesel::update(waiting)
        .set(dsl::journal_id.eq(removal))
        .execute(connection)?;
    Ok(())
}

/// Whether an erasure waits until the peers have received that change of the journal.
pub fn is_waiting_for(connection: &mut Conn, change: i64) -> Result<bool, DbError> {
    let waiting = dsl::erasures.filter(dsl::journal_id.eq(change));
    Ok(waiting.select(count_star()).first::<i64>(connection)? > 0)
}

/// How many erased 3PIDs are still in the journal in clear.
pub fn unconfirmed(connection: &mut Conn) -> Result<i64, DbError> {
    Ok(dsl::erasures
        .filter(dsl::journal_id.is_not_null())
        .select(count_star())
        .first(connection)?)
}

/// Removes erased 3PIDs from the journal and the removals once all peers have received
/// the changes up to `confirmed`, or if they were erased before `give_up_before`. At
/// most `limit`; returns how many.
pub fn finish(
    connection: &mut Conn,
    confirmed: i64,
    give_up_before: i64,
    limit: i64,
) -> Result<usize, DbError> {
    let done: Vec<(String, i64, Option<i64>)> = dsl::erasures
        .filter(dsl::journal_id.is_not_null())
        .filter(
            dsl::journal_id
                .assume_not_null()
                .le(confirmed)
                .or(dsl::erased_at.lt(give_up_before)),
        )
        .limit(limit)
        .select((dsl::subject, dsl::ts, dsl::journal_id))
        .load(connection)?;
    for (subject, ts, journal_id) in &done {
        // Bound again since, the 3PID has another change.
        let change: Option<(String, String)> = journal::association_journal
            .find(journal_id.unwrap_or_default())
            .select((journal::medium, journal::address))
            .first(connection)
            .optional()?;
        if let Some((medium, address)) = change {
            let id = journal_id.unwrap_or_default();
            diesel::delete(journal::association_journal.find(id)).execute(connection)?;
            delete_removal(connection, &medium, &address, *ts)?;
        }
        diesel::update(dsl::erasures.find(subject))
            .set(dsl::journal_id.eq(None::<i64>))
            .execute(connection)?;
    }
    Ok(done.len())
}

fn delete_removal(
    connection: &mut Conn,
    medium: &str,
    address: &str,
    ts: i64,
) -> Result<(), DbError> {
    let removed = removals::association_removals
        .filter(removals::address.eq(address))
        .filter(removals::medium.eq(medium))
        .filter(removals::ts.le(ts));
    diesel::delete(removed).execute(connection)?;
    let change = journal::association_journal
        .filter(journal::address.eq(address))
        .filter(journal::medium.eq(medium))
        .filter(journal::removed_at.is_not_null());
    diesel::delete(change).execute(connection)?;
    Ok(())
}

/// Keeps only keyed hashes of the 3PIDs that were removed before `before` and are bound
/// nowhere since, if all peers have received their removal, the change `confirmed` or
/// an earlier one. At most `limit`; returns how many.
pub fn forget_removals(
    connection: &mut Conn,
    key: &SubjectKey,
    confirmed: i64,
    before: i64,
    now: i64,
    limit: i64,
) -> Result<usize, DbError> {
    let is_bound = exists(
        associations::associations
            .filter(associations::address.eq(removals::address))
            .filter(associations::medium.eq(removals::medium)),
    );
    let is_needed = exists(
        journal::association_journal
            .filter(journal::address.eq(removals::address))
            .filter(journal::medium.eq(removals::medium))
            .filter(journal::id.gt(confirmed).or(journal::removed_at.is_null())),
    );
    let old: Vec<(String, String, i64)> = removals::association_removals
        .filter(removals::ts.lt(before))
        .filter(not(is_bound))
        .filter(not(is_needed))
        .limit(limit)
        .select((removals::medium, removals::address, removals::ts))
        .load(connection)?;
    for (medium, address, ts) in &old {
        let erased = Erased {
            subject: key.address(medium, address),
            ts: *ts,
            erased_at: now,
            journal_id: None,
        };
        store(connection, erased)?;
        delete_removal(connection, medium, address, *ts)?;
    }
    Ok(old.len())
}

#[cfg(test)]
#[path = "erasures_tests.rs"]
mod tests;
