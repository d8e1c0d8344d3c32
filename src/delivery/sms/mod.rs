//! SMS providers, one module for each kind.
//!
//! A provider sends one SMS and returns the outcome. It has no queue, does not
//! retry, and does not log the number, the code or the response: the caller does
//! the rest.

mod file;
mod from_config;
mod gateway;
mod http;
mod openmarket;
mod router;
mod twilio;

use std::fmt;

use futures_util::future::LocalBoxFuture;
use serde::{Deserialize, Serialize};

pub use from_config::{PreparedProviders, SmsError};
pub use router::Router;

use super::failure::SendFailure;
use super::handover::Handover;
use crate::domain::msisdn::CanonicalMsisdn;
use crate::domain::originator::Originator;

/// The stored form of an SMS until it is sent.
#[derive(Serialize, Deserialize)]
pub struct SmsPayload {
    /// The recipient in canonical form.
    pub msisdn: String,
    /// The validation token.
    pub token: String,
    /// The provider that may have accepted it already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
}

/// An SMS, ready to be sent. `Debug` shows only its id.
pub struct SmsMessage {
    /// A random, unique id; the same for every attempt.
    pub id: String,
    /// When it was queued, in milliseconds since the epoch.
    pub queued_at: i64,
    /// The recipient.
    pub to: CanonicalMsisdn,
    /// The sender; `None` leaves the choice to the provider.
    pub from: Option<Originator>,
    /// The text.
    pub body: String,
    /// The provider that may have accepted it already.
    pub provider: Option<String>,
}

impl fmt::Debug for SmsMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmsMessage")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl SmsMessage {
    /// The number or name of the sender; empty if the provider chooses.
    fn sender(&self) -> &str {
        self.from.as_ref().map_or("", Originator::text)
    }
}

/// An SMS provider.
trait Provider {
    /// Sends one SMS.
    ///
    /// The future may be dropped at any time; the SMS may have been accepted then if
    /// `handover` may be done. Of the failures, only [`SendFailure::Uncertain`] means that the provider may
    /// have accepted it.
    fn send<'a>(
        &'a self,
        sms: &'a SmsMessage,
        handover: &'a Handover,
    ) -> LocalBoxFuture<'a, Result<(), SendFailure>>;
}

/// A permanent failure. `address` says whether the number was rejected.
fn rejected(reason: impl Into<String>, status: u16, address: bool) -> SendFailure {
    SendFailure::Permanent {
        reason: reason.into(),
        code: Some(status),
        enhanced: None,
        address,
    }
}
