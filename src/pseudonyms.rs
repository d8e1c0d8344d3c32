//! Pseudonyms of people for the log (`log.personal_data`): the same for all requests of a
//! person on one day, on every instance, and others on the next day.

use std::sync::{Mutex, PoisonError};

use crate::actor::associations::Associations;
use crate::actor::pool::{Fault, Pool};
use crate::actor::pseudonyms::PseudonymKey;
use crate::clock::Clock;
use crate::domain::subject_key::SubjectKey;
use crate::domain::time::UnixMillis;
use crate::random;

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

    /// The key of today.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn key(&self) -> Result<SubjectKey, Fault> {
        let day = day(self.clock.now());
        if let Some(key) = self.known(&day) {
            return Ok(key);
        }
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

/// The day of a moment, in UTC.
#[must_use]
pub(crate) fn day(now: UnixMillis) -> String {
    let seconds = now.as_i64().div_euclid(1000);
    let moment = time::OffsetDateTime::from_unix_timestamp(seconds);
    moment.map_or_else(|_| String::new(), |moment| moment.date().to_string())
}

fn fresh_key() -> Result<SubjectKey, Fault> {
    let mut bytes = [0; 32];
    random::fill(&mut bytes).map_err(|_error| Fault::Internal("no random bytes"))?;
    Ok(SubjectKey::from_random(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn day_is_that_of_utc() {
        let day_of = |ms| day(UnixMillis::new(ms));
        assert_eq!(day_of(1_795_910_399_999), "2026-11-28");
        assert_eq!(day_of(1_795_910_400_000), "2026-11-29");
    }
}
