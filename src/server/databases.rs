//! What commands do with a whole database.

use std::time::Duration;

use super::ServerError;
use super::prepared::prepare;
use super::resources::read_keys;
use crate::clock::Clock;
use crate::config::{Config, DatabaseUrl};
use crate::db::Database;
use crate::db::copy::{CopiedTable, CopyError};
use crate::db::row_counter::Progress;

pub use crate::db::status::DatabaseStatus;

/// What the configured database is and has.
///
/// # Errors
/// It cannot be read.
pub fn status(config: &Config) -> Result<DatabaseStatus, ServerError> {
    Ok(configured(config).status()?)
}

/// Does with the configured database what a server does at its start. Returns the
/// migrations that were applied.
///
/// # Errors
/// The database cannot be used, or belongs to another server. Nothing was changed then.
pub fn migrate(config: &Config, clock: &Clock) -> Result<Vec<String>, ServerError> {
    let database = configured(config);
    let pending = database.pending_migrations()?;
    prepare(config, &read_keys(config)?, &database, clock)?;
    Ok(pending)
}

/// Copies all data of a database into an empty one.
///
/// # Errors
/// Why nothing was copied.
pub fn copy(
    from: &DatabaseUrl,
    to: &DatabaseUrl,
    progress: Progress<'_>,
) -> Result<Vec<CopiedTable>, CopyError> {
    let open = |url: &DatabaseUrl| Database::new(url.clone(), Duration::from_secs(30));
    crate::db::copy::copy(&open(from), &open(to), progress)
}

fn configured(config: &Config) -> Database {
    Database::new(config.database.url.clone(), config.database.busy_timeout)
}
