//! From the settings of a mesh to who tells the peers in it.

use std::time::Duration;

use super::ServerError;
use super::actors::pauses;
use crate::actor::pusher::Pusher;
use crate::actor::replicator::ReplicatorHandle;
use crate::config::Config;
use crate::delivery::retry::RetryPolicy;
use crate::federation::PeerClients;

/// The longest pause between tries of a peer, ms: one that is back is not to
/// wait much longer.
const LONGEST_PAUSE_MS: i64 = 5 * 60_000;

/// Starts the replicator, if there is anybody to tell. `pusher` makes what
/// pushes.
///
/// # Errors
/// When a peer cannot be reached as the settings say.
pub(super) fn replicator(
    config: &Config,
    pusher: impl FnOnce(RetryPolicy) -> Pusher,
) -> Result<Option<ReplicatorHandle>, ServerError> {
    let settings = &config.replication;
    if settings.peers.is_empty() {
        return Ok(None);
    }
    let clients = PeerClients::new(&config.federation, settings.identity.as_ref())?;
    let mut peers = Vec::new();
    for (name, peer) in &settings.peers {
        peers.push((name.to_string(), clients.open(peer)?));
    }
    let pauses = pauses(config);
    let pauses = RetryPolicy {
        max_ms: pauses.max_ms.min(LONGEST_PAUSE_MS).max(pauses.first_ms),
        ..pauses
    };
    let push_every: Duration = settings.push_every;
    Ok(Some(ReplicatorHandle::start(
        pusher(pauses),
        peers,
        push_every,
    )))
}
