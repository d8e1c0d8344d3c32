//! The steps of a session, and steps that get no reply.

use std::fmt;
use std::io;
use std::time::Duration;

use super::reply::Malformed;
use crate::delivery::mail::SendFailure;

/// The steps of a connection, displayed by the names that the log of the relay
/// uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Connection,
    Hello,
    /// HELO, after the relay refused EHLO.
    PlainHello,
    StartTls,
    Handshake,
    Login,
    Reset,
    Sender,
    Recipient,
    Data,
    Message,
}

impl Step {
    /// Whether no message can be sent without it, whatever the message.
    pub(super) fn begins_session(self) -> bool {
        matches!(
            self,
            Self::Connection | Self::Hello | Self::PlainHello | Self::StartTls | Self::Handshake
        )
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "the connection request",
            Self::Hello => "EHLO",
            Self::PlainHello => "HELO",
            Self::StartTls => "STARTTLS",
            Self::Handshake => "the TLS handshake",
            Self::Login => "AUTH",
            Self::Reset => "RSET",
            Self::Sender => "MAIL FROM",
            Self::Recipient => "RCPT TO",
            Self::Data => "DATA",
            Self::Message => "the message",
        })
    }
}

/// Why there is no reply to a step.
#[derive(Debug)]
pub(super) enum NoReply {
    TimedOut(Duration),
    Closed,
    Io(io::Error),
    Malformed(Malformed),
}

impl NoReply {
    /// The failure of the message, which the relay has not accepted by this step.
    pub(super) fn failure(&self, step: Step) -> SendFailure {
        SendFailure::transient(match self {
            Self::TimedOut(after) => {
                format!("timed out after {after:?} waiting for the reply to {step}")
            }
            Self::Closed => format!("the relay closed the connection at {step}"),
            Self::Io(error) if step == Step::Connection => {
                format!("cannot connect to the relay: {error}")
            }
            Self::Io(error) => format!("the connection to the relay failed at {step}: {error}"),
            Self::Malformed(Malformed::NotSmtp) => {
                format!("the reply of the relay to {step} is not SMTP")
            }
            Self::Malformed(Malformed::TooLong) => {
                format!("the reply of the relay to {step} is too long")
            }
        })
    }
}

/// Runs a step within a time limit.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, NoReply>>,
) -> Result<T, NoReply> {
    match tokio::time::timeout(limit, work).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Err(NoReply::TimedOut(limit)),
    }
}
