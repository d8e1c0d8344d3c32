//! Lookups that read from a standby while it is fresh, and from the database otherwise.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::pool::{Fault, Operation, Pool, State};
use crate::domain::freshness::{Millis, Source};
use crate::metrics::Metrics;

/// After an error of the standby, lookups ask the database for so long. The monitor needs
/// about as long to find out whether the standby is there.
const PAUSE_AFTER_ERROR: Millis = 1000;

/// The same after a timeout, which the next lookups should not wait for.
const PAUSE_AFTER_TIMEOUT: Millis = 5000;

/// How often a lookup asks the standby where there is nothing else: the first time may find
/// out that the connection broke.
const ATTEMPTS_ALONE: usize = 2;

/// How long a request waits for a database that is away, or may be: it could be back.
const SPARE_WAIT: Duration = Duration::from_secs(1);

/// Where lookups may read, as the monitor has found out last. Requests look at it without a
/// query or a lock.
#[derive(Debug)]
pub struct ReplicaState {
    started: Instant,
    /// A [`Place`] in the lowest bits, and above them until when it holds.
    published: AtomicU64,
    /// Until when the standby is left alone.
    paused_until: AtomicU64,
    accepts_changes: AtomicBool,
}

/// Where a lookup reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The database.
    Primary,
    /// The standby.
    Standby,
    /// The standby, since the database is away.
    StandbyAlone,
    /// The standby if it is back: neither server answers.
    Neither,
    /// The database, which is away: nothing can be read.
    Nowhere,
}

impl Place {
    const ALL: [Self; 5] = [
        Self::Primary,
        Self::Standby,
        Self::StandbyAlone,
        Self::Neither,
        Self::Nowhere,
    ];
    const BITS: u32 = 3;
}

impl Default for ReplicaState {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            published: AtomicU64::new(0),
            paused_until: AtomicU64::new(0),
            accepts_changes: AtomicBool::new(false),
        }
    }
}

impl ReplicaState {
    /// The time for all that is published.
    #[must_use]
    pub fn now(&self) -> Millis {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Publishes where lookups read. What is not published again by `renew_before` ends: a
    /// monitor that hangs must not keep a standby in use.
    pub fn publish(&self, source: Source, renew_before: Millis) {
        let (place, until) = match source {
            Source::Primary(_) => (Place::Primary, renew_before),
            Source::Standby { until } => (Place::Standby, until),
            Source::StandbyAlone => (Place::StandbyAlone, renew_before),
            Source::Neither => (Place::Neither, renew_before),
            Source::Nowhere(_) => (Place::Nowhere, renew_before),
        };
        let packed = (until << Place::BITS) | place as u64;
        self.published.store(packed, Ordering::Relaxed);
    }

    fn published(&self) -> Place {
        let packed = self.published.load(Ordering::Relaxed);
        if self.now() > packed >> Place::BITS {
            return Place::Primary;
        }
        let is_it = |place: &Place| *place as u64 == packed & ((1 << Place::BITS) - 1);
        let mut all = Place::ALL.into_iter();
        all.find(is_it).unwrap_or(Place::Primary)
    }

    /// Where a lookup reads now.
    #[must_use]
    pub fn place(&self) -> Place {
        match self.published() {
            Place::Standby if self.now() < self.paused_until.load(Ordering::Relaxed) => {
                Place::Primary
            }
            place => place,
        }
    }

    /// Whether no change can be made.
    #[must_use]
    pub fn is_primary_away(&self) -> bool {
        matches!(
            self.published(),
            Place::StandbyAlone | Place::Neither | Place::Nowhere
        )
    }

    /// Publishes whether the database accepts changes.
    pub fn publish_changes(&self, are_accepted: bool) {
        self.accepts_changes.store(are_accepted, Ordering::Relaxed);
    }

    /// Whether the database has said last that it accepts changes.
    #[must_use]
    pub fn accepts_changes(&self) -> bool {
        self.accepts_changes.load(Ordering::Relaxed)
    }

    /// What a request would like to have of the database, but can do without. `None` if the
    /// database is away, or does not answer soon: it may be away without being known to be.
    pub async fn spare<T>(
        &self,
        asked: impl Future<Output = Result<T, Fault>>,
    ) -> Option<Result<T, Fault>> {
        if self.is_primary_away() {
            return None;
        }
        tokio::time::timeout(SPARE_WAIT, asked).await.ok()
    }

    /// Leaves the standby alone for a while.
    fn pause(&self, fault: &Fault) {
        let pause = match fault {
            // The query was in the way of changes; the next one may not be.
            Fault::Database(error) if error.is_recovery_conflict() => return,
            Fault::Stopped(_) => return,
            Fault::TimedOut(_) => PAUSE_AFTER_TIMEOUT,
            _ => PAUSE_AFTER_ERROR,
        };
        let now = self.now();
        let before = self.paused_until.fetch_max(now + pause, Ordering::Relaxed);
        if before <= now {
            log::warn!("the standby did not answer a lookup: {fault}");
        }
    }
}

/// A pool for lookups, and perhaps the same one on a standby.
pub struct Reads<S: State> {
    primary: Pool<S>,
    standby: Option<Standby<S>>,
}

struct Standby<S: State> {
    pool: Pool<S>,
    state: Arc<ReplicaState>,
    metrics: Arc<Metrics>,
}

impl<S: State> Reads<S> {
    /// Everything is read from the database.
    #[must_use]
    pub fn new(primary: Pool<S>) -> Self {
        Self {
            primary,
            standby: None,
        }
    }

    /// Reads from `standby` when `state` says so.
    #[must_use]
    pub fn with_standby(
        self,
        standby: Pool<S>,
        state: Arc<ReplicaState>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let standby = Standby {
            pool: standby,
            state,
            metrics,
        };
        Self {
            standby: Some(standby),
            ..self
        }
    }

    /// Reads from the standby if it is fresh, and otherwise, or if it fails or its answer is
    /// not final, from the database. An answer is not final if it would be another one once
    /// the standby knows what a client did a moment ago.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn send<O>(
        &self,
        operation: O,
        is_final: impl Fn(&O::Output) -> bool,
    ) -> Result<O::Output, Fault>
    where
        O: Operation<State = S> + Clone,
    {
        let Some(standby) = &self.standby else {
            return self.primary.send(operation).await;
        };
        let attempts = match standby.state.place() {
            Place::Primary | Place::Nowhere => 0,
            Place::Standby => 1,
            Place::StandbyAlone | Place::Neither => ATTEMPTS_ALONE,
        };
        for _ in 0..attempts {
            match standby.pool.send(operation.clone()).await {
                Ok(output) if is_final(&output) => {
                    standby.metrics.replica().answered("standby");
                    return Ok(output);
                }
                Ok(_) => break,
                Err(fault) => standby.state.pause(&fault),
            }
        }
        let asked = self.primary.send(operation);
        let answer = if standby.state.is_primary_away() {
            let answer = tokio::time::timeout(SPARE_WAIT, asked).await;
            answer.unwrap_or(Err(Fault::TimedOut(S::NAME)))
        } else {
            asked.await
        };
        if answer.is_ok() {
            standby.metrics.replica().answered("primary");
        }
        answer
    }
}

/// How long a lookup waits for the standby before it asks the database.
#[must_use]
pub fn longest_wait(request_timeout: Duration) -> Duration {
    (request_timeout / 4).min(Duration::from_secs(2))
}

#[cfg(test)]
#[path = "replica_tests.rs"]
mod tests;
