//! Actors that run on threads of their own, behind a bounded queue.
//!
//! A pool is a `SyncArbiter` with what that lacks: permits bound its queue, a
//! caller waits no longer than a timeout, a panic ends one message and not the
//! thread, a broken connection is thrown away and opened again, and a shutdown
//! waits for all messages that were accepted.
//!
//! Pools can share [`Threads`]. On SQLite, which has one writer at a time, all that
//! write share one, and what is queued is committed together.

mod here;
mod job;
mod operation;
mod priority;
mod queue;
mod worker;

pub use here::Here;
pub use operation::{Fault, Kind, Operation, State};

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Arbiter, SyncArbiter, SyncContext};
use tokio::sync::oneshot;

use self::job::{Connect, Context, Envelope, Open};
use self::priority::Priority;
use self::queue::Queue;
use self::worker::{Jobs, Worker};
use crate::db::{DbError, Store};
use crate::metrics::Metrics;
use crate::permits::{NoPermit, Permits};

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
    open: Open<S>,
    writers: Threads,
    readers: Threads,
    here: Option<Here>,
    /// For short reads that do not run where their requests are.
    short_readers: Threads,
    caller: Caller,
    requests: Permits,
    background: Permits,
    timeout: Duration,
    is_spare: bool,
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
            open: Arc::clone(&self.open),
            writers: self.writers.clone(),
            readers: self.readers.clone(),
            here: self.here.clone(),
            short_readers: self.short_readers.clone(),
            caller: self.caller,
            requests: self.requests.clone(),
            background: self.background.clone(),
            timeout: self.timeout,
            is_spare: self.is_spare,
            metrics: Arc::clone(&self.metrics),
        }
    }
}

impl<S: State> Pool<S> {
    /// Starts `threads` threads without a connection. Each opens its state when the
    /// first message arrives.
    pub fn start<F>(threads: usize, limits: PoolLimits, metrics: Arc<Metrics>, open: F) -> Self
    where
        F: Fn() -> Result<S, Fault> + Send + Sync + 'static,
    {
        let threads = Threads::start(threads, Priority::Normal, None, Arc::clone(&metrics));
        let open = Arc::new(move |_connection: &mut job::Connection| open());
        Self::new(threads, limits, metrics, open)
    }

    /// A pool whose operations run on `threads`, which others may share. Each thread
    /// makes its state of its connection when the first message arrives.
    pub fn on<F>(threads: Threads, limits: PoolLimits, metrics: Arc<Metrics>, state: F) -> Self
    where
        F: Fn(Store) -> S + Send + Sync + 'static,
    {
        let open = move |connection: &mut job::Connection| Ok(state(connection.store()?));
        Self::new(threads, limits, metrics, Arc::new(open))
    }

    fn new(threads: Threads, limits: PoolLimits, metrics: Arc<Metrics>, open: Open<S>) -> Self {
        Self {
            open,
            readers: threads.clone(),
            short_readers: threads.clone(),
            writers: threads,
            here: None,
            caller: Caller::Request,
            requests: Permits::new(limits.max_queued),
            background: Permits::new(MAX_BACKGROUND),
            timeout: limits.timeout,
            is_spare: false,
            metrics,
        }
    }

    /// A pool without which everything works: that its queue is full is no rejection of a
    /// request, and a stop does not wait for a server that hangs.
    #[must_use]
    pub fn as_spare(self) -> Self {
        Self {
            is_spare: true,
            ..self
        }
    }

    /// Has operations that only read run on other threads.
    #[must_use]
    pub fn with_readers(self, readers: Threads) -> Self {
        let short_readers = readers.clone();
        Self {
            readers,
            short_readers,
            ..self
        }
    }

    /// Has operations that read a few rows run where their requests are, or on `threads`
    /// while that would take long.
    #[must_use]
    pub fn with_short_reads(self, here: Here, threads: Threads) -> Self {
        Self {
            here: Some(here),
            short_readers: threads,
            ..self
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
        let operation = match self.run_here(operation) {
            Ok(result) => return result,
            Err(operation) => operation,
        };
        tokio::time::timeout(self.timeout, self.run(operation))
            .await
            .unwrap_or(Err(Fault::TimedOut(S::NAME)))
    }

    /// Runs a short operation on this thread, or returns it.
    fn run_here<O: Operation<State = S>>(
        &self,
        operation: O,
    ) -> Result<Result<O::Output, Fault>, O> {
        let (Some(here), Caller::Request) = (&self.here, self.caller) else {
            return Err(operation);
        };
        if operation.kind() != Kind::ShortRead {
            return Err(operation);
        }
        if here.is_paused() {
            return Err(operation);
        }
        // Dropped after the place: once the drain has all permits, it closes all places.
        let _permit = match self.requests.try_acquire() {
            Ok(permit) => permit,
            Err(reason) => return Ok(Err(self.rejected(reason))),
        };
        let Some(mut place) = here.place() else {
            return Err(operation);
        };
        Ok(here.run(&mut place, operation, &self.open, &self.metrics))
    }

    async fn run<O: Operation<State = S>>(&self, operation: O) -> Result<O::Output, Fault> {
        let permit = match self.caller {
            Caller::Request => self.requests.try_acquire(),
            Caller::Background => self.background.acquire().await,
        };
        let permit = permit.map_err(|reason| self.rejected(reason))?;
        let (reply, result) = oneshot::channel();
        let threads = match operation.kind() {
            Kind::Read => &self.readers,
            Kind::ShortRead => &self.short_readers,
            Kind::Write | Kind::LongWrite => &self.writers,
        };
        let envelope = Envelope {
            operation,
            open: Arc::clone(&self.open),
            reply,
            queued_at: Instant::now(),
            permit,
        };
        threads
            .queue()
            .push(Box::new(envelope))
            .map_err(|_closed| Fault::Stopped(S::NAME))?;
        result.await.unwrap_or(Err(Fault::Stopped(S::NAME)))
    }

    fn rejected(&self, reason: NoPermit) -> Fault {
        match reason {
            NoPermit::Full => {
                if !self.is_spare {
                    self.metrics.actor_rejected(S::NAME);
                }
                Fault::QueueFull(S::NAME)
            }
            NoPermit::Closed => Fault::Stopped(S::NAME),
        }
    }

    /// Accepts no more operations and waits for those that were accepted.
    /// Returns whether they were done within `limit`.
    pub async fn drain(&self, limit: Duration) -> bool {
        let limit = if self.is_spare { Duration::ZERO } else { limit };
        let (requests, background) =
            tokio::join!(self.requests.drain(limit), self.background.drain(limit));
        if let Some(here) = &self.here {
            here.close();
        }
        (requests && background) || self.is_spare
    }

    /// Whether the threads still take messages.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let all = [&self.writers, &self.readers, &self.short_readers];
        all.iter().all(|threads| threads.queue().is_served())
    }
}

/// Some threads, each with a connection of its own, and their queue. They end when all
/// clones are dropped, or when the System ends that started them.
#[derive(Clone)]
pub struct Threads {
    shared: Arc<Shared>,
}

struct Shared {
    queue: CloseQueue,
    _actors: Addr<Thread>,
}

/// Closes the queue when it is dropped.
struct CloseQueue(Arc<Jobs>);

impl Drop for CloseQueue {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Threads {
    /// Starts threads that open a connection when they need one.
    pub fn connected<F>(threads: usize, metrics: Arc<Metrics>, connect: F) -> Self
    where
        F: Fn() -> Result<Store, DbError> + Send + Sync + 'static,
    {
        Self::start(threads, Priority::Normal, Some(Arc::new(connect)), metrics)
    }

    /// As [`connected`](Self::connected), for work that takes long: the threads that answer
    /// requests get the CPU before them.
    pub fn behind_requests<F>(threads: usize, metrics: Arc<Metrics>, connect: F) -> Self
    where
        F: Fn() -> Result<Store, DbError> + Send + Sync + 'static,
    {
        Self::start(threads, Priority::Low, Some(Arc::new(connect)), metrics)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one file that starts a SyncArbiter"
    )]
    fn start(
        threads: usize,
        priority: Priority,
        connect: Option<Connect>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let queue = Arc::new(Queue::new(threads));
        let jobs = Arc::clone(&queue);
        let system = CloseQueue(Arc::clone(&queue));
        let until_the_system_ends = async move {
            let _system = system;
            std::future::pending::<()>().await;
        };
        Arbiter::current().spawn(until_the_system_ends);
        let resets = Arc::default();
        let actors = SyncArbiter::start(threads, move || {
            let context = Context::new(connect.clone(), Arc::clone(&resets));
            Thread {
                priority,
                worker: Worker::new(Arc::clone(&jobs), context, Arc::clone(&metrics)),
            }
        });
        Self {
            shared: Arc::new(Shared {
                queue: CloseQueue(queue),
                _actors: actors,
            }),
        }
    }

    fn queue(&self) -> &Jobs {
        &self.shared.queue.0
    }
}

/// The actor on a thread. Operations do not go through its mailbox, which the thread of
/// the System would have to forward one by one, but through the queue.
struct Thread {
    priority: Priority,
    worker: Worker,
}

impl Actor for Thread {
    type Context = SyncContext<Self>;

    fn started(&mut self, _context: &mut Self::Context) {
        self.priority.take();
        self.worker.serve();
    }
}

#[cfg(test)]
mod group_tests;
#[cfg(test)]
mod here_tests;
#[cfg(test)]
mod tests;
