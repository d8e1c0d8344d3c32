//! Actors that run on threads of their own, behind a bounded queue.
//!
//! A pool is a `SyncArbiter` with what that lacks: permits bound its queue, a
//! caller waits no longer than a timeout, a panic ends one message and not the
//! thread, a broken connection is thrown away and opened again, and a shutdown
//! waits for all messages that were accepted.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Handler, Message, SyncArbiter, SyncContext};
use tokio::sync::oneshot;

use crate::db::DbError;
use crate::metrics::Metrics;
use crate::permits::{NoPermit, Permit, Permits};

/// A message to a pool: one whole operation, and one transaction.
pub trait Operation: Send + 'static {
    /// What the operation runs on.
    type State: State;
    /// Its result. A refusal by a rule of the domain is part of it.
    type Output: Send + 'static;

    /// Runs the whole operation.
    ///
    /// # Errors
    /// Why it could not be run.
    fn run(self, state: &mut Self::State) -> Result<Self::Output, Fault>;
}

/// What one thread of a pool keeps between messages.
pub trait State: Unpin + 'static {
    /// The actor's name in logs and metrics.
    const NAME: &'static str;

    /// Whether it still works after an idle time.
    fn is_alive(&mut self) -> bool {
        true
    }
}

/// Why an operation has no result.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The queue is full; a retry may succeed.
    #[error("{0}: queue is full")]
    QueueFull(&'static str),
    /// The timeout is over. An operation that had not started will not run; one
    /// that had started is completed.
    #[error("{0}: timed out")]
    TimedOut(&'static str),
    /// The server is shutting down.
    #[error("{0}: shutting down")]
    Stopped(&'static str),
    /// The operation panicked; the thread's state was thrown away.
    #[error("{0}: an operation panicked")]
    Panicked(&'static str),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
    /// Something that holds by construction does not.
    #[error("{0}")]
    Internal(&'static str),
}

type Open<S> = Arc<dyn Fn() -> Result<S, Fault> + Send + Sync>;

/// A state that was idle for longer is checked before it is used, so that a
/// database that was restarted fails no request.
const CHECK_AFTER_IDLE: Duration = Duration::from_secs(1);

/// The bounds of a pool's queue.
#[derive(Debug, Clone, Copy)]
pub struct PoolLimits {
    /// Operations that are queued or running at a time.
    pub max_queued: u32,
    /// How long a caller waits. Without it a silent database would block every
    /// caller.
    pub timeout: Duration,
}

/// How many operations of background work may be in a pool's queue, besides those of
/// requests.
const MAX_BACKGROUND: u32 = 16;

/// The address of a pool. Clones are cheap and share the queue.
pub struct Pool<S: State> {
    workers: Addr<Worker<S>>,
    caller: Caller,
    requests: Permits,
    background: Permits,
    timeout: Duration,
    metrics: Arc<Metrics>,
}

/// Who uses an address of a pool.
#[derive(Debug, Clone, Copy)]
enum Caller {
    /// A request: it is rejected when the queue is full.
    Request,
    /// Background work. It waits for a permit of its own, so that it neither takes one
    /// of a request nor is rejected because of requests.
    Background,
}

impl<S: State> Clone for Pool<S> {
    fn clone(&self) -> Self {
        Self {
            workers: self.workers.clone(),
            caller: self.caller,
            requests: self.requests.clone(),
            background: self.background.clone(),
            timeout: self.timeout,
            metrics: Arc::clone(&self.metrics),
        }
    }
}

impl<S: State> Pool<S> {
    /// Starts `threads` threads. Each opens its state when the first message
    /// arrives.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one file that starts a SyncArbiter"
    )]
    pub fn start<F>(threads: usize, limits: PoolLimits, metrics: Arc<Metrics>, open: F) -> Self
    where
        F: Fn() -> Result<S, Fault> + Send + Sync + 'static,
    {
        let open: Open<S> = Arc::new(open);
        let worker_metrics = Arc::clone(&metrics);
        let workers = SyncArbiter::start(threads, move || Worker {
            open: Arc::clone(&open),
            state: None,
            last_used: Instant::now(),
            metrics: Arc::clone(&worker_metrics),
        });
        Self {
            workers,
            caller: Caller::Request,
            requests: Permits::new(limits.max_queued),
            background: Permits::new(MAX_BACKGROUND),
            timeout: limits.timeout,
            metrics,
        }
    }

    /// The address for background work. It waits for its turn where a request is
    /// rejected, and requests cannot keep it out.
    #[must_use]
    pub fn for_background(&self) -> Self {
        Self {
            caller: Caller::Background,
            ..self.clone()
        }
    }

    /// Queues an operation and waits for its result. If the caller is dropped
    /// before the operation starts, it never runs; once started, it is completed.
    ///
    /// # Errors
    /// [`Fault::QueueFull`] at once when the queue is full, [`Fault::TimedOut`]
    /// after the timeout, otherwise why the operation failed.
    pub async fn send<O: Operation<State = S>>(&self, operation: O) -> Result<O::Output, Fault> {
        tokio::time::timeout(self.timeout, self.run(operation))
            .await
            .unwrap_or(Err(Fault::TimedOut(S::NAME)))
    }

    async fn run<O: Operation<State = S>>(&self, operation: O) -> Result<O::Output, Fault> {
        let permit = match self.caller {
            Caller::Request => self.requests.try_acquire(),
            Caller::Background => self.background.acquire().await,
        };
        let permit = permit.map_err(|reason| self.rejected(reason))?;
        let (reply, result) = oneshot::channel();
        let envelope = Envelope {
            operation,
            reply,
            queued_at: Instant::now(),
            permit,
        };
        self.workers
            .try_send(envelope)
            .map_err(|_closed| Fault::Stopped(S::NAME))?;
        result.await.unwrap_or(Err(Fault::Stopped(S::NAME)))
    }

    fn rejected(&self, reason: NoPermit) -> Fault {
        match reason {
            NoPermit::Full => {
                self.metrics.actor_rejected(S::NAME);
                Fault::QueueFull(S::NAME)
            }
            NoPermit::Closed => Fault::Stopped(S::NAME),
        }
    }

    /// Accepts no more operations and waits for those that were accepted.
    /// Returns whether they were done within `limit`.
    pub async fn drain(&self, limit: Duration) -> bool {
        let (requests, background) =
            tokio::join!(self.requests.drain(limit), self.background.drain(limit));
        requests && background
    }

    /// Whether the threads still take messages.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.workers.connected()
    }
}

struct Worker<S: State> {
    open: Open<S>,
    state: Option<S>,
    last_used: Instant,
    metrics: Arc<Metrics>,
}

impl<S: State> Actor for Worker<S> {
    type Context = SyncContext<Self>;
}

struct Envelope<O: Operation> {
    operation: O,
    reply: oneshot::Sender<Result<O::Output, Fault>>,
    queued_at: Instant,
    // Travels with the operation, so that running ones count as well.
    permit: Permit,
}

impl<O: Operation> Message for Envelope<O> {
    type Result = ();
}

impl<O: Operation> Handler<Envelope<O>> for Worker<O::State> {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<O>, _context: &mut Self::Context) {
        if envelope.reply.is_closed() {
            return;
        }
        let started = Instant::now();
        let result = self.run(envelope.operation);
        self.last_used = Instant::now();
        self.metrics.actor_ran(
            O::State::NAME,
            started - envelope.queued_at,
            self.last_used - started,
        );
        if let Err(Fault::Panicked(actor)) = &result {
            self.metrics.actor_panicked(actor);
        }
        // First the permit: a caller that has its reply finds room for the next
        // operation.
        drop(envelope.permit);
        // The caller may be gone; what was done stays done.
        let _ = envelope.reply.send(result);
    }
}

impl<S: State> Worker<S> {
    fn run<O: Operation<State = S>>(&mut self, operation: O) -> Result<O::Output, Fault> {
        let was_idle = self.last_used.elapsed() > CHECK_AFTER_IDLE;
        // Taken out, so that a panic or an early return throws it away.
        let usable = self
            .state
            .take()
            .and_then(|mut state| (!was_idle || state.is_alive()).then_some(state));
        let run = || {
            let mut state = match usable {
                Some(state) => state,
                None => (self.open)()?,
            };
            let result = operation.run(&mut state);
            Ok((state, result))
        };
        let (state, result) =
            catch_unwind(AssertUnwindSafe(run)).unwrap_or(Err(Fault::Panicked(S::NAME)))?;
        let connection_is_suspect =
            matches!(&result, Err(Fault::Database(error)) if error.may_be_connection_failure());
        if !connection_is_suspect {
            self.state = Some(state);
        }
        result
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
