//! Rewriting an SQLite file, so that nothing that was deleted is left in it.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::Integer;
use diesel::{RunQueryDsl as _, SqliteConnection};

use super::DbError;
use super::connection::is_locked;

/// How long one try to empty the write-ahead log waits for those who read: meanwhile
/// nobody can write.
const WAIT_FOR_READERS: Duration = Duration::from_millis(100);

/// How often a rewrite is tried that other processes keep from starting, each time with
/// the busy timeout.
const ATTEMPTS: usize = 3;

/// A connection for nothing else: neither of the two runs in a transaction.
pub struct Rewriter(SqliteConnection);

#[derive(diesel::QueryableByName)]
struct Checkpoint {
    #[diesel(sql_type = Integer)]
    busy: i32,
}

impl Rewriter {
    pub(super) fn new(connection: SqliteConnection) -> Self {
        Self(connection)
    }

    /// Rewrites the file. Deleted rows are overwritten anyway (`secure_delete`), but not
    /// the copies of a row that stay in unused parts of pages when SQLite moves it.
    /// Writers wait meanwhile; readers do not. The former pages are in the write-ahead
    /// log until it is emptied.
    pub fn rewrite(&mut self) -> Result<(), DbError> {
        for _ in 1..ATTEMPTS {
            match self.0.batch_execute("VACUUM") {
                // Nothing was copied yet.
                Err(error) if is_locked(&error) => {}
                done => return Ok(done?),
            }
        }
        Ok(self.0.batch_execute("VACUUM")?)
    }

    /// Tries once to empty the write-ahead log. Returns whether it is empty: it cannot be
    /// emptied while another connection reads what was there before.
    pub fn empty_log(&mut self) -> Result<bool, DbError> {
        let wait = WAIT_FOR_READERS.as_millis();
        self.0
            .batch_execute(&format!("PRAGMA busy_timeout = {wait}"))?;
        let checkpoint: Checkpoint =
            diesel::sql_query("PRAGMA wal_checkpoint(TRUNCATE)").get_result(&mut self.0)?;
        Ok(checkpoint.busy == 0)
    }
}
