//! Whether the relay takes mail, as the last deliveries saw it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::refusal::StepFailure;
use crate::delivery::mail::SendFailure;

/// What is known of the relay. Nothing is sent to find out: the next mail tells.
#[derive(Debug)]
pub struct RelayHealth {
    name: String,
    failing: Mutex<Option<Failing>>,
}

#[derive(Debug)]
struct Failing {
    since: Instant,
    failures: u64,
    replied: bool,
    reason: String,
}

/// The relay does not take mail at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayTrouble {
    /// Its host and port.
    pub relay: String,
    /// Whether it refuses mail, rather than not answering.
    pub replied: bool,
    /// The time since the first failure after the last success.
    pub failing_for: Duration,
    /// The failed attempts since then.
    pub failures: u64,
    /// Why the last attempt failed, without addresses.
    pub reason: String,
}

impl RelayHealth {
    pub(super) fn new(host: &str, port: u16) -> Self {
        Self {
            name: if host.contains(':') {
                format!("[{host}]:{port}")
            } else {
                format!("{host}:{port}")
            },
            failing: Mutex::new(None),
        }
    }

    /// Its host and port.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The trouble with the relay, if the last attempt failed for its sake.
    #[must_use]
    pub fn trouble(&self) -> Option<RelayTrouble> {
        self.lock().as_ref().map(|failing| RelayTrouble {
            relay: self.name.clone(),
            replied: failing.replied,
            failing_for: failing.since.elapsed(),
            failures: failing.failures,
            reason: failing.reason.clone(),
        })
    }

    /// Records the outcome of an attempt. A refused recipient or message shows that
    /// the relay works.
    pub(super) fn record(&self, outcome: &Result<(), StepFailure>) {
        let mut failing = self.lock();
        let failure = match outcome {
            Ok(()) => None,
            Err(failure) => match failure.failure {
                SendFailure::Permanent { .. } => None,
                _ => Some(failure),
            },
        };
        let Some(failure) = failure else {
            *failing = None;
            return;
        };
        let before = failing.take();
        *failing = Some(Failing {
            since: before
                .as_ref()
                .map_or_else(Instant::now, |before| before.since),
            failures: before.map_or(0, |before| before.failures).saturating_add(1),
            replied: failure.replied,
            reason: failure.failure.to_string(),
        });
    }

    /// Records that the relay has not answered for a while, and is waited for.
    pub(super) fn record_slow(&self, waited: Duration) {
        let mut failing = self.lock();
        if failing.is_none() {
            *failing = Some(Failing {
                since: Instant::now()
                    .checked_sub(waited)
                    .unwrap_or_else(Instant::now),
                failures: 0,
                replied: false,
                reason: format!("no outcome of an email after {waited:?}; still waiting"),
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Failing>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(failure: SendFailure, replied: bool) -> Result<(), StepFailure> {
        Err(StepFailure {
            failure,
            session: false,
            replied,
            outage: false,
        })
    }

    #[test]
    fn last_outcome_decides() {
        let health = RelayHealth::new("::1", 25);
        assert_eq!(health.trouble(), None);
        health.record(&failed(SendFailure::transient("a"), false));
        health.record(&failed(SendFailure::transient("b"), true));
        let trouble = health.trouble().unwrap();
        assert_eq!((&*trouble.relay, &*trouble.reason), ("[::1]:25", "b"));
        assert_eq!((trouble.failures, trouble.replied), (2, true));
        health.record(&failed(SendFailure::unwritable(), true));
        assert_eq!(health.trouble(), None);
        health.record(&failed(SendFailure::uncertain("c"), false));
        assert_eq!(health.trouble().unwrap().failures, 1);
        health.record(&Ok(()));
        assert_eq!(health.trouble(), None);
        health.record_slow(Duration::from_secs(30));
        assert!(health.trouble().unwrap().failing_for >= Duration::from_secs(30));
        health.record(&Ok(()));
        assert_eq!(health.trouble(), None);
    }
}
