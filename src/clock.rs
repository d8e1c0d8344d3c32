//! The only place that reads the wall clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the present comes from: the machine, or a number that a test sets.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// The machine's wall clock.
    #[must_use]
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that stands still until somebody moves the returned number,
    /// which is milliseconds since the epoch.
    #[must_use]
    pub fn settable(start: i64) -> (Self, Arc<AtomicI64>) {
        let hand = Arc::new(AtomicI64::new(start));
        (Self(Some(Arc::clone(&hand))), hand)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one reader of the wall clock"
    )]
    pub fn now(&self) -> i64 {
        match &self.0 {
            Some(hand) => hand.load(Ordering::SeqCst),
            None => epoch_ms(SystemTime::now()),
        }
    }
}

/// Milliseconds since the epoch; 0 for what was before it.
#[must_use]
pub fn epoch_ms(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}
