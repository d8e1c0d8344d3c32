//! Owners that work in threads of their own, behind one kind of door.
//!
//! A pool is a `SyncArbiter` with what that lacks: its queue is bounded by
//! permits, nobody waits for an answer without end, a panic ends a message and
//! not a thread, a broken connection is thrown away and opened anew, and a stop
//! waits for what was let in.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Handler, Message, SyncArbiter, SyncContext};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::db::DbError;
use crate::metrics::Metrics;

/// One operation, asked of one owner: one message is one transaction.
pub trait Ask: Send + 'static {
    /// The state that it is asked of.
    type Of: State;
    /// What it answers. A business "no" is part of it.
    type Reply: Send + 'static;

    /// Does the whole operation.
    ///
    /// # Errors
    /// Why the machinery could not answer.
    fn run(self, of: &mut Self::Of) -> Result<Self::Reply, Fault>;
}

/// What an owner's thread holds between messages.
pub trait State: Unpin + 'static {
    /// The owner's name in logs and metrics.
    const NAME: &'static str;

    /// Whether a state that lay idle can still be used.
    fn is_alive(&mut self) -> bool {
        true
    }
}

/// Why an owner could not answer.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The door is full; ask again soon.
    #[error("{0} has too much to do")]
    Busy(&'static str),
    /// There was no answer in time. What had not begun will not be done; what
    /// had begun is finished.
    #[error("{0} took too long to answer")]
    Late(&'static str),
    /// The server is stopping.
    #[error("{0} has stopped")]
    Stopped(&'static str),
    /// The message panicked; the state was thrown away.
    #[error("a message to {0} panicked")]
    Panicked(&'static str),
    /// The database could not answer.
    #[error(transparent)]
    Database(#[from] DbError),
    /// Something that holds by construction does not.
    #[error("{0}")]
    Broken(&'static str),
}

type Open<S> = Arc<dyn Fn() -> Result<S, Fault> + Send + Sync>;

/// After this long without a message a state is asked whether it is alive, so
/// that a database that went and came back costs nobody a failed request.
const IDLE: Duration = Duration::from_secs(1);

/// How many go through a door, and how long they wait behind it.
#[derive(Debug, Clone, Copy)]
pub struct Door {
    /// Messages that wait or are worked on at a time.
    pub places: u32,
    /// How long an answer may take: a database that went silent would keep
    /// everybody otherwise.
    pub patience: Duration,
}

/// The door to an owner.
pub struct Pool<S: State> {
    workers: Addr<Worker<S>>,
    free: Arc<Semaphore>,
    door: Door,
    metrics: Arc<Metrics>,
}

impl<S: State> Clone for Pool<S> {
    fn clone(&self) -> Self {
        Self {
            workers: self.workers.clone(),
            free: Arc::clone(&self.free),
            door: self.door,
            metrics: Arc::clone(&self.metrics),
        }
    }
}

impl<S: State> Pool<S> {
    /// Starts `threads` threads behind a door. Each opens its state when it
    /// first needs it.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one file that starts a SyncArbiter"
    )]
    pub fn start<F>(threads: usize, door: Door, metrics: Arc<Metrics>, open: F) -> Self
    where
        F: Fn() -> Result<S, Fault> + Send + Sync + 'static,
    {
        let open: Open<S> = Arc::new(open);
        let worker_metrics = Arc::clone(&metrics);
        let workers = SyncArbiter::start(threads, move || Worker {
            open: Arc::clone(&open),
            state: None,
            used: Instant::now(),
            metrics: Arc::clone(&worker_metrics),
        });
        Self {
            workers,
            free: Arc::new(Semaphore::new(door.places as usize)),
            door,
            metrics,
        }
    }

    /// Asks, and waits for the answer. An operation whose asker went away
    /// before its turn is not begun; one that was begun is finished.
    ///
    /// # Errors
    /// [`Fault::Busy`] at once when the door is full, [`Fault::Late`] when the
    /// door's patience is over, else why there is no answer.
    pub async fn ask<A: Ask<Of = S>>(&self, ask: A) -> Result<A::Reply, Fault> {
        use tokio::sync::TryAcquireError;
        let permit = Arc::clone(&self.free)
            .try_acquire_owned()
            .map_err(|error| match error {
                TryAcquireError::NoPermits => {
                    self.metrics.owner_refused(S::NAME);
                    Fault::Busy(S::NAME)
                }
                TryAcquireError::Closed => Fault::Stopped(S::NAME),
            })?;
        let (reply, answer) = oneshot::channel();
        let job = Job {
            ask,
            reply,
            asked: Instant::now(),
            _permit: permit,
        };
        self.workers
            .try_send(job)
            .map_err(|_closed| Fault::Stopped(S::NAME))?;
        match tokio::time::timeout(self.door.patience, answer).await {
            Ok(answered) => answered.unwrap_or(Err(Fault::Stopped(S::NAME))),
            Err(_elapsed) => Err(Fault::Late(S::NAME)),
        }
    }

    /// Shuts the door and waits until everything that was let in is done;
    /// answers whether it was within `patience`.
    pub async fn drain(&self, patience: Duration) -> bool {
        // Held until the door is shut, so that nothing slips in between.
        let all = tokio::time::timeout(patience, self.free.acquire_many(self.door.places)).await;
        self.free.close();
        all.is_ok()
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
    used: Instant,
    metrics: Arc<Metrics>,
}

impl<S: State> Actor for Worker<S> {
    type Context = SyncContext<Self>;
}

struct Job<A: Ask> {
    ask: A,
    reply: oneshot::Sender<Result<A::Reply, Fault>>,
    asked: Instant,
    // Travels with the message, so that the door counts what is being worked on.
    _permit: OwnedSemaphorePermit,
}

impl<A: Ask> Message for Job<A> {
    type Result = ();
}

impl<A: Ask> Handler<Job<A>> for Worker<A::Of> {
    type Result = ();

    fn handle(&mut self, job: Job<A>, _context: &mut Self::Context) {
        if job.reply.is_closed() {
            return;
        }
        let begun = Instant::now();
        let outcome = self.work(job.ask);
        self.used = Instant::now();
        self.metrics
            .owner_worked(A::Of::NAME, begun - job.asked, self.used - begun);
        if let Err(Fault::Panicked(owner)) = &outcome {
            self.metrics.owner_panicked(owner);
        }
        // The asker may have gone meanwhile; what was done stays done.
        let _ = job.reply.send(outcome);
    }
}

impl<S: State> Worker<S> {
    fn work<A: Ask<Of = S>>(&mut self, ask: A) -> Result<A::Reply, Fault> {
        // Taken out, so that a panic or an early return throws it away.
        let rested = self.used.elapsed() > IDLE;
        let known = self
            .state
            .take()
            .and_then(|mut state| (!rested || state.is_alive()).then_some(state));
        let work = || {
            let mut state = match known {
                Some(state) => state,
                None => (self.open)()?,
            };
            let outcome = ask.run(&mut state);
            Ok((state, outcome))
        };
        let (state, outcome) =
            catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Fault::Panicked(S::NAME)))?;
        let spoiled =
            matches!(&outcome, Err(Fault::Database(error)) if error.may_be_the_connection());
        if !spoiled {
            self.state = Some(state);
        }
        outcome
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
