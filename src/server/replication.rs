//! Starts the replication worker from a configuration.

use std::sync::Arc;
use std::time::Duration;

use super::ServerError;
use super::delivery::retry_policy;
use crate::actor::associations::Associations;
use crate::actor::pool::Pool;
use crate::actor::replicator::{Replicator, ReplicatorParts};
use crate::actor::signer::Signer;
use crate::actor::worker_loop::{WorkerHandle, WorkerSettings};
use crate::clock::Clock;
use crate::config::Config;
use crate::delivery::retry::RetryPolicy;
use crate::domain::message::InstanceId;
use crate::federation::{PeerClient, PeerClients};
use crate::metrics::Metrics;

/// The longest delay between tries of a peer, ms: a peer that is back should not
/// wait much longer.
const MAX_RETRY_MS: i64 = 5 * 60_000;

/// Changes that are made in quick succession are pushed together.
const WAKE_DELAY: Duration = Duration::from_millis(200);

/// Creates the clients of the configured peers.
///
/// # Errors
/// When the certificates of a peer cannot be used.
pub(super) fn open_peers(config: &Config) -> Result<Vec<(String, PeerClient)>, ServerError> {
    let settings = &config.replication;
    if settings.peers.is_empty() {
        return Ok(Vec::new());
    }
    let clients = PeerClients::new(&config.federation, settings.identity.as_ref())?;
    let peers = settings.peers.iter();
    peers
        .map(|(name, peer)| Ok((name.to_string(), clients.open(peer)?)))
        .collect()
}

/// Starts the worker; `None` where no peers are configured.
pub(super) fn start(
    config: &Config,
    peers: Vec<(String, PeerClient)>,
    instance: &InstanceId,
    associations: Pool<Associations>,
    signer: Pool<Signer>,
    clock: &Clock,
    metrics: &Arc<Metrics>,
) -> Option<WorkerHandle> {
    let settings = &config.replication;
    if peers.is_empty() {
        return None;
    }
    let worker_settings = WorkerSettings {
        // Each peer is a task.
        concurrency: peers.len(),
        lease: config.delivery.lease,
        poll_every: settings.push_every,
        wake_delay: WAKE_DELAY,
    };
    let retry = retry_policy(config);
    let parts = ReplicatorParts {
        instance: instance.clone(),
        associations,
        signer,
        retry: RetryPolicy {
            max_ms: retry.max_ms.min(MAX_RETRY_MS).max(retry.first_ms),
            ..retry
        },
        lease: config.delivery.lease,
        clock: clock.clone(),
        metrics: Arc::clone(metrics),
    };
    Some(WorkerHandle::start(
        move || Replicator::new(parts, peers),
        worker_settings,
    ))
}
