//! What the associations actor removes when it was kept long enough. Each message
//! removes a few rows, so that nobody waits for its transaction.

use super::associations::Associations;
use super::pool::{Fault, Kind, Operation};
pub use crate::db::retention::Expiring;
use crate::db::{LockKey, erasures, peers, retention, subject_keys};
use crate::domain::subject_key::SubjectKey;

/// Rows that are removed in one transaction.
pub(super) const BATCH: i64 = 500;

/// Removes rows that are old enough.
#[derive(Debug)]
pub struct PurgeExpiring {
    /// Which rows.
    pub what: Expiring,
    /// Those before that time, ms.
    pub before: i64,
}

impl Operation for PurgeExpiring {
    type State = Associations;
    /// How many were removed; there may be more unless there were none.
    type Output = usize;
    const KIND: Kind = Kind::LongWrite;

    fn run(self, state: &mut Associations) -> Result<usize, Fault> {
        state.store.write(LockKey::Job("retention"), |connection| {
            Ok(retention::purge(connection, self.what, self.before, BATCH)?)
        })
    }
}

/// Replaces the addresses of old removals by keyed hashes.
#[derive(Debug)]
pub struct ForgetRemovals {
    /// The peers that must have received them.
    pub peers: Vec<String>,
    /// Removals before that time, ms.
    pub before: i64,
    /// The key of the hashes, if there is none yet.
    pub fresh_key: SubjectKey,
    /// Now, ms.
    pub now: i64,
}

impl Operation for ForgetRemovals {
    type State = Associations;
    /// How many were replaced; there may be more unless there were none.
    type Output = usize;
    const KIND: Kind = Kind::LongWrite;

    fn run(self, state: &mut Associations) -> Result<usize, Fault> {
        state.store.write(LockKey::Job("retention"), |connection| {
            if retention::is_imported_since(connection, self.before)? {
                return Ok(0);
            }
            let key = subject_keys::for_erasures_or(connection, &self.fresh_key)?;
            let confirmed = peers::confirmed(connection, &self.peers)?;
            Ok(erasures::forget_removals(
                connection,
                &key,
                confirmed,
                self.before,
                self.now,
                BATCH,
            )?)
        })
    }
}
