//! Sends mail: writes it from its templates and gives it to the mail transport.

use std::time::Duration;

use super::message_worker::Delivery;
use crate::db::outbox::QueuedMessage;
use crate::delivery::failure::SendFailure;
use crate::delivery::mail::{MailTransport, MessageName};
use crate::delivery::writer::MailWriter;
use crate::domain::message::MessageKind;

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
    const KINDS: &'static [MessageKind] = &[MessageKind::Mail, MessageKind::Invite];

    async fn send(&self, message: &QueuedMessage) -> Result<(), SendFailure> {
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
        self.transport
            .send(&mail.envelope, &name, &mail.bytes)
            .await
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
