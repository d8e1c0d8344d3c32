//! Changing the pepper by a command, while servers may run on the database.

use super::ServerError;
use crate::actor::associations::Associations;
use crate::actor::pool::{Fault, Operation as _};
use crate::actor::rotation::{RotatePepper, fresh_pepper};
use crate::clock::Clock;
use crate::config::Config;
use crate::db::Database;
use crate::domain::lookup::Pepper;

/// Makes `pepper`, or a fresh one, the pepper of the configuration's database;
/// answers how many associations were hashed with it.
///
/// # Errors
/// When the database cannot be reached, or was never prepared by a server.
/// Nothing is changed then.
pub fn rotate(
    config: &Config,
    clock: &Clock,
    pepper: Option<Pepper>,
) -> Result<usize, ServerError> {
    let database = Database::new(config.database.url.clone(), config.database.busy_timeout);
    let rotate = RotatePepper {
        pepper: pepper.map_or_else(fresh_pepper, Ok)?,
        if_before: None,
        now: clock.now(),
    };
    let mut associations = Associations {
        store: database.writer_on_current_schema()?,
        origin: config.server.name.clone(),
    };
    match rotate.run(&mut associations) {
        Ok(hashed) => Ok(hashed.unwrap_or(0)),
        Err(Fault::Database(error)) => Err(error.into()),
        Err(_) => Err(ServerError::Died("the owner of associations")),
    }
}
