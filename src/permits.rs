//! A bounded number of things at a time. A caller may wait for its turn or take full
//! for an answer, and a stop waits for what is under way.

mod bodies;
mod shares;
mod turns;

pub(crate) use bodies::{BodyLimits, Room, Sender};
pub(crate) use shares::{NoShare, Share, Shares};
pub(crate) use turns::Turns;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Hands out a fixed number of [`Permit`]s. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Permits {
    semaphore: Arc<Semaphore>,
    max: u32,
    draining: Arc<AtomicBool>,
}

/// The right to do one thing; it is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    _permit: OwnedSemaphorePermit,
}

/// Why there is no permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPermit {
    /// All are in use.
    Full,
    /// A drain has started.
    Closed,
}

impl Permits {
    /// At most `max` at a time.
    #[must_use]
    pub(crate) fn new(max: u32) -> Self {
        Self {
            semaphore: Arc::new(Semaphore::new(max as usize)),
            max,
            draining: Arc::default(),
        }
    }

    /// Takes one.
    ///
    /// # Errors
    /// At once, when there is none.
    pub(crate) fn try_acquire(&self) -> Result<Permit, NoPermit> {
        self.unless_draining(Arc::clone(&self.semaphore).try_acquire_owned().ok())
    }

    /// Waits for one, in the order of the calls.
    ///
    /// # Errors
    /// [`NoPermit::Closed`] once a drain has started.
    pub(crate) async fn acquire(&self) -> Result<Permit, NoPermit> {
        self.unless_draining(Arc::clone(&self.semaphore).acquire_owned().await.ok())
    }

    /// Called while the permit is held: either the drain waits for it, or the drain
    /// is seen here.
    fn unless_draining(&self, permit: Option<OwnedSemaphorePermit>) -> Result<Permit, NoPermit> {
        if self.draining.load(Ordering::SeqCst) {
            return Err(NoPermit::Closed);
        }
        let permit = permit.ok_or(NoPermit::Full)?;
        Ok(Permit { _permit: permit })
    }

    /// Hands out no more and waits until all are back. Returns whether they were
    /// within `limit`.
    pub(crate) async fn drain(&self, limit: Duration) -> bool {
        self.draining.store(true, Ordering::SeqCst);
        timeout(limit, self.semaphore.acquire_many(self.max))
            .await
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn acquire_fails_when_full() {
        let permits = Permits::new(2);
        let first = permits.try_acquire().unwrap();
        let _second = permits.clone().try_acquire().unwrap();
        assert_eq!(permits.try_acquire().unwrap_err(), NoPermit::Full);
        drop(first);
        assert!(permits.try_acquire().is_ok());
    }

    #[tokio::test]
    async fn acquire_waits_for_its_turn_or_a_drain() {
        let permits = Permits::new(1);
        let first = permits.acquire().await.unwrap();
        let (clone, other) = (permits.clone(), permits.clone());
        let second = tokio::spawn(async move { clone.acquire().await });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        let second = second.await.unwrap().unwrap();
        let third = tokio::spawn(async move { other.acquire().await });
        tokio::task::yield_now().await;
        assert!(!permits.drain(Duration::from_millis(1)).await);
        drop(second);
        assert_eq!(third.await.unwrap().unwrap_err(), NoPermit::Closed);
        assert!(permits.drain(Duration::from_secs(5)).await);
    }

    #[tokio::test]
    async fn drain_closes_at_once_and_waits() {
        let permits = Permits::new(1);
        let permit = permits.try_acquire().unwrap();
        assert!(!permits.drain(Duration::from_millis(1)).await);
        // Closed, although the only permit is in use as well.
        assert_eq!(permits.try_acquire().unwrap_err(), NoPermit::Closed);
        drop(permit);
        assert!(permits.drain(Duration::from_millis(1)).await);
        assert_eq!(permits.try_acquire().unwrap_err(), NoPermit::Closed);
    }
}
