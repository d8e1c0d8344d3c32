//! The key of the pseudonyms in the log, which is new every day.

use super::associations::Associations;
use super::pool::{Fault, Operation};
use crate::db::{LockKey, subject_keys};
use crate::domain::subject_key::SubjectKey;

/// Reads the key of a day, and deletes those of other days.
#[derive(Debug)]
pub struct PseudonymKey {
    /// The day, such as `2026-11-28`.
    pub day: String,
    /// The key, if there is none yet.
    pub fresh: SubjectKey,
}

impl Operation for PseudonymKey {
    type State = Associations;
    type Output = SubjectKey;

    fn run(self, state: &mut Associations) -> Result<SubjectKey, Fault> {
        state.store.write(LockKey::Job("pseudonyms"), |connection| {
            let (day, fresh) = (&self.day, &self.fresh);
            Ok(subject_keys::for_pseudonyms_or(connection, day, fresh)?)
        })
    }
}
