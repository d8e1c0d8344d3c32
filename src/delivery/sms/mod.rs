//! Ways out for texts to phones: a file for each kind of provider.
//!
//! A provider takes one text and says what became of it. It keeps no queue,
//! retries nothing and writes no address, code or answer into the log: the
//! caller does what is left to do.

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
use crate::domain::msisdn::CanonicalMsisdn;
use crate::domain::originator::Originator;

/// What is stored of a text until it is written.
#[derive(Serialize, Deserialize)]
pub struct SmsPayload {
    /// To whom, in canonical form.
    pub msisdn: String,
    /// The code.
    pub token: String,
}

/// A text, ready to be handed over. Its `Debug` shows nothing of it.
pub struct SmsMessage {
    /// Random, unique; the same when it is tried again.
    pub id: String,
    /// When it was queued, ms.
    pub queued_at: i64,
    /// To whom.
    pub to: CanonicalMsisdn,
    /// From whom; `None` leaves it to the provider.
    pub from: Option<Originator>,
    /// What it says.
    pub body: String,
}

impl fmt::Debug for SmsMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmsMessage")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl SmsMessage {
    /// The sender's number or name; empty where the provider chooses.
    fn sender(&self) -> &str {
        self.from.as_ref().map_or("", Originator::text)
    }
}

/// One way out.
trait Provider {
    /// Hands one text over.
    ///
    /// The future may be dropped at any time; the text may or may not have been
    /// taken then. Its failures are those of [`SendFailure`], of which only an
    /// uncertain one may have left the text with the provider.
    fn send<'a>(&'a self, text: &'a SmsMessage) -> LocalBoxFuture<'a, Result<(), SendFailure>>;
}

/// A failure that is for good. `address` is whether it is the number that is not
/// taken.
fn refused(what: impl Into<String>, status: u16, address: bool) -> SendFailure {
    SendFailure::Refused {
        what: what.into(),
        code: Some(status),
        enhanced: None,
        address,
    }
}
