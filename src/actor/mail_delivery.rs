//! The way out for mail: written from its templates, handed to the transport.

use std::time::Duration;

use super::message_worker::Delivery;
use crate::db::outbox::QueuedMessage;
use crate::delivery::failure::SendFailure;
use crate::delivery::mail::{MailTransport, MessageName};
use crate::delivery::writer::MailWriter;

/// Carries mail.
pub struct MailDelivery {
    /// Writes the message.
    pub writer: MailWriter,
    /// Hands it over.
    pub transport: MailTransport,
    /// How long one try may take.
    pub patience: Duration,
}

impl Delivery for MailDelivery {
    const NAME: &'static str = "mail";
    const KINDS: &'static [&'static str] = &["mail", "invite"];

    async fn hand_over(&self, message: &QueuedMessage) -> Result<(), SendFailure> {
        let (id, queued_at) = (&message.id, message.created_at);
        let written = if message.kind == "invite" {
            self.writer
                .write_invitation(id, &message.payload, queued_at)
        } else {
            self.writer
                .write(id, &message.payload, queued_at, message.expires_at)
        };
        let mail = written.map_err(|error| {
            log::error!(id = message.id.as_str(); "a mail cannot be written: {error}");
            SendFailure::Refused {
                what: "it cannot be written".to_owned(),
                code: None,
                enhanced: None,
                address: false,
            }
        })?;
        let name = MessageName::new(message.created_at, &message.id);
        self.transport
            .send(&mail.envelope, &name, &mail.bytes)
            .await
    }

    fn patience(&self) -> Duration {
        self.patience
    }

    async fn tidy(&self) {
        self.transport.tidy().await;
    }

    async fn close(&self) {
        self.transport.close().await;
    }
}
