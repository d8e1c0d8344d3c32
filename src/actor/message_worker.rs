//! The worker for messages that a client may wait for: mail and SMS.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::watch;
use tokio::time::timeout;

use super::delivery_queue::{DeliveryQueue, millis};
use super::outbox::{Retry, Settlement};
use super::pool::Fault;
use super::worker_loop::Worker;
use crate::db::outbox::{Kinds, QueuedMessage};
use crate::delivery::failure::SendFailure;
use crate::delivery::handover::Handover;
use crate::delivery::pending_replies::Outcome;
use crate::delivery::retry::spread_ms;
use crate::domain::time::duration_ms;
use crate::random;

/// After so many tries a message whose delivery is uncertain is not sent again.
const MAX_UNCERTAIN_TRIES: i32 = 3;

/// Sends messages of some kinds.
pub trait Delivery: 'static {
    /// What it sends, in logs and metrics.
    const NAME: &'static str;
    /// The kinds of messages that it sends.
    const KINDS: Kinds;

    /// Writes the message and sends it once. `handover` begins before the receiver can
    /// have the whole message.
    fn send(
        &self,
        message: &QueuedMessage,
        handover: &Handover,
    ) -> impl Future<Output = Result<(), SendFailure>>;

    /// Adds to a message whose last try is uncertain what later tries must know.
    fn remember_uncertain(&self, _message: &mut QueuedMessage) {}

    /// How long one try may take.
    fn timeout(&self) -> Duration;

    /// Closes connections that were idle for too long.
    fn close_idle(&self) -> impl Future<Output = ()> {
        std::future::ready(())
    }

    /// Closes all connections before a shutdown.
    fn close(&self) -> impl Future<Output = ()> {
        std::future::ready(())
    }
}

/// Sends messages by a [`Delivery`], settles them, and publishes the outcome to
/// waiting clients.
pub struct MessageWorker<D> {
    /// Where the messages come from.
    queue: DeliveryQueue,
    /// What sends them.
    delivery: D,
    /// Whether the server is stopping.
    stopping: watch::Sender<bool>,
}

impl<D: Delivery> Worker for MessageWorker<D> {
    const NAME: &'static str = D::NAME;

    type Task = QueuedMessage;

    fn key(message: &QueuedMessage) -> String {
        message.id.to_string()
    }

    async fn take_due(
        &self,
        limit: usize,
        in_progress: Vec<String>,
    ) -> Result<Vec<QueuedMessage>, Fault> {
        self.queue.take_due(D::KINDS, limit, in_progress).await
    }

    async fn extend_leases(&self, in_progress: Vec<String>) -> Result<(), Fault> {
        self.queue.extend_leases(in_progress).await
    }

    async fn release(&self, message: QueuedMessage) -> Result<(), Fault> {
        self.queue.release(message).await
    }

    fn begin_shutdown(&self) {
        self.stopping.send_replace(true);
    }

    async fn close_idle(&self) {
        self.delivery.close_idle().await;
    }

    async fn close(&self) {
        self.delivery.close().await;
    }

    async fn run(&self, message: QueuedMessage) -> Option<Duration> {
        let (id, tries, name) = (message.id.clone(), message.tries, D::NAME);
        if self.queue.clock.now() > message.expires_at {
            log::warn!(id = id.as_str(), tries; "{name} dropped: it expired before it could be delivered");
            self.queue.metrics.dropped(D::NAME, "expired");
            self.settle(message, Settlement::Dropped, "expired").await;
            return None;
        }
        let Some(sent) = self.send(&message).await else {
            self.give_back(message).await;
            return None;
        };
        match sent {
            Ok(()) => {
                log::info!(id = id.as_str(), tries; "{name} delivered");
                self.settle(message, Settlement::Delivered, "delivered")
                    .await;
                self.queue.pending_replies.publish(&id, Outcome::Delivered);
                None
            }
            Err(failure) => self.handle_failure(message, failure).await,
        }
    }
}

impl<D: Delivery> MessageWorker<D> {
    /// Sends the messages of this queue.
    #[must_use]
    pub fn new(queue: DeliveryQueue, delivery: D) -> Self {
        Self {
            queue,
            delivery,
            stopping: watch::Sender::new(false),
        }
    }

    /// Sends a message once; `None` if a shutdown came before the receiver could have it.
    /// Otherwise the outcome is waited for, since the message might be sent again.
    async fn send(&self, message: &QueuedMessage) -> Option<Result<(), SendFailure>> {
        let handover = Handover::default();
        let sending = async {
            timeout(
                self.delivery.timeout(),
                self.delivery.send(message, &handover),
            )
            .await
            .unwrap_or_else(|_elapsed| Err(SendFailure::uncertain("timed out")))
        };
        let mut stopping = self.stopping.subscribe();
        let stopped = stopping.wait_for(|stopping| *stopping);
        match select(pin!(sending), pin!(stopped)).await {
            Either::Left((sent, _)) => Some(sent),
            Either::Right((_, sending)) if handover.may_be_done() => Some(sending.await),
            Either::Right(_) => None,
        }
    }

    /// Gives a message back to the queue that was not sent because of a shutdown.
    async fn give_back(&self, message: QueuedMessage) {
        let (id, name) = (message.id.clone(), D::NAME);
        match self.queue.release(message).await {
            Ok(()) => log::info!(id = id.as_str(); "{name} not sent before the shutdown"),
            Err(fault) => {
                log::warn!(id = id.as_str(); "{name} not sent before the shutdown; it is sent when its lease has expired: {fault}");
            }
        }
    }

    /// Drops a message that was refused for good, and postpones one that may
    /// still be delivered.
    ///
    /// An uncertain message is between the two: it is worth another try, but only
    /// few, or a relay whose replies get lost would send its recipient the same
    /// message for a day. Its client is told that it is on its way, since "not
    /// sent" may be wrong.
    async fn handle_failure(
        &self,
        mut message: QueuedMessage,
        failure: SendFailure,
    ) -> Option<Duration> {
        if matches!(failure, SendFailure::Uncertain { .. }) {
            self.delivery.remember_uncertain(&mut message);
        }
        match failure {
            SendFailure::Permanent { .. } => {
                self.drop_refused(message, failure).await;
                None
            }
            SendFailure::Uncertain { reason } if message.tries >= MAX_UNCERTAIN_TRIES => {
                let (id, tries, name) = (message.id.clone(), message.tries, D::NAME);
                log::warn!(id = id.as_str(), tries; "{name} may have been delivered; not trying again: {reason}");
                self.settle(message, Settlement::LeftAlone, "uncertain")
                    .await;
                self.queue.pending_replies.publish(&id, Outcome::Delivered);
                None
            }
            SendFailure::Uncertain { reason } => {
                let (policy, jitter) = (self.queue.retry, random::fraction());
                let delay = policy.delay_after_uncertain_ms(message.tries, jitter);
                let (id, tries, name) = (message.id.as_str(), message.tries, D::NAME);
                log::warn!(id, tries, retry_in_ms = delay; "{name} may have been delivered; retrying: {reason}");
                self.postpone(message, delay, reason, Settlement::Repeated)
                    .await
            }
            SendFailure::Misconfigured { reason } => {
                self.handle_misconfiguration(message, reason).await
            }
            SendFailure::Paused { pause } => self.hold(message, pause).await,
            SendFailure::Throttled { reason, pause } => {
                let pause = spread_ms(duration_ms(pause), random::fraction());
                let delay = pause.max(self.queue.delay_ms(&message));
                let (id, tries, name) = (message.id.as_str(), message.tries, D::NAME);
                log::warn!(id, tries, retry_in_ms = delay; "{name} not delivered; retrying when asked to: {reason}");
                self.postpone(message, delay, reason, Settlement::Failed)
                    .await
            }
            SendFailure::Transient { reason } => {
                let delay = self.queue.delay_ms(&message);
                let (id, tries, name) = (message.id.as_str(), message.tries, D::NAME);
                log::warn!(id, tries, retry_in_ms = delay; "{name} not delivered; retrying: {reason}");
                self.postpone(message, delay, reason, Settlement::Failed)
                    .await
            }
        }
    }

    /// Answers a client that waits at once, since further attempts would fail alike.
    /// What was acknowledged stays in the queue until the administrator has corrected
    /// the configuration.
    async fn handle_misconfiguration(
        &self,
        message: QueuedMessage,
        reason: String,
    ) -> Option<Duration> {
        let (id, tries, name) = (message.id.clone(), message.tries, D::NAME);
        let delay = self.queue.delay_ms(&message);
        if message.acknowledged {
            log::error!(id = id.as_str(), tries, retry_in_ms = delay; "{name} not delivered; retrying: {reason}");
            return self
                .postpone(message, delay, reason, Settlement::Failed)
                .await;
        }
        log::error!(id = id.as_str(), tries; "{name} not sent: {reason}");
        self.queue.metrics.dropped(name, "misconfigured");
        let retry = self.retry_after(delay, reason);
        self.settle(message, Settlement::Withdrawn(retry), "misconfigured")
            .await;
        self.queue.pending_replies.publish(&id, Outcome::Failed);
        None
    }

    /// Puts a message back that was not tried, since what would take it is left alone. A
    /// client that waits gets its response at once, unless there is time for an attempt.
    async fn hold(&self, message: QueuedMessage, pause: Duration) -> Option<Duration> {
        let (id, name) = (message.id.clone(), D::NAME);
        let delay = spread_ms(duration_ms(pause), random::fraction());
        let due_at = self.queue.clock.now().after(millis(delay));
        let reason = "not tried, since others failed".to_owned();
        if message.acknowledged {
            log::debug!(id = id.as_str(), retry_in_ms = delay; "{name} not tried");
            self.settle(message, Settlement::Released(due_at), "deferred")
                .await;
            return Some(millis(delay));
        }
        if due_at < message.answer_until {
            return self
                .postpone(message, delay, reason, Settlement::Failed)
                .await;
        }
        log::warn!(id = id.as_str(); "{name} not sent: {reason}");
        self.queue.metrics.dropped(name, "paused");
        let retry = Retry { due_at, reason };
        self.settle(message, Settlement::Withdrawn(retry), "paused")
            .await;
        self.queue.pending_replies.publish(&id, Outcome::GivenUp);
        None
    }

    async fn drop_refused(&self, message: QueuedMessage, failure: SendFailure) {
        let (id, tries, name) = (message.id.clone(), message.tries, D::NAME);
        let SendFailure::Permanent {
            reason,
            code,
            enhanced,
            address,
        } = failure
        else {
            return;
        };
        log::warn!(id = id.as_str(), tries, code, enhanced = enhanced.as_deref(); "{name} dropped: refused for good: {reason}");
        self.queue.metrics.dropped(D::NAME, "refused");
        self.settle(message, Settlement::Dropped, "refused").await;
        let outcome = if address {
            Outcome::Refused
        } else {
            Outcome::Failed
        };
        self.queue.pending_replies.publish(&id, outcome);
    }

    async fn postpone(
        &self,
        message: QueuedMessage,
        delay_ms: i64,
        reason: String,
        settlement: fn(Retry) -> Settlement,
    ) -> Option<Duration> {
        let retry = self.retry_after(delay_ms, reason);
        self.settle(message, settlement(retry), "postponed").await;
        Some(millis(delay_ms))
    }

    fn retry_after(&self, delay_ms: i64, reason: String) -> Retry {
        let due_at = self.queue.clock.now().after(millis(delay_ms));
        Retry { due_at, reason }
    }

    async fn settle(&self, message: QueuedMessage, settlement: Settlement, outcome: &'static str) {
        self.queue.metrics.delivered(D::NAME, outcome);
        self.queue.settle(message, settlement).await;
    }
}
