//! What the delivery workers of this instance share: their access to the outbox.

use std::sync::Arc;
use std::time::Duration;

use super::outbox::{ExtendLeases, Outbox, Settle, Settlement, TakeDue};
use super::pool::{Fault, Pool};
use crate::clock::Clock;
use crate::db::outbox::{Kinds, QueuedMessage};
use crate::delivery::pending_replies::PendingReplies;
use crate::delivery::retry::RetryPolicy;
use crate::domain::message::{InstanceId, MessageId};
use crate::domain::time::UnixMillis;
use crate::metrics::Metrics;
use crate::random;

/// How long a settlement is retried while the database is away.
const SETTLE_FOR: Duration = Duration::from_hours(1);

const SETTLE_RETRY_EVERY: Duration = Duration::from_millis(500);

/// The outbox as this instance's workers use it.
#[derive(Clone)]
pub struct DeliveryQueue {
    /// This instance among those that share the database.
    pub instance: InstanceId,
    /// The outbox actor.
    pub outbox: Pool<Outbox>,
    /// Clients that wait for the outcome of a message.
    pub pending_replies: Arc<PendingReplies>,
    /// When a message is tried again.
    pub retry: RetryPolicy,
    /// How long this instance holds a message that it took.
    pub lease: Duration,
    /// The clock.
    pub clock: Clock,
    /// Where outcomes are counted.
    pub metrics: Arc<Metrics>,
}

impl DeliveryQueue {
    /// Leases up to `limit` due messages of these kinds, except those in
    /// progress.
    pub(super) async fn take_due(
        &self,
        kinds: Kinds,
        limit: usize,
        in_progress: Vec<String>,
    ) -> Result<Vec<QueuedMessage>, Fault> {
        let now = self.clock.now();
        let take = TakeDue {
            instance: self.instance.clone(),
            kinds,
            now,
            lease_until: self.lease_until(now),
            limit: i64::try_from(limit).unwrap_or(i64::MAX),
            in_flight: message_ids(in_progress),
        };
        self.outbox.send(take).await
    }

    /// Renews the leases of the messages in progress.
    pub(super) async fn extend_leases(&self, in_progress: Vec<String>) -> Result<(), Fault> {
        let extend = ExtendLeases {
            instance: self.instance.clone(),
            in_flight: message_ids(in_progress),
            lease_until: self.lease_until(self.clock.now()),
        };
        self.outbox.send(extend).await
    }

    /// Ends the lease of a message that was taken and not tried.
    pub(super) async fn release(&self, message: QueuedMessage) -> Result<(), Fault> {
        let settlement = Settlement::Released(self.clock.now());
        self.outbox
            .send(Settle {
                message,
                settlement,
            })
            .await
    }

    fn lease_until(&self, now: UnixMillis) -> UnixMillis {
        now.after(self.lease)
    }

    /// The delay after a failed try, ms: short while a client waits.
    pub(super) fn delay_ms(&self, message: &QueuedMessage) -> i64 {
        let (now, jitter) = (self.clock.now(), random::fraction());
        if !message.acknowledged && now < message.answer_until {
            let (now, until) = (now.as_i64(), message.answer_until.as_i64());
            return self.retry.delay_while_waiting_ms(now, until, jitter);
        }
        self.retry.delay_ms(message.tries, jitter)
    }

    /// Records how a delivery ended, however long the database is away.
    pub(super) async fn settle(&self, message: QueuedMessage, settlement: Settlement) {
        let id = message.id.clone();
        let settle = async || {
            let settle = Settle {
                message: message.clone(),
                settlement: settlement.clone(),
            };
            self.outbox.send(settle).await
        };
        self.persist(&id, settle).await;
    }

    /// Runs `operation` until it succeeds: a message that was delivered and not
    /// settled would be sent again. Gives up after an hour; another instance may
    /// take the message when its lease has expired.
    pub(super) async fn persist(
        &self,
        id: &MessageId,
        operation: impl AsyncFn() -> Result<(), Fault>,
    ) {
        let give_up = self.clock.now().after(SETTLE_FOR);
        while let Err(fault) = operation().await {
            if self.clock.now() > give_up {
                log::error!(id = id.as_str(); "cannot record the outcome of a delivery; the message may be sent again: {fault}");
                return;
            }
            tokio::time::sleep(SETTLE_RETRY_EVERY).await;
        }
    }
}

fn message_ids(keys: Vec<String>) -> Vec<MessageId> {
    keys.into_iter().map(MessageId::from).collect()
}

/// A delay for a timer.
pub(super) fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}
