//! Rotation of the lookup pepper (LKP-11).

use super::associations::Associations;
use super::pool::{Fault, Operation};
use crate::db::associations::Hashable;
use crate::db::{Conn, DbError, LockKey, associations, peppers};
use crate::domain::lookup::{self, Hashes, Pepper};
use crate::domain::threepid::ThreePid;
use crate::random::{self, RandomError};

/// A random pepper.
///
/// # Errors
/// When the operating system gives no random bytes.
pub fn fresh_pepper() -> Result<Pepper, RandomError> {
    let mut bytes = [0; 16];
    random::fill(&mut bytes)?;
    Ok(Pepper::from_random(u128::from_le_bytes(bytes)))
}

/// Makes a pepper the current one and hashes every association with it, in one
/// transaction: lookups use the old pepper until it ends, and then the new one,
/// on every instance that shares the database. Meanwhile SQLite blocks all
/// writes; PostgreSQL blocks binds, which fail after a lock timeout of 20 s.
#[derive(Debug)]
pub struct RotatePepper {
    /// The new pepper.
    pub pepper: Pepper,
    /// Does nothing when the current pepper is newer than that, ms. This is
    /// checked again under the lock, so that of several instances one rotates.
    pub if_before: Option<i64>,
    /// Now, ms.
    pub now: i64,
}

impl RotatePepper {
    fn is_due(&self, current: Option<&peppers::StoredPepper>) -> bool {
        match (self.if_before, current) {
            (Some(before), Some(current)) => current.created_at <= before,
            _ => true,
        }
    }
}

impl Operation for RotatePepper {
    type State = Associations;
    /// How many associations were hashed; `None` when it was not due.
    type Output = Option<usize>;

    fn run(self, state: &mut Associations) -> Result<Option<usize>, Fault> {
        state.store.write(LockKey::Job("pepper"), |connection| {
            // Without the lock, so that a rotation that is not due blocks no binds.
            if !self.is_due(peppers::current(connection)?.as_ref()) {
                return Ok(None);
            }
            let current = peppers::current_for_rotation(connection)?;
            if !self.is_due(current.as_ref()) {
                return Ok(None);
            }
            if current.is_none_or(|current| current.pepper != self.pepper) {
                peppers::set_current(connection, &self.pepper, self.now)?;
            }
            Ok(Some(hash_all(connection, &self.pepper)?))
        })
    }
}

/// Associations that are in memory at a time.
const CHUNK: i64 = 2000;

/// Adds the other forms of addresses, and their hashes, to associations from before this
/// server stored them. Locks the pepper against a rotation. Returns how many were looked
/// at.
///
/// # Errors
/// When the database fails.
pub fn add_other_forms(connection: &mut Conn) -> Result<usize, DbError> {
    let Some(current) = peppers::current_for_hashing(connection)? else {
        return Ok(0);
    };
    hash_each(
        connection,
        &current.pepper,
        associations::without_other_form,
    )
}

fn hash_all(connection: &mut Conn, pepper: &Pepper) -> Result<usize, DbError> {
    hash_each(connection, pepper, associations::after)
}

/// Hashes what `after` returns, by row id in chunks.
fn hash_each(
    connection: &mut Conn,
    pepper: &Pepper,
    after: fn(&mut Conn, i64, i64) -> Result<Vec<Hashable>, DbError>,
) -> Result<usize, DbError> {
    let (mut last, mut count) = (i64::MIN, 0);
    loop {
        let chunk = after(connection, last, CHUNK)?;
        let Some(end) = chunk.last() else {
            return Ok(count);
        };
        last = end.id;
        count += chunk.len();
        let (ids, hashes): (Vec<i64>, Vec<Hashes>) = chunk
            .into_iter()
            .map(|row| (row.id, hashes(row, pepper)))
            .unzip();
        associations::set_lookup_hashes(connection, &ids, &hashes)?;
    }
}

fn hashes(row: Hashable, pepper: &Pepper) -> Hashes {
    let hash = |address: &str| lookup::hash(address, &row.medium, pepper);
    // A row from before this server stored other forms has none.
    let other_form = row.other_form.or_else(|| {
        let threepid = ThreePid::parse(&row.medium, &row.address).ok()?;
        threepid.other_form()
    });
    Hashes {
        canonical: hash(&row.address),
        other: other_form.map(|form| {
            let hash = hash(&form);
            (form, hash)
        }),
    }
}
