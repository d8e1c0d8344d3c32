//! Pushes to one peer: what it has not heard of, signed with the key of now,
//! until it has heard of everything or does not listen.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use super::associations::Associations;
use super::peers::{Batch, ExtendPeerLease, Pushed, SettlePush, TakeBatch};
use super::pool::{Fault, Pool};
use super::signer::{SignAll, Signer};
use crate::clock::Clock;
use crate::delivery::retry::{RetryPolicy, pause_ms};
use crate::domain::change;
use crate::federation::{PeerClient, PushError};
use crate::metrics::Metrics;
use crate::random;

/// The pause after the database did not answer, ms.
const UNREADABLE_PAUSE_MS: i64 = 1000;

/// What every push needs.
pub struct Pusher {
    /// The name of this instance among those that share the database.
    pub instance: String,
    /// Knows what changed.
    pub associations: Pool<Associations>,
    /// Signs.
    pub signer: Pool<Signer>,
    /// When a peer is tried again.
    pub pauses: RetryPolicy,
    /// How long a peer stays with this instance, unless it says that it still
    /// pushes.
    pub lease: Duration,
    /// The time.
    pub clock: Clock,
    /// Where outcomes are counted.
    pub metrics: Arc<Metrics>,
    /// Whether no more pushes are to be begun.
    pub stopping: Cell<bool>,
}

impl Pusher {
    /// Now, ms.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Lets no more pushes begin.
    pub fn stop(&self) {
        self.stopping.set(true);
    }

    /// Whether no more pushes begin.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Pushes until the peer has heard of everything; answers the pause until it
    /// is to be tried again (ms) where it does not listen.
    pub(super) async fn push_all(&self, peer: &str, client: &PeerClient) -> Option<i64> {
        while !self.is_stopping() {
            let batch = match self.take(peer).await {
                Ok(batch) => batch?,
                Err(Fault::Stopped(_)) => return None,
                Err(fault) => {
                    log::warn!(peer; "what a peer must hear of cannot be read: {fault}");
                    return Some(UNREADABLE_PAUSE_MS);
                }
            };
            let tries = batch.tries;
            let up_to = batch.changes.last()?.id;
            match self.push_and_keep(peer, client, batch).await {
                Ok(changes) => {
                    self.metrics.pushed(peer, "taken");
                    log::info!(peer, changes, up_to; "a peer has heard of changes");
                    self.settle(peer, Pushed::UpTo(up_to)).await;
                }
                Err(why) => {
                    let pause = self.pause_ms(tries);
                    self.failed(peer, tries, pause, why).await;
                    return Some(pause);
                }
            }
        }
        None
    }

    async fn take(&self, peer: &str) -> Result<Option<Batch>, Fault> {
        let ask = TakeBatch {
            peer: peer.to_owned(),
            owner: self.instance.clone(),
            now: self.now(),
            lease_until: self.lease_until(),
        };
        self.associations.send(ask).await
    }

    fn lease_until(&self) -> i64 {
        let lease = i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX);
        self.now().saturating_add(lease)
    }

    fn pause_ms(&self, tries: i32) -> i64 {
        // Nobody waits for the outcome.
        pause_ms(self.pauses, tries, self.now(), 0, random::fraction())
    }

    /// Pushes, and keeps the peer meanwhile: a lease ends with the life of its
    /// owner.
    async fn push_and_keep(
        &self,
        peer: &str,
        client: &PeerClient,
        batch: Batch,
    ) -> Result<usize, PushFailure> {
        let mut push = std::pin::pin!(self.push(client, batch));
        loop {
            match tokio::time::timeout(self.lease / 3, push.as_mut()).await {
                Ok(pushed) => return pushed,
                Err(_elapsed) => {
                    let keep = ExtendPeerLease {
                        peer: peer.to_owned(),
                        owner: self.instance.clone(),
                        lease_until: self.lease_until(),
                    };
                    if let Err(fault) = self.associations.send(keep).await {
                        log::warn!(peer; "the lease of a peer could not be extended: {fault}");
                    }
                }
            }
        }
    }

    /// Sends the changes; answers how many there were to tell.
    async fn push(&self, client: &PeerClient, batch: Batch) -> Result<usize, PushFailure> {
        let told = batch.changes.iter();
        let told = told.filter_map(|change| Some((change.id, change.to_object()?)));
        let (ids, objects): (Vec<i64>, Vec<_>) = told.unzip();
        if ids.is_empty() {
            return Ok(0);
        }
        let count = ids.len();
        let signed = self.signer.send(SignAll { objects }).await?;
        let body = change::push(ids.into_iter().zip(signed));
        client.push(body.to_string()).await?;
        Ok(count)
    }

    async fn failed(&self, peer: &str, tries: i32, pause: i64, why: PushFailure) {
        let what = match why {
            PushFailure::Peer(error @ PushError::Unverified(_)) => {
                self.metrics.pushed(peer, "unverified");
                log::error!(peer, tries, pause_ms = pause; "a peer holds signatures of this server for bad, trying again: {error}; does it have this server's public key? A Sydent takes only the key id ed25519:0");
                error.to_string()
            }
            PushFailure::Peer(error) => {
                let outcome = match error {
                    PushError::Call(_) => "unreachable",
                    _ => "refused",
                };
                self.metrics.pushed(peer, outcome);
                log::warn!(peer, tries, pause_ms = pause; "a peer has not heard of changes, trying again: {error}");
                error.to_string()
            }
            PushFailure::Here(fault) => {
                self.metrics.pushed(peer, "failed");
                log::error!(peer, tries, pause_ms = pause; "a peer could not be told of changes, trying again: {fault}");
                "this server could not sign".to_owned()
            }
        };
        let due_at = self.now().saturating_add(pause);
        self.settle(peer, Pushed::Failed { what, due_at }).await;
    }

    async fn settle(&self, peer: &str, pushed: Pushed) {
        let settle = SettlePush {
            peer: peer.to_owned(),
            owner: self.instance.clone(),
            pushed,
            now: self.now(),
        };
        if let Err(fault) = self.associations.send(settle).await {
            // Hearing of the same twice does no harm.
            log::warn!(peer; "how far a peer has heard could not be noted, it will hear the same again: {fault}");
        }
    }
}

/// Why a push failed.
enum PushFailure {
    Peer(PushError),
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
