//! Sends mail: writes it from its templates and gives it to the mail transport.

use std::pin::pin;
use std::time::Duration;

use super::message_worker::Delivery;
use crate::db::outbox::{Kinds, QueuedMessage};
use crate::delivery::failure::SendFailure;
use crate::delivery::handover::Handover;
use crate::delivery::mail::{MailTransport, MessageName};
use crate::delivery::writer::MailWriter;
use crate::domain::message::MessageKind;

/// A relay that takes longer is worth a line in the log: it may never answer, as on a
/// port for TLS without TLS.
const SLOW: Duration = Duration::from_secs(30);

/// Sends mail.
pub struct MailDelivery {
    /// Writes the message.
    pub writer: MailWriter,
    /// Sends it.
    pub transport: MailTransport,
    /// How long one try may take.
    pub timeout: Duration,
}

impl Delivery for MailDelivery {
    const NAME: &'static str = "mail";
    const KINDS: Kinds = [MessageKind::Mail, MessageKind::Invite];

    async fn send(&self, message: &QueuedMessage, handover: &Handover) -> Result<(), SendFailure> {
        let (id, queued_at) = (message.id.as_str(), message.created_at.as_i64());
        let written = if message.kind == MessageKind::Invite {
            self.writer
                .write_invitation(id, &message.payload, queued_at)
        } else {
            self.writer
                .write(id, &message.payload, queued_at, message.expires_at.as_i64())
        };
        let mail = written.map_err(|error| {
            log::error!(id; "cannot write a mail: {error}");
            SendFailure::unwritable()
        })?;
        let name = MessageName::new(queued_at, id);
        let sending = self
            .transport
            .send(&mail.envelope, &name, &mail.bytes, handover);
        let mut sending = pin!(sending);
        if let Ok(outcome) = tokio::time::timeout(SLOW, &mut sending).await {
            return outcome;
        }
        log::warn!(id; "mail not delivered after {SLOW:?}; still waiting for the relay");
        self.transport.note_slow(SLOW);
        sending.await
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    async fn close_idle(&self) {
        self.transport.close_idle().await;
    }

    async fn close(&self) {
        self.transport.close().await;
    }
}
