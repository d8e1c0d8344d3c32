//! The onbind worker: it notifies a user's homeserver about a binding, together
//! with the invites that were pending for the 3PID, until the homeserver accepts
//! it (<https://spec.matrix.org/v1.19/server-server-api/#third-party-invites>,
//! ONB-01 to ONB-17).

use std::time::Duration;

use serde_json::{Map, Value};

use super::associations::Associations;
use super::delivery_queue::{DeliveryQueue, millis};
use super::federation::{FederationHandle, OnbindFailure};
use super::onbind::{CompleteNotification, FindPendingInvites};
use super::outbox::{Retry, Settlement};
use super::pool::{Fault, Pool};
use super::signer::{Sign, SignAs, Signer};
use super::worker_loop::Worker;
use crate::db::invites::Pending;
use crate::db::outbox::{Kinds, QueuedMessage};
use crate::delivery::breaker::{AttemptOutcome, Breakers};
use crate::delivery::onbind::OnbindPayload;
use crate::domain::counter::Refusal;
use crate::domain::homeservers::HomeserverLists;
use crate::domain::ids::{KeyId, Mxid, ServerName};
use crate::domain::message::MessageKind;
use crate::domain::onbind::{self, PendingInvite};
use crate::domain::registrant::registrant;
use crate::domain::threepid::ThreePid;
use crate::limiter::Limiter;
use crate::random;

/// Sends onbind notifications.
pub struct OnbindWorker {
    /// Where the notifications come from.
    pub queue: DeliveryQueue,
    /// The associations actor: bindings and invites.
    pub associations: Pool<Associations>,
    /// The signer.
    pub signer: Pool<Signer>,
    /// The federation actor, which calls the homeservers.
    pub federation: FederationHandle,
    /// Which homeservers may be called.
    pub homeservers: HomeserverLists,
    /// Whether delivered invites stay in the database.
    pub keep_delivered: bool,
    /// Leave homeservers alone that do not answer.
    pub breakers: Breakers,
    /// How many notifications the homeservers of one owner get; `None` where that is not
    /// limited.
    pub limiter: Option<Limiter>,
}

/// Notifications that are put back come back within this time.
const MAX_SPREAD: Duration = Duration::from_secs(30);

const KINDS: Kinds = [MessageKind::Onbind; 2];

/// A notification as it was queued.
struct Notification {
    threepid: ThreePid,
    mxid: Mxid,
    server: ServerName,
}

/// How a try ended.
enum NotifyOutcome {
    /// The homeserver accepted the binding and the invites with these ids.
    Accepted(Vec<i64>),
    /// The binding was removed or replaced meanwhile (ONB-14).
    Obsolete,
    /// The homeserver refused for good.
    Refused(String),
    /// A later try may succeed.
    Retry(String),
    /// As [`Retry`](Self::Retry), because of a limit of this server.
    Busy(String),
}

impl NotifyOutcome {
    fn says_of_homeserver(&self) -> AttemptOutcome {
        match self {
            Self::Accepted(_) | Self::Refused(_) => AttemptOutcome::Works,
            Self::Obsolete | Self::Busy(_) => AttemptOutcome::Unknown,
            Self::Retry(_) => AttemptOutcome::Fails,
        }
    }
}

impl Notification {
    fn decode(payload: &str) -> Option<Self> {
        let payload: OnbindPayload = serde_json::from_str(payload).ok()?;
        let mxid = Mxid::parse(&payload.mxid).ok()?;
        Some(Self {
            threepid: ThreePid::parse(&payload.medium, &payload.address).ok()?,
            server: ServerName::parse(mxid.server_name()).ok()?,
            mxid,
        })
    }
}

impl Worker for OnbindWorker {
    const NAME: &'static str = "onbind";

    type Task = QueuedMessage;

    fn key(message: &QueuedMessage) -> String {
        message.id.to_string()
    }

    async fn take_due(
        &self,
        limit: usize,
        in_progress: Vec<String>,
    ) -> Result<Vec<QueuedMessage>, Fault> {
        self.queue.take_due(KINDS, limit, in_progress).await
    }

    async fn extend_leases(&self, in_progress: Vec<String>) -> Result<(), Fault> {
        self.queue.extend_leases(in_progress).await
    }

    async fn release(&self, message: QueuedMessage) -> Result<(), Fault> {
        self.queue.release(message).await
    }

    async fn run(&self, message: QueuedMessage) -> Option<Duration> {
        let (id, tries) = (message.id.clone(), message.tries);
        let id = id.as_str();
        if self.queue.clock.now() > message.expires_at {
            log::warn!(id, tries; "onbind notification expired: homeserver unreachable; its invites stay pending until the address is bound again");
            self.drop_notification(message, "expired").await;
            return None;
        }
        let Some(notification) = Notification::decode(&message.payload) else {
            log::error!(id; "onbind notification dropped: cannot decode the stored message");
            self.drop_notification(message, "refused").await;
            return None;
        };
        if !self.homeservers.may_be_contacted(&notification.server) {
            log::info!(id; "onbind notification dropped: the homeserver is in federation.deny_homeservers");
            self.drop_notification(message, "refused").await;
            return None;
        }
        if let Err(refusal) = self.take(&notification.server) {
            return self
                .defer(message, millis(refusal.wait_ms), MAX_SPREAD)
                .await;
        }
        let server = notification.server.as_str().to_ascii_lowercase();
        let attempt = match self.breakers.enter(&server) {
            Ok(attempt) => attempt,
            Err(pause) => return self.defer(message, pause, pause).await,
        };
        let outcome = match self.notify(&notification).await {
            Ok(outcome) => {
                attempt.end(outcome.says_of_homeserver());
                outcome
            }
            Err(fault) => {
                attempt.end(AttemptOutcome::Unknown);
                log::error!(id, tries; "onbind notification not sent: {fault}");
                NotifyOutcome::Retry("internal error".to_owned())
            }
        };
        self.settle(message, outcome).await
    }
}

impl OnbindWorker {
    /// Counts a notification. Clients choose the names of homeservers, so all names and
    /// ports of one owner count together.
    ///
    /// # Errors
    /// There were too many.
    fn take(&self, server: &ServerName) -> Result<(), Refusal> {
        let limiter = self.limiter.as_ref();
        limiter.map_or(Ok(()), |limiter| limiter.take(&registrant(server), 1))
    }

    /// Puts a notification back, which was not tried. Spread over a while, so that those
    /// that wait do not come back together.
    async fn defer(
        &self,
        message: QueuedMessage,
        wait: Duration,
        spread: Duration,
    ) -> Option<Duration> {
        let wait = wait + spread.mul_f64(random::fraction());
        log::debug!(id = message.id.as_str(); "onbind notification deferred");
        self.queue.metrics.delivered(Self::NAME, "deferred");
        let due_at = self.queue.clock.now().after(wait);
        let settlement = Settlement::Released(due_at);
        self.queue.settle(message, settlement).await;
        Some(wait)
    }

    async fn settle(&self, message: QueuedMessage, outcome: NotifyOutcome) -> Option<Duration> {
        let (id, tries) = (message.id.clone(), message.tries);
        let id = id.as_str();
        match outcome {
            NotifyOutcome::Accepted(invites) => {
                log::info!(id, tries, invites = invites.len(); "onbind notification delivered");
                self.complete(message, invites).await;
                None
            }
            NotifyOutcome::Obsolete => {
                log::info!(id, tries; "onbind notification dropped: the binding no longer exists");
                self.drop_notification(message, "obsolete").await;
                None
            }
            NotifyOutcome::Refused(reason) => {
                log::warn!(id, tries; "onbind notification dropped: refused for good: {reason}; its invites stay pending until the address is bound again");
                self.drop_notification(message, "refused").await;
                None
            }
            NotifyOutcome::Retry(reason) | NotifyOutcome::Busy(reason) => {
                let delay = self.queue.delay_ms(&message);
                log::warn!(id, tries, retry_in_ms = delay; "onbind notification not delivered; retrying: {reason}");
                self.queue.metrics.delivered(Self::NAME, "postponed");
                let due_at = self.queue.clock.now().after(millis(delay));
                self.queue
                    .settle(message, Settlement::Failed(Retry { due_at, reason }))
                    .await;
                Some(millis(delay))
            }
        }
    }

    /// Sends one notification with all pending invites. If the homeserver refuses
    /// it for good, one invite may be the cause: each is then sent alone
    /// (ONB-11), and if all are refused, the binding without any (ONB-17).
    async fn notify(&self, notification: &Notification) -> Result<NotifyOutcome, Fault> {
        let pending = self
            .associations
            .send(FindPendingInvites {
                threepid: notification.threepid.clone(),
                mxid: notification.mxid.clone(),
                now: self.queue.clock.now().as_i64(),
            })
            .await?;
        let Some(pending) = pending else {
            return Ok(NotifyOutcome::Obsolete);
        };
        let outcome = self.notify_with(notification, &pending).await?;
        if pending.is_empty() || !matches!(outcome, NotifyOutcome::Refused(_)) {
            return Ok(outcome);
        }
        let mut accepted = Vec::new();
        // A single invite was sent alone just now.
        let one_by_one = if pending.len() > 1 {
            pending.as_slice()
        } else {
            &[]
        };
        for invite in one_by_one {
            match self
                .notify_with(notification, std::slice::from_ref(invite))
                .await?
            {
                NotifyOutcome::Accepted(ids) => accepted.extend(ids),
                // Invites that were accepted before are sent again, which does no
                // harm.
                outcome @ (NotifyOutcome::Retry(_) | NotifyOutcome::Busy(_)) => return Ok(outcome),
                NotifyOutcome::Refused(_) | NotifyOutcome::Obsolete => {}
            }
        }
        if accepted.is_empty() {
            return self.notify_with(notification, &[]).await;
        }
        Ok(NotifyOutcome::Accepted(accepted))
    }

    async fn notify_with(
        &self,
        notification: &Notification,
        pending: &[Pending],
    ) -> Result<NotifyOutcome, Fault> {
        let (mut ids, mut invites) = (Vec::new(), Vec::new());
        for invite in pending {
            let signed = self
                .signer
                .send(SignAs {
                    key_id: KeyId::parse(&invite.key_id).ok(),
                    object: onbind::signed_part(&notification.mxid, &invite.token),
                })
                .await?;
            let Some(signed) = signed else {
                log::error!(key_id = invite.key_id.as_str(); "invite not sent: the key that its room knows is not in server.signing_key_file any more");
                continue;
            };
            ids.push(invite.id);
            invites.push(notification.invite(invite, &signed));
        }
        let object = onbind::body(&notification.threepid, &notification.mxid, invites);
        let body = Value::Object(self.signer.send(Sign { object }).await?);
        let response = self
            .federation
            .onbind(&notification.server, body.to_string())
            .await?;
        Ok(match response {
            Ok(()) => NotifyOutcome::Accepted(ids),
            Err(OnbindFailure::Permanent { reason }) => NotifyOutcome::Refused(reason),
            Err(OnbindFailure::Busy { reason }) => NotifyOutcome::Busy(reason),
            Err(OnbindFailure::Transient { reason }) => NotifyOutcome::Retry(reason),
        })
    }

    async fn drop_notification(&self, message: QueuedMessage, outcome: &'static str) {
        self.queue.metrics.delivered(Self::NAME, outcome);
        if outcome != "obsolete" {
            self.queue.metrics.dropped(Self::NAME, outcome);
        }
        self.queue.settle(message, Settlement::Dropped).await;
    }

    /// Records the delivery, however long the database is away: otherwise the
    /// homeserver would be notified again.
    async fn complete(&self, message: QueuedMessage, invites: Vec<i64>) {
        self.queue.metrics.delivered(Self::NAME, "delivered");
        let complete = async || {
            let complete = CompleteNotification {
                message: message.clone(),
                invites: invites.clone(),
                keep: self.keep_delivered,
                now: self.queue.clock.now().as_i64(),
            };
            self.associations.send(complete).await
        };
        self.queue.persist(&message.id, complete).await;
    }
}

impl Notification {
    fn invite(&self, pending: &Pending, signed: &Map<String, Value>) -> Value {
        let invite = PendingInvite {
            token: pending.token.clone(),
            room_id: pending.room_id.clone(),
            sender: pending.sender.clone(),
        };
        onbind::invite(&self.threepid, &self.mxid, &invite, signed)
    }
}
