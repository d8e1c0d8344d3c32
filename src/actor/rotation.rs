//! Rotation of the lookup pepper (LKP-11).

use super::associations::Associations;
use super::pool::{Fault, Kind, Operation};
use crate::db::associations::Hashable;
use crate::db::peppers::StoredPepper;
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

/// One step of a rotation, in a short transaction: starts it if it is due, or hashes some
/// associations with the next pepper. The step that finds none left makes it the current
/// pepper.
///
/// Lookups use the current pepper until then, and the former one for a while afterwards:
/// its hashes are in other columns. Instances that share the database may take steps in
/// turn, and any of them goes on after a crash.
#[derive(Debug)]
pub struct RotatePepper {
    /// The new pepper, if this step starts the rotation.
    pub pepper: Pepper,
    /// Whether it starts one.
    pub start: RotationStart,
    /// Now, ms.
    pub now: i64,
}

/// When a rotation is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotationStart {
    /// Instead of one that is under way.
    Now,
    /// If none is under way and the current pepper is not newer than that, ms.
    IfOlderThan(i64),
    /// Not by this step.
    Never,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotationStep {
    /// Nothing: no rotation is due or under way.
    Idle,
    /// It hashed so many associations; there may be more.
    Hashed(usize),
    /// It hashed so many associations, the last ones.
    Finished(usize),
}

impl Operation for RotatePepper {
    type State = Associations;
    type Output = RotationStep;
    const KIND: Kind = Kind::LongWrite;

    fn run(self, state: &mut Associations) -> Result<RotationStep, Fault> {
        state.store.write(LockKey::Job("pepper"), |connection| {
            let next = peppers::next(connection)?;
            if self.is_due(connection, next.is_some())? {
                peppers::lock_for_rotation(connection)?;
                peppers::begin_rotation(connection, &self.pepper, self.now)?;
                return Ok(RotationStep::Hashed(0));
            }
            let Some(next) = next else {
                peppers::delete_former(connection, self.now)?;
                return Ok(RotationStep::Idle);
            };
            peppers::lock_for_rotation(connection)?;
            let hashed = hash_some(connection, &next)?;
            if hashed == BATCH {
                return Ok(RotationStep::Hashed(hashed));
            }
            // New associations are hashed with the next pepper from its start on.
            peppers::finish_rotation(connection, next.id, self.now)?;
            Ok(RotationStep::Finished(hashed))
        })
    }
}

impl RotatePepper {
    fn is_due(&self, connection: &mut Conn, is_under_way: bool) -> Result<bool, DbError> {
        match self.start {
            RotationStart::Now => Ok(true),
            RotationStart::Never => Ok(false),
            RotationStart::IfOlderThan(_) if is_under_way => Ok(false),
            RotationStart::IfOlderThan(before) => {
                let current = peppers::current(connection)?;
                Ok(current.is_some_and(|current| current.created_at <= before))
            }
        }
    }
}

/// Associations that are hashed in one step, while no other can be stored.
const BATCH: usize = 500;

fn hash_some(connection: &mut Conn, next: &StoredPepper) -> Result<usize, DbError> {
    let limit = i64::try_from(BATCH).unwrap_or(i64::MAX);
    let rows = associations::after(connection, next.hashed_to(), limit)?;
    let Some(last) = rows.last().map(|row| row.id) else {
        return Ok(0);
    };
    let (ids, hashes): (Vec<i64>, Vec<Hashes>) = rows
        .into_iter()
        .map(|row| (row.id, hashes(row, &next.pepper)))
        .unzip();
    associations::set_lookup_hashes(connection, next.slot, &ids, &hashes)?;
    peppers::record_progress(connection, next.id, last)?;
    Ok(ids.len())
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
