//! What a database is and has, read without changing it and beside running servers.

use std::collections::BTreeMap;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use serde::Serialize;

use super::connection::{Mode, connect, open_error};
use super::inspection::{Contents, open_read_only, read_contents};
use super::locks::Lock;
use super::{Conn, DbError, import_target, migrations, peppers, server_identity, with_backend};
use crate::config::DatabaseUrl;

/// What was found.
#[derive(Debug, Serialize)]
pub struct DatabaseStatus {
    /// `SQLite` or `PostgreSQL`, and its version.
    pub backend: String,
    /// The newest migration that was applied; `None` in an empty database.
    pub schema: Option<String>,
    /// The migrations that the start of a server would apply.
    pub pending_migrations: Vec<String>,
    /// Migrations that this version does not know.
    pub unknown_migrations: Vec<String>,
    /// The server that it belongs to.
    pub server_name: Option<String>,
    /// Bytes of everything in it.
    pub bytes: i64,
    /// The number of rows of each table.
    pub rows: BTreeMap<String, i64>,
    /// The connections of servers and commands; `None` if that cannot be known.
    pub connections: Option<Connections>,
    /// The rotation of the pepper that is under way.
    pub pepper_rotation: Option<Rotation>,
    /// What is queued for delivery, by kind.
    pub queue: BTreeMap<String, i64>,
}

/// Who is connected.
#[derive(Debug, Serialize, QueryableByName)]
pub struct Connections {
    /// The number of connections.
    #[diesel(sql_type = BigInt)]
    pub count: i64,
    /// The number of addresses that they come from.
    #[diesel(sql_type = BigInt)]
    pub addresses: i64,
}

/// A rotation that is under way.
#[derive(Debug, Serialize)]
pub struct Rotation {
    /// The last association that has a hash of the next pepper.
    pub hashed_to: i64,
    /// The last association.
    pub last: i64,
}

/// A name and a number.
#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// Opens a database for reading; `None` if it does not exist.
fn open(url: &DatabaseUrl) -> Result<Option<Conn>, DbError> {
    match url {
        DatabaseUrl::Postgres(_) => connect(url, Mode::Read, Duration::ZERO).map(Some),
        DatabaseUrl::Sqlite(path) if !path.exists() => Ok(None),
        DatabaseUrl::Sqlite(path) => open_read_only(path)
            .map(|sqlite| Some(Conn::Sqlite(sqlite)))
            .map_err(|error| open_error(path, error)),
    }
}

/// The migrations that a database lacks.
pub(super) fn pending_migrations(url: &DatabaseUrl) -> Result<Vec<String>, DbError> {
    let contents = match open(url)? {
        Some(mut connection) => read_contents(&mut connection)?,
        None => Contents::default(),
    };
    Ok(without(&known_migrations()?, &contents.versions))
}

fn known_migrations() -> Result<Vec<String>, DbError> {
    migrations::versions().map_err(|error| DbError::Open(error.to_string()))
}

fn without(versions: &[String], others: &[String]) -> Vec<String> {
    let rest = versions.iter().filter(|version| !others.contains(version));
    rest.cloned().collect()
}

/// Reads the status of a database.
pub(super) fn read(url: &DatabaseUrl) -> Result<DatabaseStatus, DbError> {
    let Some(mut connection) = open(url)? else {
        return Err(DbError::Open("the file does not exist".to_owned()));
    };
    // Counting may take longer than a statement of a server.
    let begin = match connection {
        Conn::Postgres(_) => {
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0"
        }
        Conn::Sqlite(_) => "BEGIN DEFERRED",
    };
    connection.batch_execute(begin)?;
    let contents = read_contents(&mut connection)?;
    let status = describe(&mut connection, &contents, &known_migrations()?)?;
    connection.batch_execute("ROLLBACK")?;
    Ok(status)
}

fn describe(
    connection: &mut Conn,
    contents: &Contents,
    known: &[String],
) -> Result<DatabaseStatus, DbError> {
    let has = |table: &str| contents.tables.contains(table);
    let pending = without(known, &contents.versions);
    let unknown = without(&contents.versions, known);
    // Only then are the columns those that the queries of this version name.
    let is_current = pending.is_empty() && unknown.is_empty();
    Ok(DatabaseStatus {
        backend: backend(connection)?,
        schema: contents.versions.iter().max().cloned(),
        pending_migrations: pending,
        unknown_migrations: unknown,
        server_name: if has("server_identity") {
            server_identity::name(connection)?
        } else {
            None
        },
        bytes: bytes(connection)?,
        rows: rows(connection, contents)?,
        connections: connections(connection)?,
        pepper_rotation: if is_current {
            rotation(connection)?
        } else {
            None
        },
        queue: if has("outbox") {
            let by_kind = "SELECT kind AS name, COUNT(*) AS n FROM outbox GROUP BY kind";
            counted(connection, by_kind)?
        } else {
            BTreeMap::new()
        },
    })
}

fn counted(connection: &mut Conn, sql: &str) -> Result<BTreeMap<String, i64>, DbError> {
    let rows: Vec<Counted> =
        with_backend!(connection, inner => diesel::sql_query(sql).load(inner)?);
    Ok(rows.into_iter().map(|row| (row.name, row.n)).collect())
}

fn backend(connection: &mut Conn) -> Result<String, DbError> {
    let sql = match connection {
        Conn::Postgres(_) => {
            "SELECT 'PostgreSQL ' || current_setting('server_version') AS name, 0::int8 AS n"
        }
        Conn::Sqlite(_) => "SELECT 'SQLite ' || sqlite_version() AS name, 0 AS n",
    };
    let rows = counted(connection, sql)?;
    Ok(rows.into_keys().next().unwrap_or_default())
}

fn bytes(connection: &mut Conn) -> Result<i64, DbError> {
    let sql = match connection {
        Conn::Postgres(_) => "SELECT '' AS name, pg_database_size(current_database()) AS n",
        Conn::Sqlite(_) => {
            "SELECT '' AS name, page_count * page_size AS n \
             FROM pragma_page_count(), pragma_page_size()"
        }
    };
    let rows = counted(connection, sql)?;
    Ok(rows.into_values().next().unwrap_or_default())
}

fn rows(connection: &mut Conn, contents: &Contents) -> Result<BTreeMap<String, i64>, DbError> {
    let tables = import_target::TABLES.iter();
    let counts: Vec<String> = tables
        .filter(|table| contents.tables.contains(**table))
        .map(|table| format!("SELECT '{table}' AS name, COUNT(*) AS n FROM {table}"))
        .collect();
    if counts.is_empty() {
        return Ok(BTreeMap::new());
    }
    counted(connection, &counts.join(" UNION ALL "))
}

/// On PostgreSQL each of them shares a lock.
fn connections(connection: &mut Conn) -> Result<Option<Connections>, DbError> {
    let Conn::Postgres(postgres) = connection else {
        return Ok(None);
    };
    let sql = "SELECT COUNT(*) AS count, COUNT(DISTINCT COALESCE(client_addr, '::'::inet)) AS \
               addresses FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = \
               'advisory' AND granted AND objsubid = 1 AND \
               (classid::int8 << 32 | objid::int8) = $1 AND database = (SELECT oid FROM \
               pg_database WHERE datname = current_database())";
    let found = diesel::sql_query(sql)
        .bind::<BigInt, _>(Lock::InUse as i64)
        .get_result(postgres)?;
    Ok(Some(found))
}

fn rotation(connection: &mut Conn) -> Result<Option<Rotation>, DbError> {
    let Some(next) = peppers::next(connection)? else {
        return Ok(None);
    };
    let last = "SELECT '' AS name, COALESCE(MAX(id), 0) AS n FROM associations";
    Ok(Some(Rotation {
        hashed_to: next.hashed_to(),
        last: counted(connection, last)?
            .into_values()
            .next()
            .unwrap_or_default(),
    }))
}
