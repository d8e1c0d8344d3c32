//! One connection to either database.

use std::path::Path;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection, SqliteConnection};

use super::DbError;
use crate::config::DatabaseUrl;

/// A connection to PostgreSQL or SQLite; queries are written once for both.
// PostgreSQL stands first: SQLite would take any text for a file name.
#[derive(diesel::MultiConnection)]
pub enum Conn {
    /// PostgreSQL.
    Postgres(PgConnection),
    /// SQLite.
    Sqlite(SqliteConnection),
}

/// Compiles the same body once for each kind of connection, for the
/// statements that the derived enum cannot carry (`ON CONFLICT`).
macro_rules! on_each {
    ($connection:expr, $inner:ident => $body:expr) => {
        match $connection {
            $crate::db::Conn::Postgres($inner) => $body,
            $crate::db::Conn::Sqlite($inner) => $body,
        }
    };
}
pub(super) use on_each;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Read,
    Write,
}

pub(super) fn connect(
    url: &DatabaseUrl,
    mode: Mode,
    busy_timeout: Duration,
) -> Result<Conn, DbError> {
    match url {
        DatabaseUrl::Postgres(url) => connect_postgres(url.expose(), mode),
        DatabaseUrl::Sqlite(path) => connect_sqlite(path, mode, busy_timeout),
    }
}

fn connect_postgres(url: &str, mode: Mode) -> Result<Conn, DbError> {
    // libpq's text names host and user, never the password.
    let mut connection =
        PgConnection::establish(url).map_err(|error| DbError::Open(error.to_string()))?;
    if mode == Mode::Read {
        connection.batch_execute("SET default_transaction_read_only = on")?;
    }
    Ok(Conn::Postgres(connection))
}

fn connect_sqlite(path: &Path, mode: Mode, busy_timeout: Duration) -> Result<Conn, DbError> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(DbError::Open(format!(
            "the folder {} does not exist",
            folder.display()
        )));
    }
    let name = path
        .to_str()
        .ok_or_else(|| DbError::Open("its path is not UTF-8".to_owned()))?;
    let mut connection = SqliteConnection::establish(name)
        .map_err(|error| DbError::Open(format!("{}: {error}", path.display())))?;
    // FULL: an answered change survives a power cut.
    connection.batch_execute(&format!(
        "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
         PRAGMA foreign_keys = ON; PRAGMA cache_size = -16384; PRAGMA query_only = {};",
        busy_timeout.as_millis(),
        if mode == Mode::Read { "ON" } else { "OFF" },
    ))?;
    Ok(Conn::Sqlite(connection))
}
