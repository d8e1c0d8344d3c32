//! Work that goes on when its client is gone.
//!
//! actix-web drops a handler's future when the client resets the connection,
//! and with it whatever the handler had not done yet. What changes something
//! therefore runs on the System's main arbiter, which outlives the connection
//! and the HTTP worker.

use std::sync::Arc;
use std::time::Duration;

use actix::ArbiterHandle;
use tokio::sync::{Semaphore, oneshot};

use super::pool::Fault;

/// The place where such work runs.
#[derive(Clone)]
pub struct Detached {
    arbiter: ArbiterHandle,
    door: Arc<Semaphore>,
    places: u32,
}

impl Detached {
    /// At most `places` pieces of work at a time, on that arbiter.
    #[must_use]
    pub fn new(arbiter: ArbiterHandle, places: u32) -> Self {
        Self {
            arbiter,
            door: Arc::new(Semaphore::new(places as usize)),
            places,
        }
    }

    /// Runs `work` to its end, whether or not the caller waits for it.
    ///
    /// # Errors
    /// [`Fault::Busy`] at once when there is no place, and when the server is
    /// stopping; `work` has not begun then.
    pub async fn run<F>(&self, work: F) -> Result<F::Output, Fault>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let place = Arc::clone(&self.door)
            .try_acquire_owned()
            .map_err(|_full| Fault::Busy("detached work"))?;
        let (tell, hear) = oneshot::channel();
        let spawned = self.arbiter.spawn(async move {
            let _ = tell.send(work.await);
            drop(place);
        });
        if !spawned {
            return Err(Fault::Stopped("detached work"));
        }
        hear.await
            .map_err(|_panicked| Fault::Panicked("detached work"))
    }

    /// Lets nothing more in and waits until what runs is done; answers whether
    /// it was within `patience`.
    pub async fn drain(&self, patience: Duration) -> bool {
        let all = tokio::time::timeout(patience, self.door.acquire_many(self.places)).await;
        self.door.close();
        all.is_ok()
    }
}
