//! What every request can reach: the doors to the owners, and values that all
//! read and nobody changes.

use std::sync::Arc;

use crate::actor::accounts::Accounts;
use crate::actor::associations::Associations;
use crate::actor::detached::Detached;
use crate::actor::federation::FederationHandle;
use crate::actor::lookups::Lookups;
use crate::actor::outbox::Outbox;
use crate::actor::pool::Pool;
use crate::actor::replicator::ReplicatorHandle;
use crate::actor::sessions::Sessions;
use crate::actor::signer::Signer;
use crate::actor::worker_loop::WorkerHandle;
use crate::clock::Clock;
use crate::config::Config;
use crate::delivery::pending_replies::PendingReplies;
use crate::delivery::templates::Templates;
use crate::domain::ids::KeyId;
use crate::limiter::Limiter;
use crate::limiter::calls::CallLimits;
use crate::metrics::Metrics;
use crate::terms::CurrentTerms;

/// One instance of the server.
pub struct App {
    /// The settings.
    pub config: Config,
    /// The time.
    pub clock: Clock,
    /// The name of this instance among those that share the database; random,
    /// new at each start.
    pub instance: String,
    /// The validation sessions.
    pub sessions: Pool<Sessions>,
    /// The accounts and their tokens.
    pub accounts: Pool<Accounts>,
    /// The associations.
    pub associations: Pool<Associations>,
    /// Answers to look-ups.
    pub lookups: Pool<Lookups>,
    /// The private keys.
    pub signer: Pool<Signer>,
    /// The delivery queue.
    pub outbox: Pool<Outbox>,
    /// The dispatcher of mail; `None` where no mail can be sent.
    pub mailer: Option<WorkerHandle>,
    /// The dispatcher of notices to homeservers.
    pub notifier: WorkerHandle,
    /// The dispatcher of texts; `None` where no text can be sent.
    pub texter: Option<WorkerHandle>,
    /// The way to homeservers.
    pub federation: FederationHandle,
    /// Who tells peers of changes; `None` where there are none.
    pub replicator: Option<ReplicatorHandle>,
    /// Clients that wait for the outcome of a message.
    pub waiting: Arc<PendingReplies>,
    /// Changes that go on when their client is gone.
    pub detached: Detached,
    /// The same for what waits for the outside, by a door of its own: a slow
    /// mail server must not keep anybody from binding.
    pub detached_waits: Detached,
    /// How many addresses each client may look up; `None` when that is not
    /// limited.
    pub lookup_limiter: Option<Limiter>,
    /// The same for each account.
    pub account_limiter: Option<Limiter>,
    /// How often clients may register, and homeservers be asked for that.
    pub register_limits: CallLimits,
    /// How often clients may ask to unbind with a homeserver's signature.
    pub unbind_limits: CallLimits,
    /// How many invitations each client may have signed; `None` when that is not
    /// limited.
    pub signature_limiter: Option<Limiter>,
    /// How many codes each client may submit; `None` when that is not limited.
    pub submit_limiter: Option<Limiter>,
    /// The policies that people agree to first.
    pub terms: CurrentTerms,
    /// Mail and page templates.
    pub templates: Arc<Templates>,
    /// The public keys that count as valid, the active one first.
    pub public_keys: Vec<(KeyId, [u8; 32])>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

impl App {
    /// Says that peers have something to hear of.
    pub fn tell_peers(&self) {
        if let Some(replicator) = &self.replicator {
            replicator.wake();
        }
    }
}
