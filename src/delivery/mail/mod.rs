//! Mail transports: the ways in which one finished message is handed over.
//!
//! A transport takes the bytes of a whole message and an envelope, and says
//! what became of it. It keeps no queue, retries nothing but a stale
//! connection, and writes no log: the caller does all three.

mod address;
mod failure;
mod file;
mod from_config;
mod sendmail;
mod smtp;

pub use super::failure::SendFailure;
pub use address::{AddressRefused, address_for_wire};
pub use failure::TransportError;
pub use file::FileTransport;
pub use lettre::Address;
pub use sendmail::SendmailTransport;
pub use smtp::SmtpTransport;

use std::fmt;

/// Who a message is from and to, as the relay hears it: one sender and one
/// recipient, whatever the headers of the message say.
///
/// `Debug` shows neither address.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The sender; bounces go there.
    pub from: Address,
    /// The only recipient.
    pub to: Address,
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope").finish_non_exhaustive()
    }
}

/// The name under which a message is stored where messages have names.
///
/// The same message keeps its name when it is sent again, so that a second
/// attempt replaces the file of the first one instead of adding to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageName(String);

impl MessageName {
    /// Makes `<millis>-<unique>`: names sort by time.
    ///
    /// `at_ms` is when the message was written, in milliseconds since 1970;
    /// `unique` tells messages of the same millisecond apart. Characters
    /// other than ASCII letters and digits are left out of it, so a name is
    /// never a path. It must not be a secret: names of files are seen.
    #[must_use]
    pub fn new(at_ms: i64, unique: &str) -> Self {
        let unique: String = unique
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(64)
            .collect();
        Self(format!("{at_ms:013}-{unique}"))
    }

    /// The name without an ending.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The way out that the configuration chose.
#[derive(Debug)]
pub enum MailTransport {
    /// To a relay, over SMTP.
    Smtp(Box<SmtpTransport>),
    /// To a local program that speaks `sendmail`'s command line.
    Sendmail(SendmailTransport),
    /// Into a folder, for trying things out.
    File(FileTransport),
}

impl MailTransport {
    /// Hands one message over.
    ///
    /// `message` is a complete message of RFC 5322 with CRLF line ends; it is
    /// sent as it is. The future may be dropped at any time: its connection or
    /// process goes with it, and the message may or may not have been taken.
    ///
    /// # Errors
    ///
    /// [`SendFailure::Refused`] if the same message will never be taken,
    /// [`SendFailure::Uncertain`] if it may have been taken, and
    /// [`SendFailure::Passing`] if it was not and a later attempt may succeed.
    pub async fn send(
        &self,
        envelope: &Envelope,
        name: &MessageName,
        message: &[u8],
    ) -> Result<(), SendFailure> {
        match self {
            Self::Smtp(smtp) => smtp.send(envelope, message).await,
            Self::Sendmail(sendmail) => sendmail.send(envelope, message).await,
            Self::File(file) => file.send(name, message).await,
        }
    }

    /// Takes leave of connections that have been idle for too long. Call it
    /// now and then, so that quiet hours hold no connection open.
    pub async fn tidy(&self) {
        if let Self::Smtp(smtp) = self {
            smtp.tidy().await;
        }
    }

    /// Takes leave of every idle connection. Sending remains possible.
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
    fn an_envelope_shows_no_address() {
        let envelope = Envelope {
            from: "house@example.com".parse().unwrap(),
            to: "alice@example.com".parse().unwrap(),
        };
        let shown = format!("{envelope:?} {envelope:#?}");
        assert!(
            !shown.contains('@') && !shown.contains("example"),
            "{shown}"
        );
    }

    #[test]
    fn message_names_are_never_paths_and_sort_by_time() {
        assert_eq!(
            MessageName::new(1_700_000_000_123, "../a/b\0c.d").as_str(),
            "1700000000123-abcd"
        );
        assert!(MessageName::new(9, "x").as_str() < MessageName::new(10, "a").as_str());
    }

    #[test]
    fn a_send_can_move_between_threads() {
        fn assert_send<T: Send>(_: &T) {}
        let transport = MailTransport::Sendmail(SendmailTransport::new(
            "/nonexistent".into(),
            std::time::Duration::from_secs(1),
        ));
        let envelope = Envelope {
            from: "house@example.com".parse().unwrap(),
            to: "alice@example.com".parse().unwrap(),
        };
        let name = MessageName::new(0, "x");
        assert_send(&transport.send(&envelope, &name, b""));
        assert_send(&transport.close());
    }
}
