//! The only place that reads the wall clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::time::UnixMillis;

/// A source of the current time: the system, or a number that a test sets.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// The system's wall clock.
    #[must_use]
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that returns the value of the returned number, in milliseconds since the
    /// epoch.
    #[must_use]
    pub fn settable(start: i64) -> (Self, Arc<AtomicI64>) {
        let time = Arc::new(AtomicI64::new(start));
        (Self(Some(Arc::clone(&time))), time)
    }

    /// The current time.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the only reader of the wall clock"
    )]
    pub fn now(&self) -> UnixMillis {
        UnixMillis::new(match &self.0 {
            Some(time) => time.load(Ordering::SeqCst),
            None => epoch_ms(SystemTime::now()),
        })
    }
}

/// Milliseconds since the epoch; 0 for an earlier time.
#[must_use]
pub fn epoch_ms(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}
