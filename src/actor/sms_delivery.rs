//! Sends SMS: writes them from the configured text and gives them to a provider.

use std::time::Duration;

use super::message_worker::Delivery;
use crate::db::outbox::{Kinds, QueuedMessage};
use crate::delivery::failure::SendFailure;
use crate::delivery::handover::Handover;
use crate::delivery::sms::{Router, SmsMessage, SmsPayload};
use crate::delivery::templates::in_words;
use crate::domain::message::MessageKind;
use crate::domain::msisdn::CanonicalMsisdn;
use crate::domain::phone::PhoneNumber;
use crate::domain::placeholders::fill;

/// Sends SMS.
pub struct SmsDelivery {
    /// The text with placeholders.
    pub body: String,
    /// Chooses the provider and sends the SMS.
    pub router: Router,
    /// How long one try may take.
    pub timeout: Duration,
}

impl SmsDelivery {
    /// The SMS of a queued message, and the calling code of its number.
    fn write(&self, message: &QueuedMessage) -> Option<(SmsMessage, Option<u16>)> {
        let payload: SmsPayload = serde_json::from_str(&message.payload).ok()?;
        let to = CanonicalMsisdn::parse(&payload.msisdn).ok()?;
        let calling_code = PhoneNumber::from_msisdn(&to)
            .ok()
            .map(|phone| phone.calling_code());
        let valid_for = message.expires_at.since(message.created_at);
        let body = fill(&self.body, |name| match name {
            "token" => payload.token.clone(),
            _ => in_words(valid_for),
        });
        let sms = SmsMessage {
            id: message.id.to_string(),
            queued_at: message.created_at.as_i64(),
            from: self.router.sender(&to, calling_code),
            to,
            body,
            provider: payload.provider,
        };
        Some((sms, calling_code))
    }
}

impl Delivery for SmsDelivery {
    const NAME: &'static str = "sms";
    const KINDS: Kinds = [MessageKind::Sms; 2];

    async fn send(&self, message: &QueuedMessage, handover: &Handover) -> Result<(), SendFailure> {
        let Some((sms, calling_code)) = self.write(message) else {
            log::error!(id = message.id.as_str(); "cannot write an SMS: cannot decode the stored message");
            return Err(SendFailure::unwritable());
        };
        self.router.send(&sms, calling_code, handover).await
    }

    /// A later try, also after a restart or by another instance, asks only this provider.
    fn remember_uncertain(&self, message: &mut QueuedMessage) {
        let Some(provider) = self.router.take_uncertain(message.id.as_str()) else {
            return;
        };
        if let Ok(mut payload) = serde_json::from_str::<SmsPayload>(&message.payload) {
            payload.provider = Some(provider);
            if let Ok(text) = serde_json::to_string(&payload) {
                message.payload = text;
            }
        }
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }
}
