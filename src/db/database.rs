//! Opens a database and migrates its schema.

use std::ops::RangeInclusive;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;

use super::connection::{Mode, connect};
use super::inspection::{self, Owner, Schema};
use super::locks::Lock;
use super::status::{self, DatabaseStatus};
use super::{Conn, DbError, LockKey, Rewriter, Store, migrations, server_identity, statements};
use super::{capacity, in_use, log_position};
use crate::config::DatabaseUrl;

/// How many KiB of pages all short reads together keep in memory.
const SHORT_CACHE: u32 = 48 * 1024;

/// How many KiB of pages one connection for short reads keeps at least and at most.
const SHORT_CACHES: RangeInclusive<u32> = 2048..=12_288;

/// How long a short read waits for a lock.
const SHORT_BUSY_TIMEOUT: Duration = Duration::from_millis(50);

/// How to connect to the database. Each actor opens its own [`Store`] from it.
#[derive(Debug, Clone)]
pub struct Database {
    url: DatabaseUrl,
    busy_timeout: Duration,
}

impl Database {
    /// Describes a database without connecting to it. `busy_timeout` is how long
    /// SQLite waits for a lock that another process holds.
    #[must_use]
    pub fn new(url: DatabaseUrl, busy_timeout: Duration) -> Self {
        Self { url, busy_timeout }
    }

    /// Whether only one connection can write at a time.
    #[must_use]
    pub fn has_one_writer(&self) -> bool {
        matches!(self.url, DatabaseUrl::Sqlite(_))
    }

    /// Whether another one is known to be the same database.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (&self.url, &other.url) {
            (DatabaseUrl::Sqlite(file), DatabaseUrl::Sqlite(other)) => {
                let files = file.canonicalize().ok().zip(other.canonicalize().ok());
                files.is_some_and(|(file, other)| file == other)
            }
            (url, other) => url == other,
        }
    }

    /// Opens a connection that can write. Each transaction is committed by itself.
    pub fn writer(&self) -> Result<Store, DbError> {
        self.open(Mode::Write)
    }

    /// Opens a connection that can write, to SQLite. Transactions are committed together,
    /// by [`Store::commit_group`].
    pub fn group_writer(&self) -> Result<Store, DbError> {
        Ok(self.open(Mode::Write)?.into_group())
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

    /// As [`reader`](Self::reader), for a thread that must not wait: it fails when
    /// another process locks the file for longer than some milliseconds. It is one of so
    /// many, which share the memory for the database's pages.
    pub fn short_reader(&self, threads: usize) -> Result<Store, DbError> {
        let threads = u32::try_from(threads).unwrap_or(u32::MAX).max(1);
        let cache = (SHORT_CACHE / threads).clamp(*SHORT_CACHES.start(), *SHORT_CACHES.end());
        self.open_with(Mode::ShortRead(cache), SHORT_BUSY_TIMEOUT)
    }

    fn open(&self, mode: Mode) -> Result<Store, DbError> {
        self.open_with(mode, self.busy_timeout)
    }

    fn open_with(&self, mode: Mode, busy_timeout: Duration) -> Result<Store, DbError> {
        let mut connection = connect(&self.url, mode, busy_timeout)?;
        in_use::share(&mut connection)?;
        Ok(Store::new(connection, busy_timeout))
    }

    /// Whether the server may use the database, without changing it. Returns warnings.
    ///
    /// # Errors
    /// [`DbError::Refused`] with the reason and what to do; another error if the
    /// database cannot be reached.
    pub fn check(&self, owner: Owner<'_>) -> Result<Vec<String>, DbError> {
        Ok(inspection::inspect(&self.url, Some(owner))?.warnings)
    }

    /// Whether this standby may answer lookups of `primary`, which has answered. Returns a
    /// warning if it cannot do so now.
    ///
    /// # Errors
    /// Why it never could.
    pub fn check_standby_of(&self, primary: &Self) -> Result<Option<String>, String> {
        let open = |database: &Self| connect(&database.url, Mode::Read, Duration::ZERO);
        let Ok(mut primary) = open(primary) else {
            return Ok(None);
        };
        match open(self) {
            Ok(mut standby) => log_position::check(&mut primary, &mut standby),
            Err(error) => Ok(Some(format!(
                "could not be checked, because it did not answer: {error}; until it does, lookups \
                 are answered from database.url"
            ))),
        }
    }

    /// How many connections the `PostgreSQL` server accepts of all its clients; `None` for
    /// SQLite.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn max_connections(&self) -> Result<Option<i64>, DbError> {
        capacity::max_connections(&self.url)
    }

    /// Opens a connection that can write, for a command that runs while servers
    /// use the database.
    ///
    /// # Errors
    /// When the database cannot be used or opened, or migrations are missing: a command must
    /// not migrate the tables under a running server.
    pub fn writer_on_current_schema(&self, owner: Option<Owner<'_>>) -> Result<Store, DbError> {
        self.usable_schema(owner)?;
        self.writer()
    }

    /// As [`writer_on_current_schema`](Self::writer_on_current_schema), for a command that
    /// must know everything that the database has.
    ///
    /// # Errors
    /// The same, and when the schema is newer than this version.
    pub fn writer_on_known_schema(&self, owner: Owner<'_>) -> Result<Store, DbError> {
        self.check_current(Some(owner))?;
        self.writer()
    }

    /// Whether the schema is the one of this version.
    ///
    /// # Errors
    /// It is not, or the database cannot be used.
    pub(super) fn check_current(&self, owner: Option<Owner<'_>>) -> Result<(), DbError> {
        match self.usable_schema(owner)? {
            Schema::Newer => Err(DbError::Refused(SCHEMA_NEWER.to_owned())),
            _ => Ok(()),
        }
    }

    fn usable_schema(&self, owner: Option<Owner<'_>>) -> Result<Schema, DbError> {
        match inspection::inspect(&self.url, owner)?.schema {
            Schema::Outdated => Err(DbError::Open(SCHEMA_OUTDATED.to_owned())),
            Schema::Empty => Err(DbError::Open(SCHEMA_MISSING.to_owned())),
            usable => Ok(usable),
        }
    }

    /// The migrations that [`prepare`](Self::prepare) would apply.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn pending_migrations(&self) -> Result<Vec<String>, DbError> {
        status::pending_migrations(&self.url)
    }

    /// What the database is and has, without changing it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn status(&self) -> Result<DatabaseStatus, DbError> {
        status::read(&self.url)
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
    /// When the database cannot be used or opened, a migration fails, or the schema is newer
    /// than this version, which would not see all that it has.
    pub fn writer_alone(&self) -> Result<Option<Store>, DbError> {
        if inspection::inspect(&self.url, None)?.schema == Schema::Newer {
            return Err(DbError::Refused(SCHEMA_NEWER.to_owned()));
        }
        let mut store = self.writer()?;
        if !in_use::lock_alone(&mut store.read())? {
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
    migrate(&mut store.read(), owner)?;
    store
        .write(LockKey::Job("prepare"), seed)
        .map_err(|error| match error {
            DbError::Query(error) => DbError::Open(error.to_string()),
            other => other,
        })
}

fn migrate(connection: &mut Conn, owner: Option<Owner<'_>>) -> Result<(), DbError> {
    let mut is_current = false;
    if let Conn::Postgres(postgres) = connection {
        // A migration may take long, and so may the wait for the instance that
        // migrates now. The lock needs no timeout: PostgreSQL releases it when
        // the connection closes, also if this process is killed.
        postgres.batch_execute(
            "SET lock_timeout = 0; SET statement_timeout = 0; \
             SET idle_in_transaction_session_timeout = 0",
        )?;
        Lock::Schema.lock_for_session(connection)?;
        // Another instance may have migrated during the wait.
        let found = inspection::inspect_postgres(connection, owner)?;
        is_current = !found.schema.needs_migration();
    }
    // Even without pending migrations, diesel wants to create its table, which the role
    // may not be allowed to do.
    if !is_current {
        migrations::apply_pending(connection)
            .map_err(|error| DbError::Open(format!("migration failed: {error}")))?;
    }
    Ok(())
}

const SCHEMA_NEWER: &str = "the database: its schema is newer than this version, which does not \
    know all that is in it; run the command of the newest version that uses it";
const SCHEMA_OUTDATED: &str = "the schema is not the one of this version; start this version of \
    the server once, or run `sydent database migrate`, to migrate it";
const IN_USE: &str = "a server or another command is connected to it; stop it first";
const SCHEMA_MISSING: &str = "it does not exist yet or has no tables; start the server once to \
    create them";

#[cfg(test)]
#[path = "database_tests.rs"]
mod tests;
