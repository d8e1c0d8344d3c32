//! What every request can use: the addresses of the actors, and shared values
//! that do not change.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};

use crate::actor::accounts::Accounts;
use crate::actor::associations::Associations;
use crate::actor::detached::Detached;
use crate::actor::federation::FederationHandle;
use crate::actor::lookups::Lookups;
use crate::actor::outbox::Outbox;
use crate::actor::pool::{Fault, Pool};
use crate::actor::replica::{Reads, ReplicaState};
use crate::actor::sessions::Sessions;
use crate::actor::signer::Signer;
use crate::actor::worker_loop::WorkerHandle;
use crate::clock::Clock;
use crate::config::Config;
use crate::delivery::mail::RelayHealth;
use crate::delivery::pending_replies::PendingReplies;
use crate::delivery::templates::Templates;
use crate::domain::ids::KeyId;
use crate::domain::message::InstanceId;
use crate::domain::public_key::PublicKey;
use crate::limiter::all::Limiters;
use crate::metrics::Metrics;
use crate::permits::{BodyLimits, Turns};
use crate::pseudonyms::Pseudonyms;
use crate::terms::CurrentTerms;

/// One instance of the server.
pub struct App {
    /// The settings.
    pub config: Config,
    /// The clock.
    pub clock: Clock,
    /// This instance among those that share the database.
    pub instance: InstanceId,
    /// Validation sessions.
    pub sessions: Pool<Sessions>,
    /// Accounts, their access tokens and accepted terms.
    pub accounts: Pool<Accounts>,
    /// Associations, invites and the journal for peers.
    pub associations: Pool<Associations>,
    /// Lookups.
    pub lookups: Pool<Lookups>,
    /// Lookups that may be answered from a standby.
    pub lookup_reads: Reads<Lookups>,
    /// The accounts of those who make them.
    pub account_reads: Reads<Accounts>,
    /// Where lookups are answered; `None` without a standby.
    pub replica: Option<Arc<ReplicaState>>,
    /// The private keys.
    pub signer: Pool<Signer>,
    /// The queue of messages to deliver.
    pub outbox: Pool<Outbox>,
    /// The mail worker; `None` where no mail can be sent.
    pub mail_worker: Option<WorkerHandle>,
    /// What is known of the SMTP relay; `None` where none is used.
    pub relay_health: Option<Arc<RelayHealth>>,
    /// The SMS worker; `None` where no SMS can be sent.
    pub sms_worker: Option<WorkerHandle>,
    /// The worker that notifies homeservers.
    pub onbind_worker: WorkerHandle,
    /// The worker that pushes changes to peers; `None` where there are none.
    pub replicator: Option<WorkerHandle>,
    /// Calls to homeservers.
    pub federation: FederationHandle,
    /// Clients that wait for the outcome of a message.
    pub pending_replies: Arc<PendingReplies>,
    /// The room for request bodies.
    pub(crate) body_limits: BodyLimits,
    /// Requests in work, by client network.
    pub(crate) requests_in_work: Turns,
    /// Sequences of changes, which are completed when their client is gone.
    pub detached: Detached,
    /// The same for sequences that wait for the mail relay or the SMS provider, with a
    /// limit of their own: a slow mail server must not block binds.
    pub detached_waits: Detached,
    /// The same for unbinds that wait for the keys of a homeserver.
    pub detached_unbinds: Detached,
    /// The limits of requests.
    pub limiters: Limiters,
    /// Whether a proxy that is not trusted was reported.
    pub(crate) untrusted_proxy: Once,
    /// The policies that users must accept.
    pub terms: CurrentTerms,
    /// Templates of mails and pages.
    pub templates: Arc<Templates>,
    /// The valid public keys, the active one first.
    pub public_keys: Vec<(KeyId, PublicKey)>,
    /// Makes the pseudonyms in the log; `None` if there are none.
    pub pseudonyms: Option<Pseudonyms>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Whether the server is about to stop.
    pub(crate) is_stopping: AtomicBool,
}

impl App {
    /// Tells load balancers to send no more requests; those that come are answered.
    pub fn announce_stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Whether the server is about to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// Whether the database is known to be away, while its standby may answer lookups.
    #[must_use]
    pub fn is_primary_away(&self) -> bool {
        let replica = self.replica.as_ref();
        replica.is_some_and(|replica| replica.is_primary_away())
    }

    /// What a request would like to have of the database, but can do without. `None` if there is
    /// a standby and the database does not answer soon.
    pub async fn spare<T>(
        &self,
        asked: impl Future<Output = Result<T, Fault>>,
    ) -> Option<Result<T, Fault>> {
        match &self.replica {
            Some(replica) => replica.spare(asked).await,
            None => Some(asked.await),
        }
    }

    /// Tells the replication worker that there are changes to push.
    pub fn wake_replicator(&self) {
        if let Some(replicator) = &self.replicator {
            replicator.wake();
        }
    }
}
