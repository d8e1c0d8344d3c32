//! The peppers of hashed lookups: the current one, the one before it while it is still
//! answered, and the next one while a rotation hashes all associations with it.

use diesel::prelude::*;

use super::hash_columns::{HashSlot, HashingPeppers};
use super::locks::Lock;
use super::on_backend::OnBackend as _;
use super::schema::lookup_peppers::{self, dsl};
use super::{Conn, DbError};
use crate::domain::lookup::{FORMER_PEPPER_MS, Pepper};

/// A pepper as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPepper {
    /// The row id.
    pub id: i64,
    /// The pepper.
    pub pepper: Pepper,
    /// When it became the current one, ms.
    pub created_at: i64,
    /// Where its hashes are.
    pub slot: HashSlot,
    is_ready: bool,
    hashed_to: i64,
    answered_until: i64,
}

impl StoredPepper {
    /// The row id of the last association that a rotation has hashed with it.
    #[must_use]
    pub fn hashed_to(&self) -> i64 {
        self.hashed_to
    }
}

/// The peppers that lookups may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnsweredPeppers {
    /// The current one.
    pub current: StoredPepper,
    /// The one before it, for a while after a rotation.
    pub former: Option<StoredPepper>,
}

impl AnsweredPeppers {
    /// Where the hashes of a pepper are that a client has used; `None` if it is not
    /// answered.
    #[must_use]
    pub fn slot(&self, pepper: &str) -> Option<HashSlot> {
        let former = self.former.as_ref();
        std::iter::once(&self.current)
            .chain(former)
            .find(|stored| stored.pepper.as_str() == pepper)
            .map(|stored| stored.slot)
    }
}

/// All stored peppers, the newest first.
fn all(connection: &mut Conn) -> Result<Vec<StoredPepper>, DbError> {
    type Row = (i64, String, i64, i32, bool, i64, i64);
    let rows: Vec<Row> = dsl::lookup_peppers
        .order(dsl::id.desc())
        .select((
            dsl::id,
            dsl::pepper,
            dsl::created_at,
            dsl::slot,
            dsl::is_ready,
            dsl::hashed_to,
            dsl::answered_until,
        ))
        .load_on(connection)?;
    let stored = |(id, pepper, created_at, slot, is_ready, hashed_to, answered_until): Row| {
        let pepper = Pepper::parse(&pepper).map_err(|_invalid| DbError::Corrupt("pepper"))?;
        Ok(StoredPepper {
            id,
            pepper,
            created_at,
            slot: HashSlot::from_number(slot),
            is_ready,
            hashed_to,
            answered_until,
        })
    };
    rows.into_iter().map(stored).collect()
}

/// The current pepper; `None` in a database that no server has started on.
pub fn current(connection: &mut Conn) -> Result<Option<StoredPepper>, DbError> {
    Ok(all(connection)?.into_iter().find(|stored| stored.is_ready))
}

/// The peppers that lookups may use at `now`.
pub fn answered(connection: &mut Conn, now: i64) -> Result<Option<AnsweredPeppers>, DbError> {
    let mut ready = all(connection)?
        .into_iter()
        .filter(|stored| stored.is_ready);
    let Some(current) = ready.next() else {
        return Ok(None);
    };
    let former = ready.find(|stored| stored.answered_until > now && stored.slot != current.slot);
    Ok(Some(AnsweredPeppers { current, former }))
}

/// The pepper that a rotation is hashing with; `None` if none is under way.
pub fn next(connection: &mut Conn) -> Result<Option<StoredPepper>, DbError> {
    Ok(all(connection)?.into_iter().find(|stored| !stored.is_ready))
}

/// The peppers for a transaction that stores an association: the current one, and the
/// former or the next one. Until the transaction ends, no rotation makes a step, and it
/// waits for a step that is running.
///
/// To be called before the transaction changes an association, because a step waits for
/// the rows that it hashes.
pub fn for_hashing(connection: &mut Conn) -> Result<Option<HashingPeppers>, DbError> {
    Lock::Pepper.lock_shared(connection)?;
    let mut peppers = HashingPeppers::default();
    let mut has_current = false;
    for stored in all(connection)? {
        let is_current = stored.is_ready && !has_current;
        has_current |= stored.is_ready;
        let is_used = is_current || !stored.is_ready || stored.answered_until > 0;
        let place = match stored.slot {
            HashSlot::First => &mut peppers.first,
            HashSlot::Second => &mut peppers.second,
        };
        // The newest comes first.
        if is_used && place.is_none() {
            *place = Some(stored.pepper);
        }
    }
    Ok(has_current.then_some(peppers))
}

/// Lets no other transaction store an association until this one ends.
pub fn lock_for_rotation(connection: &mut Conn) -> Result<(), DbError> {
    Lock::Pepper.lock_exclusive(connection)
}

/// Makes `pepper` the first and only one: all associations are hashed with it already.
pub fn set_current(connection: &mut Conn, pepper: &Pepper, now: i64) -> Result<(), DbError> {
    diesel::delete(dsl::lookup_peppers).execute_on(connection)?;
    insert(connection, pepper, HashSlot::First, true, now)
}

fn insert(
    connection: &mut Conn,
    pepper: &Pepper,
    slot: HashSlot,
    is_ready: bool,
    now: i64,
) -> Result<(), DbError> {
    diesel::insert_into(lookup_peppers::table)
        .values((
            dsl::pepper.eq(pepper.as_str()),
            dsl::created_at.eq(now),
            dsl::slot.eq(slot.number()),
            dsl::is_ready.eq(is_ready),
            dsl::hashed_to.eq(0),
            dsl::answered_until.eq(0),
        ))
        .execute_on(connection)?;
    Ok(())
}

/// Starts a rotation to `pepper`, which takes the slot of the former pepper and ends a
/// rotation that is under way. Under [`lock_for_rotation`].
pub fn begin_rotation(connection: &mut Conn, pepper: &Pepper, now: i64) -> Result<(), DbError> {
    let current = current(connection)?.ok_or(DbError::Corrupt("pepper"))?;
    diesel::delete(dsl::lookup_peppers.filter(dsl::id.ne(current.id))).execute_on(connection)?;
    insert(connection, pepper, current.slot.other(), false, now)
}

/// Records up to which row id all associations are hashed with the next pepper.
pub fn record_progress(connection: &mut Conn, id: i64, hashed_to: i64) -> Result<(), DbError> {
    diesel::update(dsl::lookup_peppers.find(id))
        .set(dsl::hashed_to.eq(hashed_to))
        .execute_on(connection)?;
    Ok(())
}

/// Makes the next pepper the current one. The current one is answered for a while.
pub fn finish_rotation(connection: &mut Conn, id: i64, now: i64) -> Result<(), DbError> {
    let until = now.saturating_add(FORMER_PEPPER_MS);
    diesel::update(dsl::lookup_peppers.filter(dsl::id.ne(id)))
        .set(dsl::answered_until.eq(until))
        .execute_on(connection)?;
    diesel::update(dsl::lookup_peppers.find(id))
        .set((dsl::is_ready.eq(true), dsl::created_at.eq(now)))
        .execute_on(connection)?;
    Ok(())
}

/// Deletes peppers that are no longer answered at `now`.
pub fn delete_former(connection: &mut Conn, now: i64) -> Result<(), DbError> {
    let Some(current) = current(connection)? else {
        return Ok(());
    };
    let former = dsl::lookup_peppers
        .filter(dsl::id.lt(current.id))
        .filter(dsl::answered_until.le(now));
    diesel::delete(former).execute_on(connection)?;
    Ok(())
}
