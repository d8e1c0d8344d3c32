//! An operation in a queue, and its result on the way back.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{Fault, Kind, Operation, State};
use crate::db::{DbError, Store};
use crate::metrics::Metrics;
use crate::permits::Permit;

/// Makes the state of a pool on a thread.
pub(super) type Open<S> = Arc<dyn Fn(&mut Connection) -> Result<S, Fault> + Send + Sync>;

/// Opens the connection of a thread.
pub(super) type Connect = Arc<dyn Fn() -> Result<Store, DbError> + Send + Sync>;

/// A state that was idle for longer is checked before it is used, so that a
/// database that was restarted fails no request.
const CHECK_AFTER_IDLE: Duration = Duration::from_secs(1);

/// The connection of a thread, which all its states share.
pub(super) struct Connection {
    connect: Option<Connect>,
    store: Option<Store>,
}

impl Connection {
    /// The connection, which is opened if need be.
    pub(super) fn store(&mut self) -> Result<Store, Fault> {
        if let Some(store) = &self.store {
            return Ok(store.share());
        }
        let connect = self.connect.as_ref();
        let connect = connect.ok_or(Fault::Internal("a thread without a database"))?;
        Ok(self.store.insert(connect()?).share())
    }
}

/// What a thread keeps between operations.
pub(super) struct Context {
    connection: Connection,
    states: HashMap<TypeId, Box<dyn Any + Send>>,
    last_used: Instant,
    /// How often one of the threads has thrown a connection away: what has ended it may
    /// have ended those of the others.
    resets: Arc<AtomicUsize>,
    resets_seen: usize,
    /// Whether the connection may be broken or a state half changed.
    is_suspect: bool,
    /// How long the last commit took, until it is asked for. A connection that is thrown
    /// away would take it along.
    committed: Option<Duration>,
}

impl Context {
    /// All threads with the same kind of connection count the `resets` together.
    pub(super) fn new(connect: Option<Connect>, resets: Arc<AtomicUsize>) -> Self {
        let store = None;
        Self {
            resets,
            resets_seen: 0,
            connection: Connection { connect, store },
            states: HashMap::new(),
            last_used: Instant::now(),
            is_suspect: false,
            committed: None,
        }
    }

    fn state<S: State>(&mut self, open: &Open<S>) -> Result<&mut S, Fault> {
        let key = TypeId::of::<S>();
        if !self.states.contains_key(&key) {
            let state = open(&mut self.connection)?;
            self.states.insert(key, Box::new(state));
        }
        let state = self.states.get_mut(&key);
        state
            .and_then(|state| state.downcast_mut())
            .ok_or(Fault::Internal("a state of another type"))
    }

    pub(super) fn run<O: Operation>(
        &mut self,
        operation: O,
        open: &Open<O::State>,
    ) -> Result<O::Output, Fault> {
        let run = || operation.run(self.state(open)?);
        let result = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_panic| {
            self.is_suspect = true;
            if let Some(store) = &self.connection.store {
                store.undo_part();
            }
            Err(Fault::Panicked(O::State::NAME))
        });
        if let Err(Fault::Database(error)) = &result {
            self.is_suspect |= error.may_be_connection_failure();
        }
        result
    }

    /// Whether operations have succeeded that are not committed.
    pub(super) fn has_open_group(&self) -> bool {
        let store = self.connection.store.as_ref();
        store.is_some_and(Store::has_open_group)
    }

    /// Whether nothing more should run before [`settle`](Self::settle).
    pub(super) fn is_suspect(&self) -> bool {
        self.is_suspect
    }

    /// Commits what is open. Throws connection and states away if they may be broken.
    pub(super) fn settle(&mut self) -> Result<(), DbError> {
        let store = self.connection.store.as_ref();
        let result = store.map_or(Ok(()), Store::commit_group);
        self.committed = store.and_then(Store::take_committed);
        if self.is_suspect || result.is_err() {
            self.reset();
        }
        self.last_used = Instant::now();
        result
    }

    /// Throws a connection away that broke while it was idle.
    pub(super) fn check(&mut self) {
        let resets = self.resets.load(Ordering::Relaxed);
        let is_doubtful = self.resets_seen != resets || self.last_used.elapsed() > CHECK_AFTER_IDLE;
        self.resets_seen = resets;
        let Some(store) = &mut self.connection.store else {
            return;
        };
        if is_doubtful && !store.is_alive() {
            self.reset();
        }
    }

    /// How long the last commit took, if there was one since the last call.
    pub(super) fn take_committed(&mut self) -> Option<Duration> {
        self.committed.take()
    }

    /// Closes the connection, which the next operation opens again.
    pub(super) fn close(&mut self) {
        self.states.clear();
        self.connection.store = None;
    }

    fn reset(&mut self) {
        self.close();
        self.is_suspect = false;
        self.resets_seen = self.resets.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
    }
}

/// An operation of any pool.
pub(super) trait Job: Send {
    /// What the operation does to the database.
    fn kind(&self) -> Kind;

    /// Runs the operation; `None` if nobody waits for it any more.
    fn run(self: Box<Self>, context: &mut Context) -> Option<Box<dyn Reply>>;
}

/// The result of an operation, until what it did is committed.
pub(super) trait Reply {
    /// Whether the operation has succeeded.
    fn is_ok(&self) -> bool;

    /// Sends the result; or why it is not committed, if that failed.
    fn send(self: Box<Self>, failed: Option<&DbError>, metrics: &Metrics);
}

/// An operation that waits for a thread.
pub(super) struct Envelope<O: Operation> {
    pub(super) operation: O,
    pub(super) open: Open<O::State>,
    pub(super) reply: oneshot::Sender<Result<O::Output, Fault>>,
    pub(super) queued_at: Instant,
    // Travels with the operation, so that running ones count as well.
    pub(super) permit: Permit,
}

impl<O: Operation> Job for Envelope<O> {
    fn kind(&self) -> Kind {
        self.operation.kind()
    }

    fn run(self: Box<Self>, context: &mut Context) -> Option<Box<dyn Reply>> {
        if self.reply.is_closed() {
            return None;
        }
        let started = Instant::now();
        let result = context.run(self.operation, &self.open);
        Some(Box::new(Done::<O> {
            result,
            reply: self.reply,
            queued_for: started - self.queued_at,
            ran_for: started.elapsed(),
            permit: self.permit,
        }))
    }
}

struct Done<O: Operation> {
    result: Result<O::Output, Fault>,
    reply: oneshot::Sender<Result<O::Output, Fault>>,
    queued_for: Duration,
    ran_for: Duration,
    permit: Permit,
}

impl<O: Operation> Reply for Done<O> {
    fn is_ok(&self) -> bool {
        self.result.is_ok()
    }

    fn send(self: Box<Self>, failed: Option<&DbError>, metrics: &Metrics) {
        let result = match failed {
            Some(_) if self.result.is_ok() => Err(DbError::RolledBack.into()),
            _ => self.result,
        };
        metrics.actor_ran(O::State::NAME, self.queued_for, self.ran_for);
        if let Err(Fault::Panicked(actor)) = &result {
            metrics.actor_panicked(actor);
        }
        // First the permit: a caller that has its reply finds room for the next
        // operation.
        drop(self.permit);
        // The caller may be gone; what was done stays done.
        let _ = self.reply.send(result);
    }
}
