//! One connection to either database.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection, SqliteConnection};
use zeroize::Zeroizing;

use super::DbError;
use super::without_login::without_login;
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
    let mut connection = PgConnection::establish(&with_limits(url))
        .map_err(|error| DbError::Open(without_login(&error.to_string(), url)))?;
    connection.batch_execute(PATIENCE)?;
    if mode == Mode::Read {
        connection.batch_execute("SET default_transaction_read_only = on")?;
    }
    Ok(Conn::Postgres(connection))
}

/// Nobody keeps the others waiting for longer than about the patience of those
/// who ask, whatever became of the one who holds a lock.
const PATIENCE: &str = "SET lock_timeout = '20s'; SET statement_timeout = '20s'; \
    SET idle_in_transaction_session_timeout = '60s'";

/// How long a connection may take to be made (s), and after how long a server
/// whose machine or network has vanished counts as gone (s and ms): libpq's own
/// limits are hours.
const LIMITS: [(&str, &str); 5] = [
    ("connect_timeout", "5"),
    ("keepalives_idle", "10"),
    ("keepalives_interval", "5"),
    ("keepalives_count", "3"),
    ("tcp_user_timeout", "25000"),
];

/// The URL with each limit that it does not set itself.
fn with_limits(url: &str) -> Zeroizing<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    // As libpq reads it: a login ends at an @ before the first slash, and may
    // hold a question mark.
    let place = match rest.split_once('@') {
        Some((login, place)) if !login.contains('/') => place,
        _ => rest,
    };
    let given = place.split_once('?').map(|(_, parameters)| parameters);
    let mut url = Zeroizing::new(url.to_owned());
    let mut separator = match given {
        None => "?",
        Some("") => "",
        Some(_) => "&",
    };
    for (name, value) in LIMITS {
        let mut names = given.into_iter().flat_map(|given| given.split('&'));
        if !names.any(|parameter| parameter.split('=').next() == Some(name)) {
            for part in [separator, name, "=", value] {
                url.push_str(part);
            }
            separator = "&";
        }
    }
    url
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
    let unusable = |error: String| DbError::Open(format!("{}: {error}", path.display()));
    make_private(path).map_err(|error| unusable(error.to_string()))?;
    let mut connection =
        SqliteConnection::establish(name).map_err(|error| unusable(error.to_string()))?;
    // FULL: an answered change survives a power cut. What is deleted (codes, keys
    // of invites) is overwritten and not only let go of.
    let settings = format!(
        "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
         PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA cache_size = -{}; \
         PRAGMA query_only = {};",
        busy_timeout.as_millis(),
        // KiB. Look-ups profit from it; there are as many writers as owners.
        if mode == Mode::Read { 16384 } else { 2048 },
        if mode == Mode::Read { "ON" } else { "OFF" },
    );
    in_turn(&mut connection, |connection| {
        connection.batch_execute(&settings)
    })
    .map_err(|error| unusable(error.to_string()))?;
    Ok(Conn::Sqlite(connection))
}

/// How often SQLite is asked again for what it does not wait for: it gives up at
/// once when two programs turn a file into WAL, or when what was read is to be
/// changed and somebody else was faster.
const SQLITE_TRIES: usize = 8;

/// Asks again after a turn of its own, which does wait for the others. Only for
/// what may have been done by another program meanwhile and is then nothing.
pub(super) fn in_turn<E>(
    connection: &mut SqliteConnection,
    mut ask: impl FnMut(&mut SqliteConnection) -> Result<(), E>,
) -> Result<(), E> {
    let mut outcome = ask(connection);
    for _ in 1..SQLITE_TRIES {
        if outcome.is_ok() {
            break;
        }
        // When even that fails, the next answer says why.
        let _waited = connection.batch_execute("BEGIN EXCLUSIVE; COMMIT");
        outcome = ask(connection);
    }
    outcome
}

/// Makes the file for its owner alone if it is not there: it will hold tokens
/// and addresses. SQLite gives the files beside it the same mode.
fn make_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    match options.open(path) {
        // Opening it again here and closing it would let go of SQLite's locks.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Mode, connect, with_limits};
    use crate::config::{DatabaseUrl, Secret};

    #[test]
    fn no_part_of_a_login_is_in_an_error() {
        for url in [
            // Read by libpq: the host is what follows the first @.
            "postgres://sydent:pa@ssWORD@127.0.0.1:1/x",
            "postgres://sydent:ssWORD%zz@127.0.0.1:1/x",
            "postgres://sydent:ssWORD/more@127.0.0.1:1/x",
            "postgres://sydent:ssWORD@127.0.0.1:1/x",
        ] {
            let url = DatabaseUrl::Postgres(Secret::from(url.to_owned()));
            let Err(error) = connect(&url, Mode::Read, Duration::ZERO) else {
                panic!("nothing listens there");
            };
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("ssWORD"), "{shown}");
            assert!(!error.to_string().contains('\n'), "{shown}");
        }
    }

    #[test]
    fn what_is_deleted_is_not_in_an_sqlite_file_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        let url = DatabaseUrl::Sqlite(file.clone());
        let mut connection = connect(&url, Mode::Write, Duration::ZERO).unwrap();
        let super::Conn::Sqlite(sqlite) = &mut connection else {
            panic!("it is SQLite");
        };
        let mut is_there_after = |statements: &str| {
            let all = format!("{statements}; PRAGMA wal_checkpoint(TRUNCATE)");
            diesel::connection::SimpleConnection::batch_execute(sqlite, &all).unwrap();
            let bytes = std::fs::read(&file).unwrap();
            bytes.windows(6).any(|part| part == b"needle")
        };
        assert!(is_there_after(
            "CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('needle'), ('hay')"
        ));
        assert!(!is_there_after("DELETE FROM t WHERE a = 'needle'"));
    }

    #[cfg(unix)]
    #[test]
    fn a_new_sqlite_file_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        let url = DatabaseUrl::Sqlite(file.clone());
        let mut connection = connect(&url, Mode::Write, Duration::ZERO).unwrap();
        let super::Conn::Sqlite(sqlite) = &mut connection else {
            panic!("it is SQLite");
        };
        diesel::connection::SimpleConnection::batch_execute(sqlite, "CREATE TABLE t (a TEXT)")
            .unwrap();
        for file in [file.clone(), file.with_extension("db-wal")] {
            let mode = file.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", file.display());
        }
    }

    #[test]
    fn limits_are_added_where_the_url_sets_none() {
        let all = "connect_timeout=5&keepalives_idle=10&keepalives_interval=5\
                   &keepalives_count=3&tcp_user_timeout=25000";
        for url in [
            "postgres://db/x",
            "postgresql:///x",
            "postgres://a:b?c@db/x",
        ] {
            assert_eq!(*with_limits(url), format!("{url}?{all}"));
        }
        assert_eq!(
            *with_limits("postgres://db/x?"),
            format!("postgres://db/x?{all}")
        );
        for url in ["postgres://a:b@db/x?sslmode=require", "postgres:///x?a=b@c"] {
            assert_eq!(*with_limits(url), format!("{url}&{all}"));
        }
        let url = "postgres://db/x?connect_timeout=60&tcp_user_timeout=0";
        let added = "&keepalives_idle=10&keepalives_interval=5&keepalives_count=3";
        assert_eq!(*with_limits(url), format!("{url}{added}"));
    }
}
