//! Whether a database may be used, found out without changing it: before the first
//! write, and before SQLite is asked to switch a file to write-ahead logging.

mod contents;
mod owner;
mod postgres;

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, ConnectionError, ConnectionResult, SqliteConnection};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

pub(super) use self::contents::{Contents, Schema, read as read_contents};
pub use self::owner::Owner;
use super::connection::{Mode, connect, open_error};
use super::{Conn, DbError, migrations};
use crate::config::DatabaseUrl;

/// What was found in a database that may be used.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) schema: Schema,
    /// What the administrator should know, although the database may be used.
    pub(super) warnings: Vec<String>,
}

/// Inspects a database on a connection of its own.
///
/// # Errors
/// [`DbError::Refused`] if it must not be used, another error if it cannot be read.
pub(super) fn inspect(url: &DatabaseUrl, owner: Option<Owner<'_>>) -> Result<Findings, DbError> {
    match url {
        // The session is not read-only, because that would be mistaken for the reason
        // to refuse a server that is.
        DatabaseUrl::Postgres(_) => {
            inspect_postgres(&mut connect(url, Mode::Write, Duration::ZERO)?, owner)
        }
        DatabaseUrl::Sqlite(path) => inspect_file(url, path, owner),
    }
}

/// Inspects a `PostgreSQL` database on a connection that can write.
pub(super) fn inspect_postgres(
    connection: &mut Conn,
    owner: Option<Owner<'_>>,
) -> Result<Findings, DbError> {
    let server = postgres::Server::read(connection)?;
    let refused =
        |reason: String| refuse(format_args!("the database {:?}", server.database), &reason);
    server.check().map_err(refused)?;
    if let Some(reason) = postgres::forbidden_table(connection, &server)? {
        return Err(refused(reason));
    }
    let findings = inspect_contents(connection, owner, &refused)?;
    if findings.schema.needs_migration()
        && let Some(reason) = postgres::cannot_migrate(connection, &server)?
    {
        return Err(refused(reason));
    }
    Ok(findings)
}

fn inspect_file(
    url: &DatabaseUrl,
    path: &Path,
    owner: Option<Owner<'_>>,
) -> Result<Findings, DbError> {
    let refused = |reason: String| refuse(format_args!("the database {}", path.display()), &reason);
    if !url.check_file().map_err(refused)? {
        return Ok(Findings {
            schema: Schema::Empty,
            warnings: Vec::new(),
        });
    }
    let unreadable = |error: &dyn Display| open_error(path, error);
    let mut connection = Conn::Sqlite(open_read_only(path).map_err(|error| unreadable(&error))?);
    inspect_contents(&mut connection, owner, &refused).map_err(|error| match error {
        // An import has the file to itself.
        DbError::Query(error) if error.to_string().contains("locked") => unreadable(&error),
        DbError::Query(error) => refused(not_a_database(&error)),
        other => other,
    })
}

fn inspect_contents(
    connection: &mut Conn,
    owner: Option<Owner<'_>>,
    refused: &dyn Fn(String) -> DbError,
) -> Result<Findings, DbError> {
    let known = migrations::versions().map_err(|error| unreadable(&error))?;
    let contents = contents::read(connection)?;
    let schema = contents.schema(&known).map_err(refused)?;
    let mut warnings = match owner {
        Some(owner) if schema != Schema::Empty => {
            owner::check(connection, &contents, owner)?.map_err(refused)?
        }
        _ => Vec::new(),
    };
    warnings.extend(contents.warning(&known));
    Ok(Findings { schema, warnings })
}

fn refuse(database: impl Display, reason: &str) -> DbError {
    DbError::Refused(format!("{database}: {reason}"))
}

fn unreadable(error: &dyn Display) -> DbError {
    DbError::Open(error.to_string())
}

fn not_a_database(error: &diesel::result::Error) -> String {
    let text = error.to_string();
    if text.contains("not a database") {
        return "it is not an SQLite database; name a database of this server, or a file that does \
                not exist yet"
            .to_owned();
    }
    format!("it cannot be read ({text}); restore it from a backup if it is damaged")
}

/// Opens a file so that SQLite neither changes it nor creates files beside it. With a
/// write-ahead log that is impossible; then it is opened as any reader does. Neither is
/// it with the journal of a transaction that was killed, which SQLite rolls back first.
pub(super) fn open_read_only(path: &Path) -> ConnectionResult<SqliteConnection> {
    // SQLite follows links, and has the other files beside the target.
    let path = path.canonicalize().unwrap_or_else(|_error| path.to_owned());
    let has = |suffix: &str| {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        Path::new(&file).metadata().is_ok_and(|file| file.len() > 0)
    };
    let parameter = if has("-journal") {
        "mode=rw"
    } else if has("-wal") {
        "mode=ro"
    } else {
        "immutable=1"
    };
    let name = path.to_string_lossy();
    let name = utf8_percent_encode(&name, NON_ALPHANUMERIC);
    let mut connection = SqliteConnection::establish(&format!("file:{name}?{parameter}"))?;
    connection
        .batch_execute(WAIT_FOR_OTHERS)
        .map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

/// Another instance that starts at the same moment holds the file while it switches it to
/// write-ahead logging (ms).
const WAIT_FOR_OTHERS: &str = "PRAGMA busy_timeout = 5000";
