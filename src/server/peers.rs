//! How far the peers have heard, for a command that runs beside servers.

use super::ServerError;
use crate::actor::associations::Associations;
use crate::actor::peers::PeerStates;
use crate::actor::pool::{Fault, Operation as _};
use crate::config::Config;
use crate::db::Database;

pub use crate::actor::peers::PeerState;

/// What the database of the configuration knows of peers.
///
/// # Errors
/// When the database cannot be reached, or was never prepared by a server.
pub fn states(config: &Config) -> Result<Vec<PeerState>, ServerError> {
    let database = Database::new(config.database.url.clone(), config.database.busy_timeout);
    let mut associations = Associations {
        store: database.writer_on_current_schema()?,
        origin: config.server.name.clone(),
    };
    match PeerStates.run(&mut associations) {
        Ok(states) => Ok(states),
        Err(Fault::Database(error)) => Err(error.into()),
        Err(_) => Err(ServerError::Died("the owner of associations")),
    }
}
