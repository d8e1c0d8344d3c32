//! Signing the associations of a database again by a command, while no server runs.

use std::sync::Arc;

use super::ServerError;
use super::resources::read_keys;
use crate::actor::associations::Associations;
use crate::actor::pool::Operation as _;
use crate::actor::sign_again::SignAgain;
use crate::config::Config;
use crate::db::Database;
use crate::domain::ids::ServerName;

pub use crate::actor::sign_again::SignAgainOutcome;

/// Signs all associations of the server again, with the name and the active key of the
/// configuration, and makes the database its own.
///
/// # Errors
/// When the database cannot be used. Nothing was signed then.
pub fn sign_again(
    config: &Config,
    former_name: Option<ServerName>,
) -> Result<SignAgainOutcome, ServerError> {
    let database = Database::new(config.database.url.clone(), config.database.busy_timeout);
    let sign = SignAgain {
        former_name,
        keys: Arc::new(read_keys(config)?),
    };
    let mut associations = Associations {
        store: database.existing_alone()?,
        origin: config.server.name.clone(),
        own_keys: Vec::new(),
    };
    Ok(sign.run(&mut associations)?)
}
