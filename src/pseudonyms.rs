//! Pseudonyms of people for the log (`log.personal_data`): the same for all requests of a
//! person on one day, on every instance, and others on the next day.

use std::sync::{Mutex, PoisonError};

use crate::actor::associations::Associations;
use crate::actor::pool::{Fault, Pool};
use crate::actor::pseudonyms::{PseudonymKey, fresh_key};
use crate::clock::Clock;
use crate::domain::subject_key::SubjectKey;

/// Makes pseudonyms.
pub struct Pseudonyms {
    associations: Pool<Associations>,
    clock: Clock,
    current: Mutex<Option<(String, SubjectKey)>>,
}

impl Pseudonyms {
    /// The keys are in the database, so that all instances have the same.
    #[must_use]
    pub fn new(associations: Pool<Associations>, clock: Clock) -> Self {
        Self {
            associations,
            clock,
            current: Mutex::default(),
        }
    }

    /// The key of today, if it was read before.
    #[must_use]
    pub fn known_key(&self) -> Option<SubjectKey> {
        self.known(&self.today())
    }

    fn today(&self) -> String {
        self.clock.now().utc_day().unwrap_or_default()
    }

    /// Reads the key of today.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn read_key(&self) -> Result<SubjectKey, Fault> {
        let day = self.today();
        let fresh = fresh_key()?;
        let get = PseudonymKey {
            day: day.clone(),
            fresh,
        };
        let key = self.associations.send(get).await?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Some((day, key.clone()));
        Ok(key)
    }

    fn known(&self, day: &str) -> Option<SubjectKey> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let known = current.as_ref().filter(|(known, _)| known == day);
        known.map(|(_, key)| key.clone())
    }
}
