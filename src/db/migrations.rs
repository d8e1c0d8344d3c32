//! The migrations that are compiled into the binary, and how they are applied.

use std::error::Error;

use diesel::Connection as _;
use diesel::migration::MigrationSource;
use diesel::pg::Pg;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};

use super::Conn;
use super::connection::retry_locked;

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

type BoxedError = Box<dyn Error + Send + Sync>;

/// The versions of all migrations, in their order. Both databases have the same.
pub(super) fn versions() -> Result<Vec<String>, BoxedError> {
    let migrations = MigrationSource::<Pg>::migrations(&POSTGRES)?;
    let mut versions: Vec<String> = migrations
        .iter()
        .map(|migration| migration.name().version().to_string())
        .collect();
    versions.sort();
    Ok(versions)
}

/// Applies what is missing, in one transaction: a database never has some of the new
/// tables without the others.
pub(super) fn apply_pending(connection: &mut Conn) -> Result<(), BoxedError> {
    match connection {
        Conn::Postgres(postgres) => {
            postgres.transaction(|postgres| postgres.run_pending_migrations(POSTGRES).map(drop))
        }
        // The transaction takes the write lock at its start, and so waits for another
        // process that migrates. That is retried, because switching to WAL mode at the
        // same time may fail without waiting.
        Conn::Sqlite(sqlite) => retry_locked(sqlite, |sqlite| {
            sqlite.immediate_transaction(|sqlite| sqlite.run_pending_migrations(SQLITE).map(drop))
        }),
    }
}
