//! Opens connections to PostgreSQL and SQLite.

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection, SqliteConnection};
use zeroize::Zeroizing;

use super::redact_credentials::redact_credentials;
use super::{DbError, libpq, private_file};
use crate::config::{DatabaseUrl, PostgresUrl};

/// A connection to PostgreSQL or SQLite; queries are written once for both.
// The derived `establish` tries the variants in order, and SQLite accepts any
// text as a file name, so PostgreSQL comes first.
#[derive(diesel::MultiConnection)]
pub enum Conn {
    /// PostgreSQL.
    Postgres(PgConnection),
    /// SQLite.
    Sqlite(SqliteConnection),
}

/// Evaluates `$body` with the connection inside a [`Conn`]. The body is compiled
/// once for each backend: for statements such as `ON CONFLICT`, which diesel
/// does not implement for the derived enum.
macro_rules! with_backend {
    ($connection:expr, $inner:ident => $body:expr) => {
        match $connection {
            $crate::db::Conn::Postgres($inner) => $body,
            $crate::db::Conn::Sqlite($inner) => $body,
        }
    };
}
pub(super) use with_backend;

/// Whether a connection may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Read,
    /// Only for a few rows at a time, with so many KiB of the database's pages.
    ShortRead(u32),
    Write,
}

pub(super) fn connect(
    url: &DatabaseUrl,
    mode: Mode,
    busy_timeout: Duration,
) -> Result<Conn, DbError> {
    match url {
        DatabaseUrl::Postgres(url) => connect_postgres(url, mode),
        DatabaseUrl::Sqlite(path) => connect_sqlite(path, mode, busy_timeout),
    }
}

fn connect_postgres(url: &PostgresUrl, mode: Mode) -> Result<Conn, DbError> {
    let established = match url.opened() {
        Some(opened) => libpq::establish(opened, &NETWORK_TIMEOUTS),
        None => establish(&add_network_timeouts(url.expose())),
    };
    let mut connection =
        established.map_err(|error| DbError::Open(redact_credentials(&error, url.expose())))?;
    connection.batch_execute(SERVER_TIMEOUTS)?;
    if mode != Mode::Write {
        connection.batch_execute("SET default_transaction_read_only = on")?;
    }
    Ok(Conn::Postgres(connection))
}

fn establish(url: &str) -> Result<PgConnection, String> {
    PgConnection::establish(url).map_err(|error| error.to_string())
}

/// A session that hangs while it holds a lock must not block the others for much
/// longer than their callers wait for a result, so the server ends its
/// statement or its transaction.
const SERVER_TIMEOUTS: &str = "SET lock_timeout = '20s'; SET statement_timeout = '20s'; \
    SET idle_in_transaction_session_timeout = '60s'";

/// How long connecting may take (s), and when a server whose machine or network
/// is down counts as lost (s, and ms for `tcp_user_timeout`): the defaults of
/// libpq and the system amount to hours.
const NETWORK_TIMEOUTS: [(&str, &str); 5] = [
    ("connect_timeout", "5"),
    ("keepalives_idle", "10"),
    ("keepalives_interval", "5"),
    ("keepalives_count", "3"),
    ("tcp_user_timeout", "25000"),
];

/// Adds each of [`NETWORK_TIMEOUTS`] that the URL does not set.
fn add_network_timeouts(url: &str) -> Zeroizing<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    // As libpq parses it: the user info ends at an @ before the first slash, and
    // may contain a question mark.
    let after_user_info = match rest.split_once('@') {
        Some((user_info, after)) if !user_info.contains('/') => after,
        _ => rest,
    };
    let query = after_user_info.split_once('?').map(|(_, query)| query);
    let mut url = Zeroizing::new(url.to_owned());
    let mut separator = match query {
        None => "?",
        Some("") => "",
        Some(_) => "&",
    };
    for (name, value) in NETWORK_TIMEOUTS {
        let mut parameters = query.into_iter().flat_map(|query| query.split('&'));
        if !parameters.any(|parameter| parameter.split('=').next() == Some(name)) {
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
        .ok_or_else(|| DbError::Open("the path is not valid UTF-8".to_owned()))?;
    create_if_missing(path).map_err(|error| open_error(path, error))?;
    let mut connection =
        SqliteConnection::establish(name).map_err(|error| open_error(path, error))?;
    // synchronous = FULL: a committed change survives a power failure.
    // secure_delete: deleted tokens and invite keys are overwritten, rather than
    // left in free pages of the file.
    let settings = format!(
        "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
         PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA cache_size = -{}; \
         PRAGMA query_only = {};",
        busy_timeout.as_millis(),
        // KiB. Lookups of single addresses benefit most from a large cache.
        match mode {
            Mode::ShortRead(cache) => cache,
            Mode::Read => 4096,
            Mode::Write => 2048,
        },
        if mode == Mode::Write { "OFF" } else { "ON" },
    );
    retry_locked(&mut connection, |connection| {
        connection.batch_execute(&settings)
    })
    .map_err(|error| open_error(path, error))?;
    Ok(Conn::Sqlite(connection))
}

/// The file's path with what went wrong.
pub(super) fn open_error(path: &Path, error: impl Display) -> DbError {
    DbError::Open(format!("{}: {error}", path.display()))
}

/// How often an operation is tried for which SQLite ignores its busy timeout. It
/// fails with "database is locked" at once when two processes switch a file to
/// WAL mode, or when a transaction that has read wants to write and another
/// process has written meanwhile.
const SQLITE_ATTEMPTS: usize = 8;

/// Retries `operation` when it fails, because the file may be locked. Before each
/// retry an exclusive transaction waits for the lock, with the busy timeout.
/// Another process may complete the same operation during the wait; running it
/// again must then have no effect.
pub(super) fn retry_locked<E>(
    connection: &mut SqliteConnection,
    mut operation: impl FnMut(&mut SqliteConnection) -> Result<(), E>,
) -> Result<(), E> {
    let mut result = operation(connection);
    for _ in 1..SQLITE_ATTEMPTS {
        if result.is_ok() {
            break;
        }
        // If waiting fails, so does the next attempt, and its error is returned.
        let _ = connection.batch_execute("BEGIN EXCLUSIVE; COMMIT");
        result = operation(connection);
    }
    result
}

/// How long SQLite waits for its write lock in one of the steps of [`begin_immediate`].
const LOCK_STEP: Duration = Duration::from_millis(5);

/// Begins a write transaction of SQLite, and waits up to `limit` for the write lock.
///
/// In one long wait SQLite would look less and less often, at last every 100 ms, and a
/// server that writes all the time leaves the lock free for a fraction of a millisecond
/// only. In a short one it looks after 1 and 3 ms.
pub(super) fn begin_immediate(
    connection: &mut SqliteConnection,
    limit: Duration,
) -> Result<(), DbError> {
    let started = Instant::now();
    let busy_timeout = |wait: Duration| format!("PRAGMA busy_timeout = {}", wait.as_millis());
    let (step, all) = (busy_timeout(LOCK_STEP.min(limit)), busy_timeout(limit));
    let begin = format!("{step}; BEGIN IMMEDIATE; {all}");
    loop {
        let Err(error) = connection.batch_execute(&begin) else {
            return Ok(());
        };
        if !is_locked(&error) || started.elapsed() >= limit {
            let _ = connection.batch_execute(&all);
            return Err(error.into());
        }
    }
}

/// Whether another connection to an SQLite file holds a lock; diesel has no kind for it.
pub(super) fn is_locked(error: &diesel::result::Error) -> bool {
    error.to_string().contains("locked")
}

/// Creates the file with mode 0600, because it will hold tokens and addresses.
/// SQLite creates the WAL and shared-memory files with the mode of the database.
fn create_if_missing(path: &Path) -> io::Result<()> {
    match private_file::create(path) {
        // An existing file must not be opened here: closing any descriptor of a
        // file releases all POSIX locks that SQLite holds on it in this process.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Mode, add_network_timeouts, connect, establish, redact_credentials};
    use crate::config::DatabaseUrl;

    /// Also with URLs that the configuration refuses.
    #[test]
    fn connection_errors_contain_no_login() {
        for url in [
            // libpq takes what follows the first @ as the host.
            "postgres://sydent:pa@ssWORD@127.0.0.1:1/x",
            "postgres://sydent:ssWORD%zz@127.0.0.1:1/x",
            "postgres://sydent:ssWORD/more@127.0.0.1:1/x",
            "postgres://sydent:ssWORD@127.0.0.1:1/x",
        ] {
            let Err(error) = establish(&add_network_timeouts(url)) else {
                panic!("nothing listens on port 1");
            };
            let error = redact_credentials(&error, url);
            assert!(!error.contains("ssWORD"), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
        for mode in ["disable", "prefer", "require"] {
            let url = format!("postgres://sydent:ssWORD@127.0.0.1:1/x?sslmode={mode}");
            let url = DatabaseUrl::parse(&url).unwrap();
            let Err(error) = connect(&url, Mode::Read, Duration::ZERO) else {
                panic!("nothing listens on port 1");
            };
            let shown = format!("{error} {error:?}");
            assert!(
                !shown.contains("ssWORD") && shown.contains("refused"),
                "{shown}"
            );
        }
    }

    #[test]
    fn deleted_data_is_erased_from_the_sqlite_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        let url = DatabaseUrl::Sqlite(file.clone());
        let mut connection = connect(&url, Mode::Write, Duration::ZERO).unwrap();
        let super::Conn::Sqlite(sqlite) = &mut connection else {
            panic!("not SQLite");
        };
        let mut contains_needle_after = |statements: &str| {
            let all = format!("{statements}; PRAGMA wal_checkpoint(TRUNCATE)");
            diesel::connection::SimpleConnection::batch_execute(sqlite, &all).unwrap();
            let bytes = std::fs::read(&file).unwrap();
            bytes.windows(6).any(|part| part == b"needle")
        };
        assert!(contains_needle_after(
            "CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('needle'), ('hay')"
        ));
        assert!(!contains_needle_after("DELETE FROM t WHERE a = 'needle'"));
    }

    #[cfg(unix)]
    #[test]
    fn new_sqlite_file_has_mode_0600() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        let url = DatabaseUrl::Sqlite(file.clone());
        let mut connection = connect(&url, Mode::Write, Duration::ZERO).unwrap();
        let super::Conn::Sqlite(sqlite) = &mut connection else {
            panic!("not SQLite");
        };
        diesel::connection::SimpleConnection::batch_execute(sqlite, "CREATE TABLE t (a TEXT)")
            .unwrap();
        for file in [file.clone(), file.with_extension("db-wal")] {
            let mode = file.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", file.display());
        }
    }

    #[test]
    fn timeouts_are_added_unless_set_in_the_url() {
        let all = "connect_timeout=5&keepalives_idle=10&keepalives_interval=5\
                   &keepalives_count=3&tcp_user_timeout=25000";
        for url in [
            "postgres://db/x",
            "postgresql:///x",
            "postgres://a:b?c@db/x",
        ] {
            assert_eq!(*add_network_timeouts(url), format!("{url}?{all}"));
        }
        assert_eq!(
            *add_network_timeouts("postgres://db/x?"),
            format!("postgres://db/x?{all}")
        );
        for url in ["postgres://a:b@db/x?sslmode=require", "postgres:///x?a=b@c"] {
            assert_eq!(*add_network_timeouts(url), format!("{url}&{all}"));
        }
        let url = "postgres://db/x?connect_timeout=60&tcp_user_timeout=0";
        let added = "&keepalives_idle=10&keepalives_interval=5&keepalives_count=3";
        assert_eq!(*add_network_timeouts(url), format!("{url}{added}"));
    }
}
