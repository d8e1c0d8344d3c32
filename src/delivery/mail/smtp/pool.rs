//! The pool of idle connections.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::connection::Connection;

/// The idle connections in the order in which they became idle.
pub(super) struct Pool {
    idle: Mutex<Vec<Idle>>,
    /// Wakes one that waits for a connection.
    became_idle: Notify,
    /// A connection that was idle for this long is not used again.
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
            became_idle: Notify::new(),
            idle_timeout,
        }
    }

    /// Takes the connection that was used last. The others expire if they are not
    /// needed, so the pool shrinks when fewer mails are sent.
    pub(super) fn take(&self) -> Option<Connection> {
        let mut idle = self.lock();
        let expired = self.count_expired(&idle);
        idle.drain(..expired);
        idle.pop().map(|last| last.connection)
    }

    /// Waits until a connection is idle and takes it.
    pub(super) async fn next_idle(&self) -> Connection {
        loop {
            // Registered first, so that no connection is missed.
            let became_idle = self.became_idle.notified();
            if let Some(connection) = self.take() {
                return connection;
            }
            became_idle.await;
        }
    }

    /// Keeps a connection for the next message if it is still usable.
    pub(super) fn put(&self, connection: Connection) {
        if connection.is_usable() {
            self.lock().push(Idle {
                connection,
                since: Instant::now(),
            });
            self.became_idle.notify_one();
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

    /// How many connections have expired. They are the first ones.
    fn count_expired(&self, idle: &[Idle]) -> usize {
        idle.partition_point(|idle| idle.since.elapsed() >= self.idle_timeout)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        // No code that can panic runs while the lock is held.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
