//! The replication worker: it pushes the changes of this server's associations
//! to the peers of the mesh, signed with the current key (INT-03). Each peer is
//! a task of its own, so that none waits for another.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::associations::Associations;
use super::delivery_queue::millis;
use super::peers::{
    AddPeers, Batch, DuePeers, ExtendPeerLeases, PushOutcome, SettlePush, TakeBatches,
};
use super::pool::{Fault, Pool};
use super::signer::{SignAll, Signer};
use super::worker_loop::Worker;
use crate::clock::Clock;
use crate::delivery::retry::RetryPolicy;
use crate::domain::change::{self, Change};
use crate::domain::message::InstanceId;
use crate::domain::time::duration_ms;
use crate::federation::{PeerClient, PushError};
use crate::metrics::Metrics;
use crate::random;

/// The delay after the database failed.
const DATABASE_RETRY: Duration = Duration::from_secs(1);

/// What [`Replicator::new`] needs in addition to the peers.
pub struct ReplicatorParts {
    /// This instance among those that share the database.
    pub instance: InstanceId,
    /// The associations actor, which owns the journal of changes.
    pub associations: Pool<Associations>,
    /// The signer.
    pub signer: Pool<Signer>,
    /// When a peer is tried again.
    pub retry: RetryPolicy,
    /// How long this instance holds a peer that it pushes to.
    pub lease: Duration,
    /// The clock.
    pub clock: Clock,
    /// Where outcomes are counted.
    pub metrics: Arc<Metrics>,
}

/// Pushes to peers.
pub struct Replicator {
    parts: ReplicatorParts,
    peers: BTreeMap<String, PeerClient>,
    last_look: Cell<Option<i64>>,
    stopping: Cell<bool>,
}

impl Replicator {
    /// Pushes to these peers, given with their names.
    #[must_use]
    pub fn new(parts: ReplicatorParts, peers: Vec<(String, PeerClient)>) -> Self {
        Self {
            parts,
            peers: peers.into_iter().collect(),
            last_look: Cell::default(),
            stopping: Cell::default(),
        }
    }

    async fn take_batches(&self, peers: Vec<String>, limit: usize) -> Result<Vec<Batch>, Fault> {
        let now = self.parts.clock.now().as_i64();
        // Mostly there is nothing to push, which a read finds without a lock.
        let mut peers = self
            .parts
            .associations
            .send(DuePeers { peers, now })
            .await?;
        // Each peer has a slot, so that none is cut off for long.
        peers.truncate(limit);
        if peers.is_empty() {
            return Ok(Vec::new());
        }
        let take = TakeBatches {
            peers,
            instance: self.parts.instance.clone(),
            now,
            lease_until: self.lease_until(now),
        };
        self.parts.associations.send(take).await
    }

    fn lease_until(&self, now: i64) -> i64 {
        now.saturating_add(duration_ms(self.parts.lease))
    }

    /// Pushes one batch and records the outcome. Returns the delay until the next
    /// try if the push failed.
    async fn push_and_settle(&self, batch: Batch) -> Result<(), Duration> {
        let (peer, tries) = (batch.peer.clone(), batch.tries);
        let Some(last) = batch.changes.last() else {
            return Ok(());
        };
        let up_to = last.id;
        match self.push(batch).await {
            Ok(changes) => {
                let peer = peer.as_str();
                self.parts.metrics.pushed(peer, "accepted");
                log::info!(peer, changes, up_to; "pushed changes to a peer");
                self.settle(peer, PushOutcome::Accepted(up_to)).await;
                Ok(())
            }
            Err(failure) => {
                let delay = self.parts.retry.delay_ms(tries, random::fraction());
                let what = self.log_failure(&peer, tries, delay, &failure);
                let due_at = self.parts.clock.now().as_i64().saturating_add(delay);
                self.settle(&peer, PushOutcome::Failed { what, due_at })
                    .await;
                Err(millis(delay))
            }
        }
    }

    /// Sends the changes. Returns how many there were.
    async fn push(&self, batch: Batch) -> Result<usize, PushFailure> {
        let Some(client) = self.peers.get(&batch.peer) else {
            return Ok(0);
        };
        let changes = batch.changes.iter().map(Change::to_objects);
        let pushed: Vec<_> = changes.filter(|objects| !objects.is_empty()).collect();
        if pushed.is_empty() {
            return Ok(0);
        }
        let count = pushed.len();
        let (keys, objects): (Vec<String>, Vec<_>) = pushed.into_iter().flatten().unzip();
        let signed = self.parts.signer.send(SignAll { objects }).await?;
        let body = change::push_body(keys.into_iter().zip(signed));
        client.push(body.to_string()).await?;
        Ok(count)
    }

    /// Logs and counts a failed push. Returns what `sydent peers` shows of it.
    fn log_failure(&self, peer: &str, tries: i32, delay: i64, failure: &PushFailure) -> String {
        match failure {
            PushFailure::Peer(error @ PushError::Unverified(_)) => {
                self.parts.metrics.pushed(peer, "unverified");
                log::error!(peer, tries, retry_in_ms = delay; "a peer rejected this server's signatures; retrying: {error}; check that the peer has this server's public key (a Sydent accepts only the key id ed25519:0)");
                error.to_string()
            }
            PushFailure::Peer(error) => {
                let outcome = match error {
                    PushError::Call(_) => "unreachable",
                    _ => "refused",
                };
                self.parts.metrics.pushed(peer, outcome);
                log::warn!(peer, tries, retry_in_ms = delay; "cannot push changes to a peer; retrying: {error}");
                error.to_string()
            }
            PushFailure::Here(fault) => {
                self.parts.metrics.pushed(peer, "failed");
                log::error!(peer, tries, retry_in_ms = delay; "cannot push changes to a peer; retrying: {fault}");
                "this server could not sign the changes".to_owned()
            }
        }
    }

    async fn settle(&self, peer: &str, outcome: PushOutcome) {
        let settle = SettlePush {
            peer: peer.to_owned(),
            instance: self.parts.instance.clone(),
            outcome,
            now: self.parts.clock.now().as_i64(),
        };
        if let Err(fault) = self.parts.associations.send(settle).await {
            log::warn!(peer; "could not save the replication position; the same changes will be pushed again: {fault}");
        }
    }
}

impl Worker for Replicator {
    const NAME: &'static str = "replication";

    type Task = Batch;

    fn key(batch: &Batch) -> String {
        batch.peer.clone()
    }

    async fn take_due(&self, limit: usize, in_progress: Vec<String>) -> Result<Vec<Batch>, Fault> {
        let names = || self.peers.keys().cloned();
        let now = self.parts.clock.now().as_i64();
        if self.last_look.get().is_none_or(|last| now < last) {
            let add = AddPeers {
                names: names().collect(),
                now,
            };
            self.parts.associations.send(add).await?;
        }
        self.last_look.set(Some(now));
        let idle = names().filter(|name| !in_progress.contains(name)).collect();
        self.take_batches(idle, limit).await
    }

    async fn extend_leases(&self, in_progress: Vec<String>) -> Result<(), Fault> {
        let extend = ExtendPeerLeases {
            peers: in_progress,
            instance: self.parts.instance.clone(),
            lease_until: self.lease_until(self.parts.clock.now().as_i64()),
        };
        self.parts.associations.send(extend).await
    }

    async fn release(&self, batch: Batch) -> Result<(), Fault> {
        let settle = SettlePush {
            peer: batch.peer,
            instance: self.parts.instance.clone(),
            outcome: PushOutcome::NotTried,
            now: self.parts.clock.now().as_i64(),
        };
        self.parts.associations.send(settle).await
    }

    /// Pushes until the peer has received everything.
    async fn run(&self, batch: Batch) -> Option<Duration> {
        let peer = batch.peer.clone();
        let mut next = Some(batch);
        while let Some(batch) = next {
            if let Err(delay) = self.push_and_settle(batch).await {
                return Some(delay);
            }
            if self.stopping.get() {
                return None;
            }
            next = match self.take_batches(vec![peer.clone()], 1).await {
                Ok(batches) => batches.into_iter().next(),
                Err(Fault::Stopped(_)) => None,
                Err(fault) => {
                    log::warn!(peer = peer.as_str(); "cannot read pending replication changes; retrying: {fault}");
                    return Some(DATABASE_RETRY);
                }
            };
        }
        None
    }

    fn begin_shutdown(&self) {
        self.stopping.set(true);
    }
}

/// Why a push failed.
enum PushFailure {
    /// The peer or the way to it.
    Peer(PushError),
    /// This server.
    Here(Fault),
}

impl From<PushError> for PushFailure {
    fn from(error: PushError) -> Self {
        Self::Peer(error)
    }
}

impl From<Fault> for PushFailure {
    fn from(fault: Fault) -> Self {
        Self::Here(fault)
    }
}
