//! One delivery of a message that a client may wait for, from the outbox to its
//! settlement.

use std::sync::Arc;
use std::time::Duration;

use super::outbox::{Outbox, Settle, Settlement};
use super::pool::{Fault, Pool};
use super::worker_loop::DeliveryWorker;
use crate::clock::Clock;
use crate::db::outbox::QueuedMessage;
use crate::delivery::failure::SendFailure;
use crate::delivery::pending_replies::{Outcome, PendingReplies};
use crate::delivery::retry::{RetryPolicy, pause_ms, uncertain_pause_ms};
use crate::metrics::Metrics;
use crate::random;

/// How long a database may be away before a delivery is left to be made again.
const SETTLE_PATIENCE_MS: i64 = 3_600_000;

/// After so many tries a message that may have arrived is not sent again.
const UNCERTAIN_TRIES: i32 = 3;

pub(super) fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}

/// The way out for messages of some kinds.
pub trait Delivery: 'static {
    /// What it carries, for people who read the log, and in metrics.
    const NAME: &'static str;
    /// The kinds of queued messages that it carries.
    const KINDS: &'static [&'static str];

    /// Writes the message and hands it over, once.
    fn hand_over(&self, message: &QueuedMessage) -> impl Future<Output = Result<(), SendFailure>>;

    /// How long one try may take.
    fn patience(&self) -> Duration;

    /// Lets connections go that were idle for too long.
    fn tidy(&self) -> impl Future<Output = ()> {
        std::future::ready(())
    }

    /// Says goodbye before a stop.
    fn close(&self) -> impl Future<Output = ()> {
        std::future::ready(())
    }
}

/// What every delivery needs to settle.
#[derive(Clone)]
pub struct DeliveryQueue {
    /// The name of this instance among those that share the database.
    pub instance: String,
    /// Keeps the books.
    pub outbox: Pool<Outbox>,
    /// Who waits for a message.
    pub waiting: Arc<PendingReplies>,
    /// When a message is tried again.
    pub pauses: RetryPolicy,
    /// The time.
    pub clock: Clock,
    /// Where outcomes are counted.
    pub metrics: Arc<Metrics>,
}

/// Delivers by a carrier, and tells who waits.
pub struct MessageWorker<C> {
    /// Settles.
    pub books: DeliveryQueue,
    /// Hands over.
    pub carrier: C,
}

impl<C: Delivery> DeliveryWorker for MessageWorker<C> {
    const NAME: &'static str = C::NAME;
    const KINDS: &'static [&'static str] = C::KINDS;

    fn instance(&self) -> &str {
        &self.books.instance
    }

    fn now(&self) -> i64 {
        self.books.clock.now()
    }

    async fn tidy(&self) {
        self.carrier.tidy().await;
    }

    async fn close(&self) {
        self.carrier.close().await;
    }

    async fn deliver(&self, message: QueuedMessage) -> Option<Duration> {
        let (id, what) = (message.id.clone(), C::NAME);
        if self.now() > message.expires_at {
            log::warn!(id = id.as_str(), tries = message.tries; "{what} dropped: it could not be delivered before it expired");
            self.settle(message, Settlement::Dropped, "expired").await;
            return None;
        }
        let sent = self.carrier.hand_over(&message);
        let sent = tokio::time::timeout(self.carrier.patience(), sent).await;
        let too_long = SendFailure::Uncertain {
            what: "it took too long".to_owned(),
        };
        match sent.unwrap_or(Err(too_long)) {
            Ok(()) => {
                log::info!(id = id.as_str(), tries = message.tries; "{what} handed over");
                self.settle(message, Settlement::Delivered, "delivered")
                    .await;
                self.books.waiting.tell(&id, Outcome::Delivered);
                None
            }
            Err(failure) => self.failed(message, failure).await,
        }
    }
}

impl<C: Delivery> MessageWorker<C> {
    /// Drops what was refused for good, and puts off what may arrive later.
    ///
    /// A message that may have arrived is between the two: it is worth another
    /// try, but only while it had few, or a relay whose replies get lost would
    /// send its recipient the same message for a day. Its client is told that it
    /// is on its way, since "not sent" may not be so.
    async fn failed(&self, message: QueuedMessage, failure: SendFailure) -> Option<Duration> {
        let (id, tries, kind) = (message.id.clone(), message.tries, C::NAME);
        match failure {
            SendFailure::Refused {
                what,
                code,
                enhanced,
                address,
            } => {
                log::warn!(id = id.as_str(), tries, code, enhanced = enhanced.as_deref(); "{kind} dropped, it was refused for good: {what}");
                self.settle(message, Settlement::Dropped, "refused").await;
                let outcome = if address {
                    Outcome::Refused
                } else {
                    Outcome::Failed
                };
                self.books.waiting.tell(&id, outcome);
                None
            }
            SendFailure::Uncertain { what } if tries >= UNCERTAIN_TRIES => {
                log::warn!(id = id.as_str(), tries; "{kind} not tried again, it may or may not have arrived: {what}");
                self.settle(message, Settlement::LeftAlone, "uncertain")
                    .await;
                self.books.waiting.tell(&id, Outcome::Delivered);
                None
            }
            SendFailure::Uncertain { what } => {
                let pause = uncertain_pause_ms(self.books.pauses, tries);
                log::warn!(id = id.as_str(), tries, pause_ms = pause; "{kind} may or may not have arrived, trying again: {what}");
                let again = Settlement::Repeated(self.now().saturating_add(pause));
                self.settle(message, again, "postponed").await;
                Some(millis(pause))
            }
            SendFailure::Passing { what } => {
                let pause = self.books.pause_ms(tries, message.answer_until);
                log::warn!(id = id.as_str(), tries, pause_ms = pause; "{kind} not handed over, trying again: {what}");
                let again = Settlement::Postponed(self.now().saturating_add(pause));
                self.settle(message, again, "postponed").await;
                Some(millis(pause))
            }
        }
    }

    async fn settle(&self, message: QueuedMessage, settlement: Settlement, outcome: &'static str) {
        self.books.metrics.delivered(C::NAME, outcome);
        self.books.settle(message, settlement).await;
    }
}

impl DeliveryQueue {
    /// The pause after try number `tries`, ms: short ones until `answer_until`.
    #[must_use]
    pub fn pause_ms(&self, tries: i32, answer_until: i64) -> i64 {
        let (now, jitter) = (self.clock.now(), random::fraction());
        pause_ms(self.pauses, tries, now, answer_until, jitter)
    }

    /// Settles, however long the database is away.
    pub async fn settle(&self, message: QueuedMessage, settlement: Settlement) {
        let settle = async || {
            let settle = Settle {
                message: message.clone(),
                settlement,
            };
            self.outbox.send(settle).await
        };
        self.persist(&message.id, settle).await;
    }

    /// Asks until there is an answer: a message that was handed over and not
    /// settled would be sent again. After its lease another instance may take
    /// it.
    pub async fn persist(&self, id: &str, ask: impl AsyncFn() -> Result<(), Fault>) {
        let give_up = self.clock.now().saturating_add(SETTLE_PATIENCE_MS);
        while let Err(fault) = ask().await {
            if self.clock.now() > give_up {
                log::error!(id; "a delivery could not be settled, it may happen again: {fault}");
                return;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}
