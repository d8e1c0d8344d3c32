//! Who uses a database: an import replaces no data that a server works with.

use diesel::connection::SimpleConnection as _;

use super::connection::is_locked;
use super::locks::Lock;
use super::{Conn, DbError};

/// Notes until the connection closes that it is in use. On SQLite every connection
/// in WAL mode does so.
///
/// # Errors
/// When an import is running.
pub(super) fn share(connection: &mut Conn) -> Result<(), DbError> {
    let Conn::Postgres(postgres) = connection else {
        return Ok(());
    };
    Lock::InUse
        .share_for_session(postgres)
        .map_err(|error| DbError::Open(format!("an import is filling the database: {error}")))
}

/// Locks the whole database until the connection closes. Returns false if another
/// process has a connection to it.
pub(super) fn lock_alone(connection: &mut Conn) -> Result<bool, DbError> {
    match connection {
        Conn::Postgres(postgres) => {
            for _ in 0..ATTEMPTS_ALONE {
                if Lock::InUse.try_lock_for_session(postgres)? {
                    return Ok(true);
                }
                // The server notices a little late that a connection was closed.
                postgres.batch_execute("SELECT pg_sleep(0.1)")?;
            }
            Ok(false)
        }
        Conn::Sqlite(sqlite) => {
            // A connection in WAL mode shares a lock on the file as long as it is
            // open, and this mode can only be left without any other one.
            // Statements need no space in the temporary folder then.
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

/// How often an exclusive lock is tried, every 100 ms.
const ATTEMPTS_ALONE: usize = 10;
