//! Work that is completed even when its client disconnects.
//!
//! actix-web drops a handler's future when the client resets the connection,
//! and with it every step that had not run yet. A sequence that changes
//! something therefore runs on the System's main arbiter, which outlives both
//! the connection and the HTTP worker.

use std::sync::Arc;
use std::time::Duration;

use actix::ArbiterHandle;
use tokio::sync::oneshot;

use super::pool::Fault;
use crate::metrics::Metrics;
use crate::permits::{NoPermit, Permits};

/// Runs such work, a bounded number at a time.
#[derive(Clone)]
pub struct Detached {
    arbiter: ArbiterHandle,
    permits: Permits,
    name: &'static str,
    metrics: Arc<Metrics>,
}

impl Detached {
    /// Runs at most `max` futures at a time on `arbiter`. `name` is for logs and
    /// metrics.
    #[must_use]
    pub fn new(
        arbiter: ArbiterHandle,
        max: u32,
        name: &'static str,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            arbiter,
            permits: Permits::new(max),
            name,
            metrics,
        }
    }

    /// Its name in logs and metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs `work` to its end, whether or not the caller waits for it.
    ///
    /// # Errors
    /// [`Fault::QueueFull`] at once when too many are running, and
    /// [`Fault::Stopped`] once a drain has started; `work` does not run then.
    pub async fn run<F>(&self, work: F) -> Result<F::Output, Fault>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let permit = self.permits.try_acquire().map_err(|reason| match reason {
            NoPermit::Full => {
                self.metrics.actor_rejected(self.name);
                Fault::QueueFull(self.name)
            }
            NoPermit::Closed => Fault::Stopped(self.name),
        })?;
        let (reply, result) = oneshot::channel();
        let spawned = self.arbiter.spawn(async move {
            let output = work.await;
            // First the permit: a caller that has its reply finds room for more.
            drop(permit);
            let _ = reply.send(output);
        });
        if !spawned {
            return Err(Fault::Stopped(self.name));
        }
        result.await.map_err(|_panicked| Fault::Panicked(self.name))
    }

    /// Accepts no more work and waits for what is running. Returns whether it
    /// was done within `limit`.
    pub async fn drain(&self, limit: Duration) -> bool {
        self.permits.drain(limit).await
    }
}

#[cfg(test)]
mod tests {
    use actix::Arbiter;

    use super::*;

    #[actix_web::test]
    async fn rejects_work_when_full_and_after_drain() {
        let metrics: Arc<Metrics> = Arc::default();
        let work = Detached::new(Arbiter::current(), 1, "work", Arc::clone(&metrics));
        let permit = work.permits.try_acquire().unwrap();
        assert!(matches!(
            work.run(async {}).await,
            Err(Fault::QueueFull("work"))
        ));
        let counted = "sydent_actor_rejected_total{actor=\"work\"} 1";
        assert!(metrics.render().unwrap().contains(counted));

        drop(permit);
        assert!(work.run(async {}).await.is_ok());
        assert!(work.drain(Duration::from_secs(5)).await);
        let ended = work.run(async {}).await;
        assert!(matches!(ended, Err(Fault::Stopped("work"))), "{ended:?}");
    }
}
