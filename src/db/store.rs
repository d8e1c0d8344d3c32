//! A database as its owners use it: opened, brought up to date, and written
//! to in turns.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use diesel::RunQueryDsl as _;
use diesel::connection::SimpleConnection as _;
use diesel::sql_types::{Array, Text};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};

use super::connection::{Mode, connect, in_turn};
use super::locks::Lock;
use super::{Conn, DbError, on_each};
use crate::config::DatabaseUrl;
use crate::domain::ids::Mxid;
use crate::domain::message::MessageId;
use crate::domain::secret::{Sid, TokenHash};
use crate::domain::threepid::ThreePid;

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// How to reach the database; every owner opens its own [`Store`] from it.
#[derive(Debug, Clone)]
pub struct Database {
    url: DatabaseUrl,
    busy_timeout: Duration,
    // SQLite has one writer. Waiting here in turn is fair and cheap, where
    // its own busy handler polls.
    turn: Arc<Mutex<()>>,
}

/// What a writer wants to itself. What clients name can be no other kind's.
#[derive(Debug, Clone, Copy)]
pub enum LockKey<'a> {
    /// The session with that id.
    Session(&'a Sid),
    /// What belongs to a 3PID.
    ThreePid(&'a ThreePid),
    /// What belongs to any of these 3PIDs.
    ThreePids(&'a [&'a ThreePid]),
    /// The account of a user.
    Account(&'a Mxid),
    /// The access token with that hash.
    AccessToken(&'a TokenHash),
    /// The queued message with that id.
    Message(&'a MessageId),
    /// Work of the server's own.
    Job(&'static str),
}

impl LockKey<'_> {
    /// The names of all that it takes, in an order in which nobody waits for
    /// somebody who waits for them.
    fn keys(self) -> Vec<String> {
        let of_3pid = |threepid: &ThreePid| {
            format!("3pid:{}:{}", threepid.medium().as_str(), threepid.address())
        };
        match self {
            Self::Session(sid) => vec![format!("sid:{}", sid.expose())],
            Self::ThreePid(threepid) => vec![of_3pid(threepid)],
            Self::ThreePids(threepids) => {
                let keys: BTreeSet<_> = threepids.iter().map(|one| of_3pid(one)).collect();
                keys.into_iter().collect()
            }
            Self::Account(user) => vec![format!("account:{user}")],
            Self::AccessToken(hash) => vec![format!("token:{}", hash.as_str())],
            Self::Message(id) => vec![format!("message:{id}")],
            Self::Job(name) => vec![format!("job:{name}")],
        }
    }
}

/// One owner's connection.
pub struct Store {
    connection: Conn,
    turn: Arc<Mutex<()>>,
}

impl Database {
    /// Names a database; nothing is opened yet. `busy_timeout` is how long
    /// SQLite waits for other processes.
    #[must_use]
    pub fn new(url: DatabaseUrl, busy_timeout: Duration) -> Self {
        Self {
            url,
            busy_timeout,
            turn: Arc::default(),
        }
    }

    /// Opens a connection for changes.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub fn writer(&self) -> Result<Store, DbError> {
        self.open(Mode::Write)
    }

    /// Opens a connection that cannot change anything.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub fn reader(&self) -> Result<Store, DbError> {
        self.open(Mode::Read)
    }

    fn open(&self, mode: Mode) -> Result<Store, DbError> {
        let connection = connect(&self.url, mode, self.busy_timeout)?;
        Ok(Store {
            connection,
            turn: Arc::clone(&self.turn),
        })
    }

    /// Opens a connection for changes by a command, beside servers that may run.
    ///
    /// # Errors
    /// When the database cannot be reached, or is not as this version of the
    /// program makes it: a command must not change the tables under a server.
    pub fn beside_servers(&self) -> Result<Store, DbError> {
        if let DatabaseUrl::Sqlite(path) = &self.url
            && !path.exists()
        {
            return Err(DbError::Open(format!("{} does not exist", path.display())));
        }
        let mut store = self.writer()?;
        let pending = match &mut store.connection {
            Conn::Postgres(postgres) => postgres.has_pending_migration(POSTGRES),
            Conn::Sqlite(sqlite) => sqlite.has_pending_migration(SQLITE),
        };
        match pending {
            Ok(false) => Ok(store),
            Ok(true) => Err(DbError::Open(NOT_PREPARED.to_owned())),
            Err(error) => Err(DbError::Open(error.to_string())),
        }
    }

    /// Brings the schema up to date and lets `seed` fill what every database
    /// must have, while other instances wait (OPS-11).
    ///
    /// # Errors
    /// When the database cannot be reached or a migration fails.
    pub fn prepare<F>(&self, seed: F) -> Result<(), DbError>
    where
        F: FnOnce(&mut Conn) -> Result<(), DbError>,
    {
        let mut store = self.writer()?;
        if let Conn::Postgres(postgres) = &mut store.connection {
            // A migration may take its time, and so may the one before it. The lock
            // is held by the connection, hence let go whatever happens.
            postgres.batch_execute(
                "SET lock_timeout = 0; SET statement_timeout = 0; \
                 SET idle_in_transaction_session_timeout = 0",
            )?;
        }
        Lock::Schema.keep(&mut store.connection)?;
        migrate(&mut store.connection)
            .map_err(|error| DbError::Open(format!("a migration failed: {error}")))?;
        store
            .write(LockKey::Job("prepare"), seed)
            .map_err(|error| match error {
                DbError::Query(error) => DbError::Open(error.to_string()),
                other => other,
            })
    }
}

const NOT_PREPARED: &str = "it was not yet prepared by this version of the server; start the \
    server on it once";

/// SQLite has no lock for all migrations: what failed may have been done by
/// another process meanwhile. Each is a transaction, so that nothing is done by
/// halves.
fn migrate(connection: &mut Conn) -> diesel::migration::Result<()> {
    match connection {
        Conn::Postgres(postgres) => postgres.run_pending_migrations(POSTGRES).map(drop),
        Conn::Sqlite(sqlite) => in_turn(sqlite, |sqlite| {
            sqlite.run_pending_migrations(SQLITE).map(drop)
        }),
    }
}

impl Store {
    /// Runs `work` in one transaction. Writers with the same `turn` take turns
    /// on every database and across instances, so that `work` may read, decide
    /// and write; SQLite makes all writers take turns.
    ///
    /// # Errors
    /// What `work` returned; nothing of it has happened then.
    pub fn write<T, E, F>(&mut self, turn: LockKey<'_>, work: F) -> Result<T, E>
    where
        E: From<DbError>,
        F: FnOnce(&mut Conn) -> Result<T, E>,
    {
        let query = |error| E::from(DbError::Query(error));
        let sqlite = matches!(self.connection, Conn::Sqlite(_));
        // The mutex guards a turn and no data: a panic in it leaves nothing behind.
        let _turn = sqlite.then(|| self.turn.lock().unwrap_or_else(PoisonError::into_inner));
        let begin = if sqlite {
            "BEGIN IMMEDIATE"
        } else {
            // Who had to wait for a turn must see what the one before wrote.
            "BEGIN ISOLATION LEVEL READ COMMITTED"
        };
        self.connection.batch_execute(begin).map_err(query)?;
        let outcome = take_turn(&mut self.connection, turn)
            .map_err(query)
            .and_then(|()| work(&mut self.connection));
        match outcome {
            Ok(done) => {
                self.connection.batch_execute("COMMIT").map_err(query)?;
                Ok(done)
            }
            Err(error) => {
                // When even this fails the connection is gone, and the
                // transaction with it.
                let _ = self.connection.batch_execute("ROLLBACK");
                Err(error)
            }
        }
    }

    /// Runs `work`, which only reads, on one state of the database, whatever
    /// others commit meanwhile.
    ///
    /// # Errors
    /// What `work` returned.
    pub fn snapshot<T, E, F>(&mut self, work: F) -> Result<T, E>
    where
        E: From<DbError>,
        F: FnOnce(&mut Conn) -> Result<T, E>,
    {
        let query = |error| E::from(DbError::Query(error));
        let begin = match self.connection {
            Conn::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Conn::Sqlite(_) => "BEGIN DEFERRED",
        };
        self.connection.batch_execute(begin).map_err(query)?;
        let outcome = work(&mut self.connection);
        // There is nothing to keep.
        let ended = self.connection.batch_execute("ROLLBACK").map_err(query);
        outcome.and_then(|done| ended.map(|()| done))
    }

    /// The connection, for queries that change nothing.
    pub fn read(&mut self) -> &mut Conn {
        &mut self.connection
    }

    /// Whether the connection still answers.
    #[must_use]
    pub fn is_alive(&mut self) -> bool {
        on_each!(&mut self.connection, inner => inner.batch_execute("SELECT 1")).is_ok()
    }
}

fn take_turn(connection: &mut Conn, turn: LockKey<'_>) -> diesel::QueryResult<()> {
    if let Conn::Postgres(postgres) = connection {
        diesel::sql_query(
            "SELECT pg_advisory_xact_lock(hashtextextended(key, 0)) FROM unnest($1) AS key",
        )
        .bind::<Array<Text>, _>(turn.keys())
        .execute(postgres)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::peppers;
    use crate::domain::lookup::Pepper;

    /// Holds only with `SQLITE_ENABLE_QPSG` (see .cargo/config.toml).
    #[test]
    fn sqlite_does_not_compile_statements_again() {
        #[derive(diesel::QueryableByName)]
        struct Statement {
            #[diesel(sql_type = diesel::sql_types::Integer)]
            reprep: i32,
            #[diesel(sql_type = diesel::sql_types::Integer)]
            run: i32,
        }
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(folder.path().join("a.db"));
        let database = Database::new(url, Duration::ZERO);
        let pepper = Pepper::parse("pepper").unwrap();
        database
            .prepare(|connection| peppers::add(connection, &pepper, 0))
            .unwrap();
        let mut store = database.reader().unwrap();
        for _ in 0..5 {
            // It binds its LIMIT, as every `first()` does.
            peppers::current(store.read()).unwrap();
        }
        let statements: Vec<Statement> =
            diesel::sql_query("SELECT reprep, run FROM sqlite_stmt WHERE sql LIKE '%LIMIT%'")
                .load(store.read())
                .unwrap();
        let counts: Vec<_> = statements.iter().map(|it| (it.reprep, it.run)).collect();
        assert_eq!(counts.iter().max_by_key(|(_, run)| run), Some(&(0, 5)));
    }

    #[test]
    fn nobody_can_name_the_turn_of_another_kind() {
        let sid = Sid::parse("purge").unwrap();
        let threepid = ThreePid::parse("email", "purge@example.com").unwrap();
        let second = ThreePid::parse("msisdn", "447700900001").unwrap();
        let user = Mxid::parse("@purge:example.org").unwrap();
        let hash = TokenHash::of("purge");
        let message = MessageId::from("purge".to_owned());
        let keys = [
            LockKey::Session(&sid),
            LockKey::ThreePid(&threepid),
            LockKey::ThreePids(&[&second, &threepid, &second]),
            LockKey::Account(&user),
            LockKey::AccessToken(&hash),
            LockKey::Message(&message),
            LockKey::Job("purge"),
        ]
        .map(LockKey::keys)
        .concat();
        assert_eq!(
            keys,
            [
                "sid:purge",
                "3pid:email:purge@example.com",
                "3pid:email:purge@example.com",
                "3pid:msisdn:447700900001",
                "account:@purge:example.org",
                &format!("token:{}", hash.as_str()),
                "message:purge",
                "job:purge"
            ]
        );
    }
}
