//! The migrations that are compiled into the binary, and how they are applied.

use std::error::Error;

use diesel::Connection as _;
use diesel::backend::Backend;
use diesel::migration::MigrationSource;
use diesel::pg::Pg;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

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

/// The oldest version of the schema whose servers can use the one that this migration
/// makes, if its name says so: that of `0021-since-0017_name`, which diesel records as
/// `0021since0017`, is `0017` (OPS-11).
pub(super) fn usable_since(version: &str) -> Option<&str> {
    let (_number, since) = version.split_once("since")?;
    let is_number = since.len() == 4 && since.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some(since)
}

/// The number of a migration, by which migrations are compared.
pub(super) fn number(version: &str) -> &str {
    version
        .split_once("since")
        .map_or(version, |(number, _since)| number)
}

/// Applies what is missing, in one transaction: a database never has some of the new
/// tables without the others.
pub(super) fn apply_pending(connection: &mut Conn) -> Result<(), BoxedError> {
    match connection {
        Conn::Postgres(postgres) => postgres.transaction(|postgres| apply(postgres, POSTGRES)),
        // The transaction takes the write lock at its start, and so waits for another
        // process that migrates. That is retried, because switching to WAL mode at the
        // same time may fail without waiting.
        Conn::Sqlite(sqlite) => retry_locked(sqlite, |sqlite| {
            sqlite.immediate_transaction(|sqlite| apply(sqlite, SQLITE))
        }),
    }
}

fn apply<DB: Backend>(
    connection: &mut impl MigrationHarness<DB>,
    migrations: EmbeddedMigrations,
) -> Result<(), BoxedError> {
    let pending = connection.pending_migrations(migrations)?;
    if pending.is_empty() {
        return Ok(());
    }
    let versions: Vec<String> = pending
        .iter()
        .map(|migration| migration.name().version().to_string())
        .collect();
    // Before it is done: until then a server with much data does not answer.
    log::info!(
        "migrating the schema of the database: {}",
        versions.join(", ")
    );
    connection.run_migrations(&pending)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use diesel_migrations::FileBasedMigrations;

    use super::*;

    /// OPS-11
    #[test]
    fn name_says_who_can_use_the_schema() {
        let folder = tempfile::tempdir().unwrap();
        let migration = folder.path().join("0021-since-0017_what_it_adds");
        std::fs::create_dir(&migration).unwrap();
        for file in ["up.sql", "down.sql"] {
            std::fs::write(migration.join(file), "SELECT 1").unwrap();
        }
        let found = FileBasedMigrations::from_path(folder.path()).unwrap();
        let found = MigrationSource::<Pg>::migrations(&found).unwrap();
        let version = found[0].name().version().to_string();
        assert_eq!(version, "0021since0017");
        assert_eq!(
            (number(&version), usable_since(&version)),
            ("0021", Some("0017"))
        );
        for other in ["0014", "0021since", "0021since17", "0021sincelast"] {
            assert_eq!(usable_since(other), None, "{other}");
        }
        assert_eq!(number("0014"), "0014");
    }
}
