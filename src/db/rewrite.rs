//! Rewriting an SQLite file, so that nothing that was deleted is left in it.

use std::sync::PoisonError;

use diesel::RunQueryDsl as _;
use diesel::connection::SimpleConnection as _;
use diesel::sql_types::Integer;

use super::connection::retry_locked;
use super::{Conn, DbError, Store};

/// How often the write-ahead log is tried to be emptied, while others read.
const CHECKPOINTS: usize = 10;

#[derive(diesel::QueryableByName)]
struct Checkpoint {
    #[diesel(sql_type = Integer)]
    busy: i32,
}

impl Store {
    /// Rewrites the file of an SQLite database and empties its write-ahead log. Deleted
    /// rows are overwritten anyway (`secure_delete`), but not the copies of a row that
    /// stay in unused parts of pages when SQLite moves it. Writers wait meanwhile;
    /// lookups do not. Does nothing on PostgreSQL.
    ///
    /// Returns whether the log is empty: it cannot be emptied while another program
    /// reads for long.
    pub fn rewrite(&mut self) -> Result<bool, DbError> {
        let Conn::Sqlite(sqlite) = &mut self.connection else {
            return Ok(true);
        };
        // As in a transaction: the mutex protects no data.
        let _guard = self
            .write_lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        retry_locked(sqlite, |sqlite| sqlite.batch_execute("VACUUM"))?;
        for _ in 0..CHECKPOINTS {
            // Waits for readers as long as the busy timeout says.
            let checkpoint: Checkpoint =
                diesel::sql_query("PRAGMA wal_checkpoint(TRUNCATE)").get_result(sqlite)?;
            if checkpoint.busy == 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
