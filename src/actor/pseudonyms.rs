//! The key of the pseudonyms in the log, which is new every day.

use super::associations::Associations;
use super::pool::{Fault, Operation};
use crate::db::{LockKey, subject_keys};
use crate::domain::subject_key::SubjectKey;
use crate::random;

/// Reads the key of a day, and deletes those of earlier days.
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

/// Deletes the keys of earlier days, whether the log still has pseudonyms or not.
#[derive(Debug)]
pub struct ForgetPseudonyms {
    /// Today.
    pub day: String,
}

impl Operation for ForgetPseudonyms {
    type State = Associations;
    type Output = ();

    fn run(self, state: &mut Associations) -> Result<(), Fault> {
        state.store.write(LockKey::Job("pseudonyms"), |connection| {
            Ok(subject_keys::forget_pseudonyms_before(
                connection, &self.day,
            )?)
        })
    }
}

/// A random key for hashes of people.
///
/// # Errors
/// When the operating system gives no random bytes.
pub(crate) fn fresh_key() -> Result<SubjectKey, Fault> {
    random::key()
        .map(SubjectKey::from_random)
        .map_err(|_error| Fault::Internal("no random bytes"))
}
