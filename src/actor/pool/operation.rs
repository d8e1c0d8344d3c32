//! What a pool runs, and why it may not.

use crate::db::DbError;

/// A message to a pool: one whole operation, and one transaction.
pub trait Operation: Send + 'static {
    /// What the operation runs on.
    type State: State;
    /// Its result. A refusal by a rule of the domain is part of it.
    type Output: Send + 'static;
    /// What it does to the database.
    const KIND: Kind = Kind::Write;

    /// The same, for operations of several kinds.
    fn kind(&self) -> Kind {
        Self::KIND
    }

    /// Runs the whole operation.
    ///
    /// # Errors
    /// Why it could not be run.
    fn run(self, state: &mut Self::State) -> Result<Self::Output, Fault>;
}

/// What an operation does to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only reads. On SQLite it does not wait for those that write.
    Read,
    /// It reads a few rows by their keys. On SQLite it runs where the request is: the
    /// threads of a pool would need more time to wake up than it takes.
    ShortRead,
    /// It reads or writes a few rows.
    Write,
    /// It writes many rows, or works long. It is committed by itself, so that no other
    /// operation waits for it with its result.
    LongWrite,
}

/// What one thread of a pool keeps between messages.
pub trait State: Send + 'static {
    /// The actor's name in logs and metrics.
    const NAME: &'static str;
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
