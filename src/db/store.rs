//! A connection and its transactions, which lock what they change.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use diesel::RunQueryDsl as _;
use diesel::connection::SimpleConnection as _;
use diesel::sql_types::{Array, Text};

use super::connection::begin_immediate;
use super::{Conn, DbError, LockKey, with_backend};

/// A connection. Actors that run on the same thread can share one.
pub struct Store {
    // Actors that share it run one after the other, so nobody ever waits for the mutex.
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    connection: Conn,
    busy_timeout: Duration,
    group: Group,
    /// How long the last commit took.
    committed: Option<Duration>,
}

/// Which transactions are committed together. Only on SQLite: PostgreSQL itself commits
/// those of several connections together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    /// Each is committed by itself.
    Off,
    /// Several, none of which has started.
    Closed,
    /// Several, which are parts of one transaction of the database.
    Open(Part),
    /// The database has rolled all of them back by itself.
    Lost,
}

/// The part of a group that is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// None.
    None,
    /// The one that has opened the group.
    First,
    /// One in a savepoint of its own.
    Later,
}

/// The savepoint around a whole group. SQLite rolls a whole transaction back after some
/// errors, such as a full disk; only if this savepoint is still there at the end has
/// nothing of the group been lost.
const OPEN_GROUP: &str = "SAVEPOINT whole_group";
const COMMIT_GROUP: &str = "RELEASE whole_group; COMMIT";

/// Fails, before anything is written, if the whole group is lost: without a transaction, a
/// savepoint would be one, and its release would commit it.
const BEGIN_PART: &str = "RELEASE whole_group; SAVEPOINT whole_group; SAVEPOINT part_of_group";
const KEEP_PART: &str = "RELEASE part_of_group";
const UNDO_PART: &str = "ROLLBACK TO part_of_group; RELEASE part_of_group";

impl Store {
    /// `busy_timeout` is how long to wait for SQLite's write lock.
    pub(super) fn new(connection: Conn, busy_timeout: Duration) -> Self {
        let shared = Shared {
            connection,
            busy_timeout,
            group: Group::Off,
            committed: None,
        };
        Self {
            shared: Arc::new(Mutex::new(shared)),
        }
    }

    pub(super) fn into_group(self) -> Self {
        self.lock().group = Group::Closed;
        self
    }

    /// The same connection, for another actor of the same thread.
    #[must_use]
    pub fn share(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }

    // A panic while it was locked leaves a part of a group open, which `undo_part` ends.
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` in one transaction. Transactions with the same `lock` run one
    /// after the other, also on different instances, so that `work` may read,
    /// decide and write. On SQLite all write transactions run one after the other.
    ///
    /// In a group, it lasts only once [`commit_group`](Self::commit_group) has succeeded.
    ///
    /// # Errors
    /// The error of `work`; the transaction was rolled back then.
    pub fn write<T, E, F>(&mut self, lock: LockKey<'_>, work: F) -> Result<T, E>
    where
        E: From<DbError>,
        F: FnOnce(&mut Conn) -> Result<T, E>,
    {
        let shared = &mut *self.lock();
        shared.begin()?;
        let result = take_locks(&mut shared.connection, lock)
            .map_err(|error| DbError::from(error).into())
            .and_then(|()| work(&mut shared.connection));
        match result {
            Ok(value) => shared.keep().map(|()| value).map_err(E::from),
            Err(error) => {
                shared.undo();
                Err(error)
            }
        }
    }

    /// Runs `work`, which only reads, on a snapshot: all its queries see the same
    /// state of the database, whatever others commit meanwhile.
    ///
    /// # Errors
    /// The error of `work`.
    pub fn snapshot<T, E, F>(&mut self, work: F) -> Result<T, E>
    where
        E: From<DbError>,
        F: FnOnce(&mut Conn) -> Result<T, E>,
    {
        let shared = &mut *self.lock();
        if matches!(shared.group, Group::Open(_)) {
            // Nobody else can commit anything.
            return work(&mut shared.connection);
        }
        let begin = match shared.connection {
            Conn::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            // In WAL mode, a read transaction sees one state and blocks no writer.
            Conn::Sqlite(_) => "BEGIN DEFERRED",
        };
        shared.execute(begin)?;
        let result = work(&mut shared.connection);
        let rollback = shared.execute("ROLLBACK");
        result.and_then(|value| rollback.map(|()| value).map_err(E::from))
    }

    /// The connection, for single queries that only read.
    pub fn read(&mut self) -> Reading<'_> {
        Reading(self.lock())
    }

    /// Whether the connection still works.
    #[must_use]
    pub fn is_alive(&mut self) -> bool {
        with_backend!(&mut *self.read(), inner => inner.batch_execute("SELECT 1")).is_ok()
    }

    /// Whether there is something to commit with [`commit_group`](Self::commit_group).
    #[must_use]
    pub fn has_open_group(&self) -> bool {
        matches!(self.lock().group, Group::Open(_) | Group::Lost)
    }

    /// Undoes the transaction that was under way when its actor panicked.
    pub fn undo_part(&self) {
        let shared = &mut *self.lock();
        if let Group::Open(Part::First | Part::Later) = shared.group {
            shared.undo();
        }
    }

    /// Commits the transactions of the group that have succeeded.
    ///
    /// # Errors
    /// None of them is in the database then.
    pub fn commit_group(&self) -> Result<(), DbError> {
        let shared = &mut *self.lock();
        let result = match shared.group {
            Group::Off | Group::Closed => return Ok(()),
            Group::Open(_) => shared.commit(COMMIT_GROUP),
            Group::Lost => Err(DbError::RolledBack),
        };
        if result.is_err() {
            // If this fails, there is no transaction any more.
            let _ = shared.execute("ROLLBACK");
        }
        shared.group = Group::Closed;
        result
    }

    /// How long the commit took that came last, if there was one since the last call.
    #[must_use]
    pub fn take_committed(&self) -> Option<Duration> {
        self.lock().committed.take()
    }
}

/// A connection, for single queries that only read.
pub struct Reading<'a>(MutexGuard<'a, Shared>);

impl Deref for Reading<'_> {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.0.connection
    }
}

impl DerefMut for Reading<'_> {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.0.connection
    }
}

impl Shared {
    fn begin(&mut self) -> Result<(), DbError> {
        match self.group {
            Group::Lost => Err(DbError::RolledBack),
            Group::Open(_) => {
                self.execute(BEGIN_PART)
                    .inspect_err(|_error| self.group = Group::Lost)?;
                self.group = Group::Open(Part::Later);
                Ok(())
            }
            Group::Off | Group::Closed => self.begin_transaction(),
        }
    }

    fn begin_transaction(&mut self) -> Result<(), DbError> {
        match &mut self.connection {
            // Takes SQLite's write lock now. A deferred transaction would take it
            // at its first write, and fail if the data it has read changed since.
            Conn::Sqlite(sqlite) => begin_immediate(sqlite, self.busy_timeout)?,
            // After it has waited for the lock, the transaction must see what the
            // previous holder committed. A stricter level would go on with the
            // snapshot that it took before the wait.
            Conn::Postgres(postgres) => {
                postgres.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED")?;
            }
        }
        if self.group == Group::Closed {
            self.group = Group::Open(Part::First);
            self.execute(OPEN_GROUP).inspect_err(|_error| self.undo())?;
        }
        Ok(())
    }

    /// Ends a transaction that has succeeded.
    fn keep(&mut self) -> Result<(), DbError> {
        match self.group {
            Group::Off => self.commit("COMMIT"),
            Group::Open(Part::Later) => {
                let kept = self.execute(KEEP_PART);
                self.group = if kept.is_ok() {
                    Group::Open(Part::None)
                } else {
                    Group::Lost
                };
                kept
            }
            Group::Open(_) => {
                self.group = Group::Open(Part::None);
                Ok(())
            }
            Group::Closed | Group::Lost => Err(DbError::RolledBack),
        }
    }

    /// Ends a transaction that has failed.
    fn undo(&mut self) {
        if self.group == Group::Open(Part::Later) {
            let undone = self.execute(UNDO_PART);
            self.group = if undone.is_ok() {
                Group::Open(Part::None)
            } else {
                Group::Lost
            };
            return;
        }
        // If this fails, the connection is lost and the transaction with it.
        let _ = self.execute("ROLLBACK");
        if self.group != Group::Off {
            self.group = Group::Closed;
        }
    }

    fn commit(&mut self, statement: &str) -> Result<(), DbError> {
        let started = Instant::now();
        self.execute(statement)?;
        self.committed = Some(started.elapsed());
        Ok(())
    }

    fn execute(&mut self, statement: &str) -> Result<(), DbError> {
        Ok(self.connection.batch_execute(statement)?)
    }
}

/// Waits for the locks and holds them until the transaction ends.
fn take_locks(connection: &mut Conn, lock: LockKey<'_>) -> diesel::QueryResult<()> {
    let names = lock.lock_names();
    if let Conn::Postgres(postgres) = connection
        && !names.is_empty()
    {
        diesel::sql_query(
            "SELECT pg_advisory_xact_lock(hashtextextended(key, 0)) FROM unnest($1) AS key",
        )
        .bind::<Array<Text>, _>(names)
        .execute(postgres)?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
