//! Who uses a database: an import or a copy replaces no data that a server works with.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;

use super::connection::is_locked;
use super::locks::Lock;
use super::{Conn, DbError};

/// Notes until the connection closes that it is in use. On SQLite every connection
/// in WAL mode does so.
///
/// # Errors
/// When an import or a copy is running.
pub(super) fn share(connection: &mut Conn) -> Result<(), DbError> {
    let Conn::Postgres(postgres) = connection else {
        return Ok(());
    };
    Lock::InUse.share_for_session(postgres).map_err(|error| {
        DbError::Open(format!(
            "an import or a copy has the database to itself: {error}"
        ))
    })
}

/// Locks the whole database until the connection closes. Returns false if another
/// process has a connection to it for longer than a moment: a server that ends closes its
/// connections a little late, and PostgreSQL notices it a little later.
pub(super) fn lock_alone(connection: &mut Conn) -> Result<bool, DbError> {
    let started = Instant::now();
    while !try_lock_alone(connection)? {
        if started.elapsed() > LONGEST_WAIT {
            return Ok(false);
        }
        pause();
    }
    Ok(true)
}

fn try_lock_alone(connection: &mut Conn) -> Result<bool, DbError> {
    match connection {
        Conn::Postgres(postgres) => Ok(Lock::InUse.try_lock_for_session(postgres)?),
        Conn::Sqlite(sqlite) => {
            // A connection in WAL mode shares a lock on the file as long as it is
            // open, and this mode can only be left without any other one. SQLite does not
            // wait for that. Statements need no space in the temporary folder then.
            let statements = "PRAGMA temp_store = MEMORY; PRAGMA locking_mode = EXCLUSIVE; PRAGMA busy_timeout = 1000; \
                PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE; COMMIT";
            match sqlite.batch_execute(statements) {
                Ok(()) => Ok(true),
                Err(error) if is_locked(&error) => Ok(false),
                Err(error) => Err(error.into()),
            }
        }
    }
}

/// How long a command waits until the others have closed their connections.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

#[expect(
    clippy::disallowed_methods,
    reason = "a command that wants the database for itself has nothing else to do"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(100));
}
