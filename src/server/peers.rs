//! The replication status of each peer, and bindings of peers that do not count, for
//! commands that run beside servers.

use super::ServerError;
use super::resources::read_keys;
use crate::actor::associations::Associations;
use crate::actor::ignored::{AcceptPeer, IgnorePeer};
use crate::actor::peers::PeerStates;
use crate::actor::pool::Operation as _;
use crate::clock::Clock;
use crate::config::Config;
use crate::db::{Database, Owner};
use crate::domain::ids::{KeyId, Mxid, ServerName};
use crate::domain::public_key::PublicKey;
use crate::domain::threepid::ThreePid;

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
    Ok(PeerStates.run(&mut associations(config)?)?)
}

/// Removes the binding of a 3PID that a peer has made, and ignores what the peer says
/// about it from now on. Returns whether there was such a binding.
///
/// # Errors
/// When the database cannot be written, or no server has created its schema.
pub fn ignore(
    config: &Config,
    clock: &Clock,
    peer: ServerName,
    threepid: ThreePid,
    mxid: Mxid,
) -> Result<bool, ServerError> {
    let ignore = IgnorePeer {
        threepid,
        mxid,
        peer,
        now: clock.now().as_i64(),
    };
    Ok(ignore.run(&mut associations(config)?)?)
}

/// Lets what a peer says about a 3PID count again. Returns whether it did not.
///
/// # Errors
/// As [`ignore`].
pub fn accept(config: &Config, peer: ServerName, threepid: ThreePid) -> Result<bool, ServerError> {
    let accept = AcceptPeer { threepid, peer };
    Ok(accept.run(&mut associations(config)?)?)
}

fn associations(config: &Config) -> Result<Associations, ServerError> {
    let keys = read_keys(config)?;
    let owner = Owner {
        name: &config.server.name,
        keys: &keys,
    };
    let database = Database::new(config.database.url.clone(), config.database.busy_timeout);
    Ok(Associations {
        store: database.writer_on_current_schema(Some(owner))?,
        origin: config.server.name.clone(),
        own_keys: Vec::new(),
    })
}
