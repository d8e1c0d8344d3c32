//! The way out for texts: written from the settings' text, handed to a provider.

use std::time::Duration;

use super::message_worker::Delivery;
use crate::db::outbox::QueuedMessage;
use crate::delivery::failure::SendFailure;
use crate::delivery::sms::{Router, SmsMessage, SmsPayload};
use crate::delivery::templates::in_words;
use crate::domain::msisdn::CanonicalMsisdn;
use crate::domain::phone::PhoneNumber;
use crate::domain::placeholders::fill;

/// Carries texts.
pub struct SmsDelivery {
    /// What a text says, with placeholders.
    pub body: String,
    /// Hands it over.
    pub router: Router,
    /// How long one try may take.
    pub patience: Duration,
}

impl SmsDelivery {
    /// The text of a queued message, and the calling code of its number.
    fn write(&self, message: &QueuedMessage) -> Option<(SmsMessage, Option<u16>)> {
        let payload: SmsPayload = serde_json::from_str(&message.payload).ok()?;
        let to = CanonicalMsisdn::parse(&payload.msisdn).ok()?;
        let phone = PhoneNumber::of_msisdn(&to).ok();
        let calling_code = phone.map(|phone| phone.calling_code());
        let life = message.expires_at.saturating_sub(message.created_at);
        let life = Duration::from_millis(u64::try_from(life).unwrap_or_default());
        let body = fill(&self.body, |name| match name {
            "token" => payload.token.clone(),
            _ => in_words(life),
        });
        let text = SmsMessage {
            id: message.id.clone(),
            queued_at: message.created_at,
            from: self.router.sender(&to, calling_code),
            to,
            body,
        };
        Some((text, calling_code))
    }
}

impl Delivery for SmsDelivery {
    const NAME: &'static str = "text";
    const KINDS: &'static [&'static str] = &["sms"];

    async fn hand_over(&self, message: &QueuedMessage) -> Result<(), SendFailure> {
        let Some((text, calling_code)) = self.write(message) else {
            log::error!(id = message.id.as_str(); "a text cannot be written: its stored form does not read as one");
            return Err(SendFailure::Refused {
                what: "it cannot be written".to_owned(),
                code: None,
                enhanced: None,
                address: false,
            });
        };
        self.router.send(&text, calling_code).await
    }

    fn patience(&self) -> Duration {
        self.patience
    }
}
