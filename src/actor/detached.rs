//! Work that goes on when its client is gone.
//!
//! actix-web drops a handler's future when the client resets the connection,
//! and with it whatever the handler had not done yet. What changes something
//! therefore runs on the System's main arbiter, which outlives the connection
//! and the HTTP worker.

use std::sync::Arc;
use std::time::Duration;

use actix::ArbiterHandle;
use tokio::sync::{Semaphore, TryAcquireError, oneshot};

use super::pool::Fault;
use crate::metrics::Metrics;

/// The place where such work runs.
#[derive(Clone)]
pub struct Detached {
    arbiter: ArbiterHandle,
    door: Arc<Semaphore>,
    places: u32,
    name: &'static str,
    metrics: Arc<Metrics>,
}

impl Detached {
    /// At most `places` pieces of work at a time, on that arbiter; `name` is
    /// what logs and metrics call it.
    #[must_use]
    pub fn new(
        arbiter: ArbiterHandle,
        places: u32,
        name: &'static str,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            arbiter,
            door: Arc::new(Semaphore::new(places as usize)),
            places,
            name,
            metrics,
        }
    }

    /// Runs `work` to its end, whether or not the caller waits for it.
    ///
    /// # Errors
    /// [`Fault::Busy`] at once when there is no place, [`Fault::Stopped`] when
    /// the door is shut; `work` has not begun then.
    pub async fn run<F>(&self, work: F) -> Result<F::Output, Fault>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let place = Arc::clone(&self.door)
            .try_acquire_owned()
            .map_err(|error| match error {
                TryAcquireError::NoPermits => {
                    self.metrics.owner_refused(self.name);
                    Fault::Busy(self.name)
                }
                TryAcquireError::Closed => Fault::Stopped(self.name),
            })?;
        let (tell, hear) = oneshot::channel();
        let spawned = self.arbiter.spawn(async move {
            let _ = tell.send(work.await);
            drop(place);
        });
        if !spawned {
            return Err(Fault::Stopped(self.name));
        }
        hear.await.map_err(|_panicked| Fault::Panicked(self.name))
    }

    /// Lets nothing more in and waits until what runs is done; answers whether
    /// it was within `patience`.
    pub async fn drain(&self, patience: Duration) -> bool {
        let all = tokio::time::timeout(patience, self.door.acquire_many(self.places)).await;
        self.door.close();
        all.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use actix::Arbiter;

    use super::*;

    #[actix_web::test]
    async fn a_full_door_is_busy_and_counted_and_a_shut_one_has_stopped() {
        let metrics: Arc<Metrics> = Arc::default();
        let work = Detached::new(Arbiter::current(), 1, "work", Arc::clone(&metrics));
        let place = Arc::clone(&work.door).try_acquire_owned().unwrap();
        assert!(matches!(work.run(async {}).await, Err(Fault::Busy("work"))));
        let counted = "sydent_owner_refused_total{owner=\"work\"} 1";
        assert!(metrics.render().unwrap().contains(counted));

        drop(place);
        assert!(work.run(async {}).await.is_ok());
        assert!(work.drain(Duration::from_secs(5)).await);
        let ended = work.run(async {}).await;
        assert!(matches!(ended, Err(Fault::Stopped("work"))), "{ended:?}");
    }
}
