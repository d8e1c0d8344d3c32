//! What the associations actor does with the data of one person: shows it, erases it,
//! and ends an erasure when the peers have heard of it.

use super::associations::Associations;
use super::pool::{Fault, Kind, Operation};
use crate::db::person::{self, Action, Named, Removal};
use crate::db::{LockKey, erasures, own, peers, pending_rewrites, subject_keys};
use crate::domain::person::{Person, PersonRecords, RowCounts};
use crate::domain::subject_key::SubjectKey;

/// Shows everything about a person.
#[derive(Debug)]
pub struct ShowPerson {
    /// Who it is.
    pub named: Named,
    /// Leaves out other addresses and users of the person.
    pub is_alone: bool,
}

impl Operation for ShowPerson {
    type State = Associations;
    type Output = (Person, PersonRecords);
    const KIND: Kind = Kind::Read;

    fn run(self, state: &mut Associations) -> Result<Self::Output, Fault> {
        state.store.snapshot(|connection| {
            let person = person::find(connection, &self.named, self.is_alone)?;
            let records = person::export(connection, &person)?;
            Ok((person, records))
        })
    }
}

/// Records that the data of a person was exported.
#[derive(Debug)]
pub struct RecordExport {
    /// Who it is.
    pub named: Named,
    /// What was exported.
    pub affected: RowCounts,
    /// The key for erasures, if there is none yet.
    pub fresh_key: SubjectKey,
    /// Now, ms.
    pub now: i64,
}

impl Operation for RecordExport {
    type State = Associations;
    type Output = ();

    fn run(self, state: &mut Associations) -> Result<(), Fault> {
        state.store.write(LockKey::Job("audit"), |connection| {
            let key = subject_keys::for_erasures_or(connection, &self.fresh_key)?;
            let (named, affected) = (&self.named, &self.affected);
            person::record(connection, Action::Export, named, &key, affected, self.now)?;
            Ok(())
        })
    }
}

/// Erases everything about a person, unless the person has other addresses or users by
/// now than those that were shown.
#[derive(Debug)]
pub struct ErasePerson {
    /// Who it is.
    pub named: Named,
    /// Leaves other addresses and users of the person as they are.
    pub is_alone: bool,
    /// The person as it was shown.
    pub shown: Person,
    /// The key for erasures, if there is none yet.
    pub fresh_key: SubjectKey,
    /// The peers that must receive the removals.
    pub peers: Vec<String>,
    /// Now, ms.
    pub now: i64,
}

impl Operation for ErasePerson {
    type State = Associations;
    /// The rows that were erased, by table; `None` if the person has changed.
    type Output = Option<RowCounts>;
    const KIND: Kind = Kind::LongWrite;

    fn run(self, state: &mut Associations) -> Result<Self::Output, Fault> {
        let (origin, own_keys) = (state.origin.clone(), state.own_keys.clone());
        state
            .store
            .write(LockKey::Person(&self.shown), |connection| {
                let person = person::find(connection, &self.named, self.is_alone)?;
                if person != self.shown {
                    return Ok(None);
                }
                for threepid in &person.threepids {
                    own::adopt(connection, threepid, &origin, &own_keys)?;
                }
                let erased = person::export(connection, &person)?.counts();
                let key = subject_keys::for_erasures_or(connection, &self.fresh_key)?;
                let (named, now) = (&self.named, self.now);
                person::record(connection, Action::Erase, named, &key, &erased, now)?;
                pending_rewrites::request(connection, now)?;
                person::erase_all(connection, &person, &key)?;
                let removal = Removal {
                    origin: &origin,
                    key: &key,
                    confirmed: peers::confirmed(connection, &self.peers)?,
                    now,
                };
                person::erase_bindings(connection, &person, &removal)?;
                Ok(Some(erased))
            })
    }
}

/// Erasures that are ended in one transaction.
const BATCH: i64 = 200;

/// Removes erased addresses from the journal, once all peers have received that they
/// were removed.
#[derive(Debug)]
pub struct FinishErasures {
    /// The peers.
    pub peers: Vec<String>,
    /// Erasures before that time no longer wait for peers, ms.
    pub give_up_before: i64,
    /// Now, ms.
    pub now: i64,
}

/// What [`FinishErasures`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    /// How many addresses were removed from the journal.
    pub finished: usize,
    /// How many are still in it.
    pub waiting: i64,
}

impl Operation for FinishErasures {
    type State = Associations;
    type Output = Finished;
    const KIND: Kind = Kind::LongWrite;

    fn run(self, state: &mut Associations) -> Result<Finished, Fault> {
        state.store.write(LockKey::Job("erasures"), |connection| {
            let confirmed = peers::confirmed(connection, &self.peers)?;
            let finished = erasures::finish(connection, confirmed, self.give_up_before, BATCH)?;
            if finished > 0 {
                pending_rewrites::request(connection, self.now)?;
            }
            Ok(Finished {
                finished,
                waiting: erasures::unconfirmed(connection)?,
            })
        })
    }
}
