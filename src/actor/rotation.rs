//! Changing the pepper of look-ups (LKP-11).

use super::associations::Associations;
use super::pool::{Fault, Operation};
use crate::db::{Conn, DbError, LockKey, associations, peppers};
use crate::domain::lookup::{self, Pepper};
use crate::random::{self, RandomError};

/// A pepper that nobody had before.
///
/// # Errors
/// When the operating system gives no random numbers.
pub fn fresh_pepper() -> Result<Pepper, RandomError> {
    let mut bytes = [0; 16];
    random::fill(&mut bytes)?;
    Ok(Pepper::of(u128::from_le_bytes(bytes)))
}

/// Makes a pepper the current one and hashes every association with it, in one
/// transaction: until it ends everybody finds everything with the old one, and
/// then with the new one, on every instance that shares the database. Meanwhile
/// on SQLite every change of anything waits; on PostgreSQL only who binds does, and
/// fails after the patience of its connection, 20 s.
#[derive(Debug)]
pub struct RotatePepper {
    /// The pepper from now on.
    pub pepper: Pepper,
    /// Nothing is done when the current one is newer than that, ms. It is asked
    /// again when it is this rotation's turn, so that of several instances one
    /// rotates.
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
            // Without keeping anybody from binding, as long as it is not due.
            if !self.is_due(peppers::current(connection)?.as_ref()) {
                return Ok(None);
            }
            let current = peppers::current_to_replace(connection)?;
            if !self.is_due(current.as_ref()) {
                return Ok(None);
            }
            if current.is_none_or(|current| current.pepper != self.pepper) {
                peppers::add(connection, &self.pepper, self.now)?;
            }
            Ok(Some(hash_all(connection, &self.pepper)?))
        })
    }
}

/// So many are in memory at a time.
const CHUNK: i64 = 2000;

fn hash_all(connection: &mut Conn, pepper: &Pepper) -> Result<usize, DbError> {
    let (mut last, mut count) = (i64::MIN, 0);
    loop {
        let chunk = associations::after(connection, last, CHUNK)?;
        let Some(end) = chunk.last() else {
            return Ok(count);
        };
        last = end.id;
        count += chunk.len();
        let (ids, hashes): (Vec<i64>, Vec<String>) = chunk
            .iter()
            .map(|row| (row.id, lookup::hash(&row.address, &row.medium, pepper)))
            .unzip();
        associations::set_hashes(connection, &ids, &hashes)?;
    }
}
