//! The replication status of each peer, for a command that runs beside servers.

use super::ServerError;
use super::resources::read_keys;
use crate::actor::associations::Associations;
use crate::actor::peers::PeerStates;
use crate::actor::pool::Operation as _;
use crate::config::Config;
use crate::db::{Database, Owner};
use crate::domain::ids::KeyId;
use crate::domain::public_key::PublicKey;

pub use crate::actor::peers::PeerState;

/// The public key that verifies what this server pushes, with its id.
///
/// # Errors
/// When the key file cannot be read.
pub fn public_key(config: &Config) -> Result<(PublicKey, KeyId), ServerError> {
    let keys = read_keys(config)?;
    let active = keys.active();
    Ok((active.public(), active.id().clone()))
}

/// The replication status of each peer in the configured database.
///
/// # Errors
/// When the database cannot be read, or no server has created its schema.
pub fn states(config: &Config) -> Result<Vec<PeerState>, ServerError> {
    let keys = read_keys(config)?;
    let owner = Owner {
        name: &config.server.name,
        keys: &keys,
    };
    let database = Database::new(config.database.url.clone(), config.database.busy_timeout);
    let mut associations = Associations {
        store: database.writer_on_current_schema(Some(owner))?,
        origin: config.server.name.clone(),
        own_keys: Vec::new(),
    };
    Ok(PeerStates.run(&mut associations)?)
}
