//! Mail transports.
//!
//! A transport sends the bytes of a complete message with an envelope and returns
//! the outcome. It has no queue, retries only over a fresh connection, and writes no
//! log: the caller does all three.

mod address;
mod failure;
mod file;
mod from_config;
mod sendmail;
mod smtp;

pub use super::failure::SendFailure;
pub use address::{InvalidAddress, smtp_address};
pub use failure::TransportError;
pub use file::FileTransport;
pub use lettre::Address;
pub use sendmail::SendmailTransport;
pub use smtp::{RelayHealth, RelayTrouble, SmtpTransport};

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::handover::Handover;
use super::masking::Confidential;

/// The SMTP envelope of a message: one sender and one recipient, regardless of the
/// headers. `Debug` does not show the addresses.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The sender, to which bounces are sent.
    pub from: Address,
    /// The only recipient.
    pub to: Address,
}

impl Envelope {
    /// What must not be shown of the words of a relay or program about a message.
    fn confidential<'a>(&'a self, message: &'a [u8]) -> Confidential<'a> {
        Confidential {
            local_part: self.to.user().trim_matches('"'),
            message,
            ..Confidential::default()
        }
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope").finish_non_exhaustive()
    }
}

/// The file name of a stored message, without a suffix.
///
/// A retry uses the same name, so it replaces the file of the first attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageName(String);

impl MessageName {
    /// Creates the name `<millis>-<unique>`, so names sort by time.
    ///
    /// `at_ms` is the time of the message in milliseconds since the epoch. `unique`
    /// distinguishes messages of the same millisecond. Only ASCII letters and
    /// digits of it are used, so a name is never a path. It must not be a secret,
    /// because file names are not protected.
    #[must_use]
    pub fn new(at_ms: i64, unique: &str) -> Self {
        let unique: String = unique
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(64)
            .collect();
        Self(format!("{at_ms:013}-{unique}"))
    }

    /// The name without a suffix.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The configured mail transport.
#[derive(Debug)]
pub enum MailTransport {
    /// Sends to a relay over SMTP.
    Smtp(Box<SmtpTransport>),
    /// Runs a local program with `sendmail`'s command line.
    Sendmail(SendmailTransport),
    /// Writes to a folder, for tests and demos.
    File(FileTransport),
}

impl MailTransport {
    /// Sends a message.
    ///
    /// `message` is a complete message of RFC 5322 with CRLF line ends and is sent
    /// unchanged. The future may be dropped at any time, which closes its
    /// connection or kills its process; the message may have been accepted then if
    /// `handover` may be done.
    ///
    /// # Errors
    ///
    /// [`SendFailure::Permanent`] if the message was rejected for good,
    /// [`SendFailure::Uncertain`] if it may have been accepted, and
    /// [`SendFailure::Transient`] if it was not accepted and a later attempt may
    /// succeed.
    pub async fn send(
        &self,
        envelope: &Envelope,
        name: &MessageName,
        message: &[u8],
        handover: &Handover,
    ) -> Result<(), SendFailure> {
        match self {
            Self::Smtp(smtp) => smtp.send(envelope, message, handover).await,
            Self::Sendmail(sendmail) => sendmail.send(envelope, message, handover).await,
            Self::File(file) => {
                handover.begin();
                file.send(name, message).await
            }
        }
    }

    /// What is known of the SMTP relay, if one is used.
    #[must_use]
    pub fn relay_health(&self) -> Option<Arc<RelayHealth>> {
        match self {
            Self::Smtp(smtp) => Some(smtp.health()),
            Self::Sendmail(_) | Self::File(_) => None,
        }
    }

    /// Notes that a message has had no outcome for so long.
    pub fn note_slow(&self, waited: Duration) {
        if let Self::Smtp(smtp) = self {
            smtp.note_slow(waited);
        }
    }

    /// Closes connections that have been idle for too long. Call it regularly, so
    /// that no connection stays open while no mail is sent.
    pub async fn close_idle(&self) {
        if let Self::Smtp(smtp) = self {
            smtp.close_idle().await;
        }
    }

    /// Closes all idle connections. Sending remains possible.
    pub async fn close(&self) {
        if let Self::Smtp(smtp) = self {
            smtp.close().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_an_envelope_hides_addresses() {
        let envelope = Envelope {
            from: "noreply@example.com".parse().unwrap(),
            to: "alice@example.com".parse().unwrap(),
        };
        let shown = format!("{envelope:?} {envelope:#?}");
        assert!(
            !shown.contains('@') && !shown.contains("example"),
            "{shown}"
        );
    }

    #[test]
    fn message_names_are_not_paths_and_sort_by_time() {
        assert_eq!(
            MessageName::new(1_700_000_000_123, "../a/b\0c.d").as_str(),
            "1700000000123-abcd"
        );
        assert!(MessageName::new(9, "x").as_str() < MessageName::new(10, "a").as_str());
    }

    #[test]
    fn futures_of_the_transport_are_send() {
        fn assert_send<T: Send>(_: &T) {}
        let transport = MailTransport::Sendmail(SendmailTransport::new(
            "/nonexistent".into(),
            Duration::from_secs(1),
        ));
        let envelope = Envelope {
            from: "noreply@example.com".parse().unwrap(),
            to: "alice@example.com".parse().unwrap(),
        };
        let name = MessageName::new(0, "x");
        let handover = Handover::default();
        assert_send(&transport.send(&envelope, &name, b"", &handover));
        assert_send(&transport.close());
    }
}
