//! Opens a database, migrates its schema, and runs transactions that lock what
//! they change.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use diesel::RunQueryDsl as _;
use diesel::connection::SimpleConnection as _;
use diesel::sql_types::{Array, Text};

use super::connection::{Mode, connect};
use super::in_use;
use super::inspection::{self, Owner, Schema};
use super::locks::Lock;
use super::{
    Conn, DbError, LockKey, Rewriter, migrations, server_identity, statements, with_backend,
};
use crate::config::DatabaseUrl;

/// How to connect to the database. Each actor opens its own [`Store`] from it.
#[derive(Debug, Clone)]
pub struct Database {
    url: DatabaseUrl,
    busy_timeout: Duration,
    // SQLite allows one writer at a time. The writers of this process wait for a
    // mutex, because SQLite's busy handler polls and is not fair.
    write_lock: Arc<Mutex<()>>,
}

/// The connection of one actor.
pub struct Store {
    pub(super) connection: Conn,
    pub(super) write_lock: Arc<Mutex<()>>,
}

impl Database {
    /// Describes a database without connecting to it. `busy_timeout` is how long
    /// SQLite waits for a lock that another process holds.
    #[must_use]
    pub fn new(url: DatabaseUrl, busy_timeout: Duration) -> Self {
        Self {
            url,
            busy_timeout,
            write_lock: Arc::default(),
        }
    }

    /// Opens a connection that can write.
    pub fn writer(&self) -> Result<Store, DbError> {
        self.open(Mode::Write)
    }

    /// Opens a connection that can only read.
    pub fn reader(&self) -> Result<Store, DbError> {
        self.open(Mode::Read)
    }

    /// Opens a connection that rewrites the file of an SQLite database; `None` for
    /// PostgreSQL.
    pub fn rewriter(&self) -> Result<Option<Rewriter>, DbError> {
        if !matches!(self.url, DatabaseUrl::Sqlite(_)) {
            return Ok(None);
        }
        match connect(&self.url, Mode::Write, self.busy_timeout)? {
            Conn::Sqlite(sqlite) => Ok(Some(Rewriter::new(sqlite))),
            Conn::Postgres(_) => Ok(None),
        }
    }

    fn open(&self, mode: Mode) -> Result<Store, DbError> {
        let mut connection = connect(&self.url, mode, self.busy_timeout)?;
        in_use::share(&mut connection)?;
        Ok(Store {
            connection,
            write_lock: Arc::clone(&self.write_lock),
        })
    }

    /// Whether the server may use the database, without changing it. Returns warnings.
    ///
    /// # Errors
    /// [`DbError::Refused`] with the reason and what to do; another error if the
    /// database cannot be reached.
    pub fn check(&self, owner: Owner<'_>) -> Result<Vec<String>, DbError> {
        Ok(inspection::inspect(&self.url, Some(owner))?.warnings)
    }

    /// Opens a connection that can write, for a command that runs while servers
    /// use the database.
    ///
    /// # Errors
    /// When the database cannot be used or opened, or its schema is not the one of this
    /// version: a command must not migrate the tables under a running server.
    pub fn writer_on_current_schema(&self, owner: Option<Owner<'_>>) -> Result<Store, DbError> {
        match inspection::inspect(&self.url, owner)?.schema {
            Schema::Current => self.writer(),
            Schema::Outdated => Err(DbError::Open(SCHEMA_OUTDATED.to_owned())),
            Schema::Empty => Err(DbError::Open(SCHEMA_MISSING.to_owned())),
        }
    }

    /// Migrates the schema and lets `seed` insert the rows that every database
    /// must have. Other instances that start wait until it is done (OPS-11).
    ///
    /// # Errors
    /// When the database cannot be used or opened, or a migration fails. Nothing was
    /// changed then.
    pub fn prepare<T, F>(&self, seed: F) -> Result<T, DbError>
    where
        F: FnOnce(&mut Conn) -> Result<T, DbError>,
    {
        self.prepare_with(None, seed)
    }

    /// As [`prepare`](Self::prepare), for a server: refuses a database that belongs to
    /// another one, and stores the name in a new one. Returns what `seed` returns.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub fn prepare_for<T, F>(&self, owner: Owner<'_>, seed: F) -> Result<T, DbError>
    where
        F: FnOnce(&mut Conn) -> Result<T, DbError>,
    {
        self.prepare_with(Some(owner), |connection| {
            match server_identity::name(connection)? {
                None => server_identity::set_name(connection, owner.name)?,
                Some(stored) if stored == owner.name.as_str() => {}
                // Another server has started on the new file at the same time.
                Some(stored) => {
                    return Err(DbError::Refused(format!(
                        "the database: it belongs to the server {stored}"
                    )));
                }
            }
            // Instances of an earlier version may have worked on the new schema until now.
            statements::store_missing_removals(connection, owner.name)?;
            seed(connection)
        })
    }

    fn prepare_with<T, F>(&self, owner: Option<Owner<'_>>, seed: F) -> Result<T, DbError>
    where
        F: FnOnce(&mut Conn) -> Result<T, DbError>,
    {
        self.inspect_file(owner)?;
        prepare(&mut self.writer()?, owner, seed)
    }

    /// Inspects an SQLite database before the first connection, which switches the file
    /// to WAL mode.
    fn inspect_file(&self, owner: Option<Owner<'_>>) -> Result<(), DbError> {
        if matches!(self.url, DatabaseUrl::Sqlite(_)) {
            inspection::inspect(&self.url, owner)?;
        }
        Ok(())
    }

    /// Opens a connection that can write and has the database to itself until it is
    /// dropped, and migrates the schema. `None` if anybody else is connected.
    ///
    /// # Errors
    /// When the database cannot be used or opened, or a migration fails.
    pub fn writer_alone(&self) -> Result<Option<Store>, DbError> {
        self.inspect_file(None)?;
        let mut store = self.writer()?;
        if !in_use::lock_alone(&mut store.connection)? {
            return Ok(None);
        }
        prepare(&mut store, None, |_connection| Ok(()))?;
        Ok(Some(store))
    }

    /// As [`writer_alone`](Self::writer_alone), for a database that exists, whichever
    /// server it belongs to.
    ///
    /// # Errors
    /// As [`writer_alone`](Self::writer_alone), and when anybody else is connected.
    pub fn existing_alone(&self) -> Result<Store, DbError> {
        if inspection::inspect(&self.url, None)?.schema == Schema::Empty {
            return Err(DbError::Open(SCHEMA_MISSING.to_owned()));
        }
        self.writer_alone()?
            .ok_or_else(|| DbError::Open(IN_USE.to_owned()))
    }
}

fn prepare<T, F>(store: &mut Store, owner: Option<Owner<'_>>, seed: F) -> Result<T, DbError>
where
    F: FnOnce(&mut Conn) -> Result<T, DbError>,
{
    let mut is_current = false;
    if let Conn::Postgres(postgres) = &mut store.connection {
        // A migration may take long, and so may the wait for the instance that
        // migrates now. The lock needs no timeout: PostgreSQL releases it when
        // the connection closes, also if this process is killed.
        postgres.batch_execute(
            "SET lock_timeout = 0; SET statement_timeout = 0; \
             SET idle_in_transaction_session_timeout = 0",
        )?;
        Lock::Schema.lock_for_session(&mut store.connection)?;
        // Another instance may have migrated during the wait.
        let found = inspection::inspect_postgres(&mut store.connection, owner)?;
        is_current = found.schema == Schema::Current;
    }
    // Even without pending migrations, diesel wants to create its table, which the role
    // may not be allowed to do.
    if !is_current {
        migrations::apply_pending(&mut store.connection)
            .map_err(|error| DbError::Open(format!("migration failed: {error}")))?;
    }
    store
        .write(LockKey::Job("prepare"), seed)
        .map_err(|error| match error {
            DbError::Query(error) => DbError::Open(error.to_string()),
            other => other,
        })
}

const SCHEMA_OUTDATED: &str = "the schema is not the one of this version; start this version of \
    the server once to migrate it";
const IN_USE: &str = "a server or another command is connected to it; stop it first";
const SCHEMA_MISSING: &str = "it does not exist yet or has no tables; start the server once to \
    create them";

impl Store {
    /// Runs `work` in one transaction. Transactions with the same `lock` run one
    /// after the other, also on different instances, so that `work` may read,
    /// decide and write. On SQLite all write transactions run one after the other.
    ///
    /// # Errors
    /// The error of `work`; the transaction was rolled back then.
    pub fn write<T, E, F>(&mut self, lock: LockKey<'_>, work: F) -> Result<T, E>
    where
        E: From<DbError>,
        F: FnOnce(&mut Conn) -> Result<T, E>,
    {
        let is_sqlite = matches!(self.connection, Conn::Sqlite(_));
        // The mutex protects no data, so a panic while it was held does no harm.
        let _guard = is_sqlite.then(|| {
            self.write_lock
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        });
        let begin = if is_sqlite {
            // Takes SQLite's write lock now. A deferred transaction would take it
            // at its first write, and fail if the data it has read changed since.
            "BEGIN IMMEDIATE"
        } else {
            // After it has waited for the lock, the transaction must see what the
            // previous holder committed. A stricter level would go on with the
            // snapshot that it took before the wait.
            "BEGIN ISOLATION LEVEL READ COMMITTED"
        };
        execute(&mut self.connection, begin)?;
        let result = take_locks(&mut self.connection, lock)
            .map_err(DbError::Query)
            .map_err(E::from)
            .and_then(|()| work(&mut self.connection));
        if result.is_ok() {
            execute(&mut self.connection, "COMMIT")?;
        } else {
            // If this fails, the connection is lost and the transaction with it.
            let _ = self.connection.batch_execute("ROLLBACK");
        }
        result
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
        let begin = match self.connection {
            Conn::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            // In WAL mode, a read transaction sees one state and blocks no writer.
            Conn::Sqlite(_) => "BEGIN DEFERRED",
        };
        execute(&mut self.connection, begin)?;
        let result = work(&mut self.connection);
        let rollback = execute(&mut self.connection, "ROLLBACK");
        result.and_then(|value| rollback.map(|()| value))
    }

    /// The connection, for single queries that only read.
    pub fn read(&mut self) -> &mut Conn {
        &mut self.connection
    }

    /// Whether the connection still works.
    #[must_use]
    pub fn is_alive(&mut self) -> bool {
        with_backend!(&mut self.connection, inner => inner.batch_execute("SELECT 1")).is_ok()
    }
}

fn execute<E: From<DbError>>(connection: &mut Conn, statement: &str) -> Result<(), E> {
    connection
        .batch_execute(statement)
        .map_err(|error| DbError::Query(error).into())
}

/// Waits for the locks and holds them until the transaction ends.
fn take_locks(connection: &mut Conn, lock: LockKey<'_>) -> diesel::QueryResult<()> {
    if let Conn::Postgres(postgres) = connection {
        diesel::sql_query(
            "SELECT pg_advisory_xact_lock(hashtextextended(key, 0)) FROM unnest($1) AS key",
        )
        .bind::<Array<Text>, _>(lock.lock_names())
        .execute(postgres)?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
