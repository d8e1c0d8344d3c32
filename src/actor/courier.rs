//! One delivery from the outbox to its settlement.

use std::sync::Arc;
use std::time::Duration;

use super::outbox::{Outbox, Settle, Settlement};
use super::pool::Pool;
use crate::clock::Clock;
use crate::db::outbox::Queued;
use crate::delivery::mail::{MailTransport, MessageName, SendFailure};
use crate::delivery::retry::{Pauses, pause_ms};
use crate::delivery::waiting::{Outcome, Waiting};
use crate::delivery::writer::MailWriter;
use crate::metrics::Metrics;
use crate::random;

/// How long a database may be away before a delivery is left to be made again.
const SETTLE_PATIENCE_MS: i64 = 3_600_000;

/// After so many tries a message that may have arrived is not sent again.
const UNCERTAIN_TRIES: i32 = 3;

fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}

/// What a delivery needs.
pub struct Courier {
    /// The name of this instance among those that share the database.
    pub instance: String,
    /// Writes the message.
    pub writer: MailWriter,
    /// Hands it over.
    pub transport: MailTransport,
    /// Keeps the books.
    pub outbox: Pool<Outbox>,
    /// Who waits for it.
    pub waiting: Arc<Waiting>,
    /// When it is tried again.
    pub pauses: Pauses,
    /// How long one try may take.
    pub patience: Duration,
    /// The time.
    pub clock: Clock,
    /// Where outcomes are counted.
    pub metrics: Arc<Metrics>,
}

impl Courier {
    /// Now, ms.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.clock.now()
    }

    /// The name of this instance.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Lets connections go that were idle for too long.
    pub async fn tidy(&self) {
        self.transport.tidy().await;
    }

    /// Says goodbye to the relay.
    pub async fn close(&self) {
        self.transport.close().await;
    }

    /// Tries once; answers the pause until the next try, if there is one.
    pub async fn deliver(&self, message: Queued) -> Option<Duration> {
        let id = message.id.clone();
        if self.now() > message.expires_at {
            log::warn!(id = id.as_str(), tries = message.tries; "mail dropped: its session ended before it could be delivered");
            self.settle(message, Settlement::Dropped, "expired").await;
            return None;
        }
        match self.hand_over(&message).await {
            Ok(()) => {
                log::info!(id = id.as_str(), tries = message.tries; "mail handed over");
                self.settle(message, Settlement::Delivered, "delivered")
                    .await;
                self.waiting.tell(&id, Outcome::Delivered);
                None
            }
            Err(failure) => self.failed(message, failure).await,
        }
    }

    /// Drops what was refused for good, and puts off what may arrive later.
    ///
    /// A message that may have arrived is between the two: it is worth another
    /// try, but only while it had few, or a relay whose replies get lost would
    /// send its recipient the same mail for a day. Its client is told that it
    /// is on its way, since "not sent" may not be so.
    async fn failed(&self, message: Queued, failure: SendFailure) -> Option<Duration> {
        let (id, tries) = (message.id.clone(), message.tries);
        match failure {
            SendFailure::Refused {
                what,
                code,
                enhanced,
                address,
            } => {
                log::warn!(id = id.as_str(), tries, code, enhanced = enhanced.as_deref(); "mail dropped, it was refused for good: {what}");
                self.settle(message, Settlement::Dropped, "refused").await;
                let outcome = if address {
                    Outcome::Refused
                } else {
                    Outcome::Failed
                };
                self.waiting.tell(&id, outcome);
                None
            }
            SendFailure::Uncertain { what } if tries >= UNCERTAIN_TRIES => {
                log::warn!(id = id.as_str(), tries; "mail not tried again, it may or may not have arrived: {what}");
                self.settle(message, Settlement::LeftAlone, "uncertain")
                    .await;
                self.waiting.tell(&id, Outcome::Delivered);
                None
            }
            SendFailure::Uncertain { what } => {
                let pause = self.pause_ms(tries, 0);
                log::warn!(id = id.as_str(), tries, pause_ms = pause; "mail may or may not have arrived, trying again: {what}");
                let again = Settlement::Repeated(self.now().saturating_add(pause));
                self.settle(message, again, "postponed").await;
                Some(millis(pause))
            }
            SendFailure::Passing { what } => {
                let pause = self.pause_ms(tries, message.answer_until);
                log::warn!(id = id.as_str(), tries, pause_ms = pause; "mail not handed over, trying again: {what}");
                let again = Settlement::Postponed(self.now().saturating_add(pause));
                self.settle(message, again, "postponed").await;
                Some(millis(pause))
            }
        }
    }

    fn pause_ms(&self, tries: i32, answer_until: i64) -> i64 {
        let jitter = random::fraction();
        pause_ms(self.pauses, tries, self.now(), answer_until, jitter)
    }

    async fn hand_over(&self, message: &Queued) -> Result<(), SendFailure> {
        let mail = self
            .writer
            .write(
                &message.id,
                &message.payload,
                message.created_at,
                message.expires_at,
            )
            .map_err(|error| {
                log::error!(id = message.id.as_str(); "a mail cannot be written: {error}");
                SendFailure::Refused {
                    what: "it cannot be written".to_owned(),
                    code: None,
                    enhanced: None,
                    address: false,
                }
            })?;
        let name = MessageName::new(message.created_at, &message.id);
        let sent = self.transport.send(&mail.envelope, &name, &mail.bytes);
        tokio::time::timeout(self.patience, sent)
            .await
            .unwrap_or_else(|_too_long| {
                Err(SendFailure::Uncertain {
                    what: "it took too long".to_owned(),
                })
            })
    }

    /// Settles, however long the database is away: a mail that was handed over
    /// and not settled would be sent again. After its lease another instance
    /// may take it.
    async fn settle(&self, message: Queued, settlement: Settlement, outcome: &'static str) {
        self.metrics.delivered("mail", outcome);
        let give_up = self.now().saturating_add(SETTLE_PATIENCE_MS);
        loop {
            let Err(fault) = self
                .outbox
                .ask(Settle {
                    message: message.clone(),
                    settlement,
                })
                .await
            else {
                return;
            };
            if self.now() > give_up {
                log::error!(id = message.id.as_str(); "a delivery could not be settled, it may happen again: {fault}");
                return;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}
