//! Connections between two messages.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::connection::Connection;

/// The idle connections, the one used last on top.
pub(super) struct Pool {
    idle: Mutex<Vec<Idle>>,
    /// After so long without a message a connection is not used any more.
    idle_timeout: Duration,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

impl Pool {
    pub(super) fn new(idle_timeout: Duration) -> Self {
        Self {
            idle: Mutex::new(Vec::new()),
            idle_timeout,
        }
    }

    /// The connection that was used last. The others stay unused until they
    /// are too old, so that a quiet time ends with few connections.
    pub(super) fn take(&self) -> Option<Connection> {
        let mut idle = self.lock();
        let expired = self.count_expired(&idle);
        idle.drain(..expired);
        idle.pop().map(|top| top.connection)
    }

    /// Keeps a connection for the next message, unless it is of no more use.
    pub(super) fn put(&self, connection: Connection) {
        if connection.is_usable() {
            self.lock().push(Idle {
                connection,
                since: Instant::now(),
            });
        }
    }

    /// Removes and returns the connections that have been idle for too long.
    pub(super) fn take_expired(&self) -> Vec<Connection> {
        let mut idle = self.lock();
        let expired = self.count_expired(&idle);
        idle.drain(..expired).map(|idle| idle.connection).collect()
    }

    /// Removes and returns all connections.
    pub(super) fn take_all(&self) -> Vec<Connection> {
        self.lock().drain(..).map(|idle| idle.connection).collect()
    }

    /// How many at the bottom are too old: they lie in the order in which
    /// they became idle.
    fn count_expired(&self, idle: &[Idle]) -> usize {
        idle.partition_point(|idle| idle.since.elapsed() >= self.idle_timeout)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        // No code that can panic runs under the lock.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
