//! Interprets replies, and missing replies, as outcomes of the message.

use std::error::Error as _;
use std::fmt;
use std::future::Future;
use std::io;
use std::time::Duration;

use lettre::transport::smtp::Error;

use crate::delivery::mail::SendFailure;

/// The steps of a connection, displayed by the names that the log of the relay
/// uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Connection,
    Hello,
    StartTls,
    Handshake,
    Login,
    Reset,
    Sender,
    Recipient,
    Data,
    Message,
    Quit,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "the connection request",
            Self::Hello => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Handshake => "the TLS handshake",
            Self::Login => "AUTH",
            Self::Reset => "RSET",
            Self::Sender => "MAIL FROM",
            Self::Recipient => "RCPT TO",
            Self::Data => "DATA",
            Self::Message => "the message",
            Self::Quit => "QUIT",
        })
    }
}

impl Step {
    /// Whether a reply to this step concerns the message. Other replies concern the
    /// connection, the login or the sender, which are the same for all messages and
    /// which the administrator can correct.
    fn concerns_message(self) -> bool {
        matches!(self, Self::Recipient | Self::Data | Self::Message)
    }
}

/// Codes of the 5xx class that concern the session and not the message: bad
/// sequence of commands, authentication required or failed, encryption required
/// (RFC 4954, section 6; RFC 3207, section 4). The administrator can correct them.
const SESSION_CODES: [u16; 5] = [503, 530, 534, 535, 538];

/// Runs a step within a time limit.
pub(super) async fn within<T>(
    timeout: Duration,
    step: Step,
    work: impl Future<Output = Result<T, SendFailure>>,
) -> Result<T, SendFailure> {
    match tokio::time::timeout(timeout, work).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Err(SendFailure::transient(format!(
            "timed out after {timeout:?} waiting for the reply to {step}"
        ))),
    }
}

/// The failure for an I/O error of the connection.
pub(super) fn io_failure(step: Step, error: &io::Error) -> SendFailure {
    SendFailure::transient(match step {
        Step::Connection => format!("cannot connect to the relay: {error}"),
        step => format!("the connection to the relay failed at {step}: {error}"),
    })
}

/// The failure for a reply code that is not defined for the step.
pub(super) fn unexpected_reply(step: Step, code: u16) -> SendFailure {
    SendFailure::transient(format!("unexpected reply {code} to {step}"))
}

/// Converts an error of lettre, without the text of the reply.
pub(super) fn failure(step: Step, error: &Error) -> SendFailure {
    if let Some(code) = error.status() {
        let text = error.source().map(ToString::to_string).unwrap_or_default();
        return negative_reply(step, code.into(), &text);
    }
    if let Some(io) = error.source().and_then(|source| source.downcast_ref()) {
        return io_failure(step, io);
    }
    if step == Step::Login && error.is_client() {
        return SendFailure::transient("the relay supports neither AUTH PLAIN nor AUTH LOGIN");
    }
    SendFailure::transient(format!(
        "the relay closed the connection at {step}, or its reply is not SMTP"
    ))
}

/// Classifies a negative reply by its code and the first word of its text.
pub(super) fn negative_reply(step: Step, code: u16, text: &str) -> SendFailure {
    let enhanced = enhanced_status(code, text).map(str::to_owned);
    let reason = match &enhanced {
        Some(enhanced) => format!("the relay replied {code} {enhanced} to {step}"),
        None => format!("the relay replied {code} to {step}"),
    };
    let is_permanent = step.concerns_message() && code >= 500 && !SESSION_CODES.contains(&code);
    if is_permanent {
        let address =
            step == Step::Recipient || enhanced.as_deref().is_some_and(concerns_recipient);
        SendFailure::Permanent {
            reason,
            code: Some(code),
            enhanced,
            address,
        }
    } else {
        SendFailure::Transient { reason }
    }
}

/// Whether a status concerns the address of the recipient. Of the addressing
/// statuses, X.1.7 and X.1.8 concern the sender (RFC 3463, section 3.2).
fn concerns_recipient(enhanced: &str) -> bool {
    enhanced.starts_with("5.1.") && !matches!(enhanced, "5.1.7" | "5.1.8")
}

/// The enhanced status code (RFC 3463) at the beginning of a reply, if its class
/// matches the reply code. It consists of digits and dots only.
fn enhanced_status(code: u16, text: &str) -> Option<&str> {
    let word = text.split_whitespace().next()?;
    let mut parts = word.split('.');
    let class = parts.next()?;
    let subject = parts.next()?;
    let detail = parts.next()?;
    let is_number = |part: &str| {
        (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_status = [class, subject, detail].into_iter().all(is_number)
        && parts.next().is_none()
        && class.parse() == Ok(code / 100);
    is_status.then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_5xx_about_the_message_is_permanent() {
        use Step::{Connection, Data, Hello, Login, Message, Recipient, Reset, Sender};
        for (step, code, permanent) in [
            (Recipient, 550, true),
            (Recipient, 553, true),
            (Recipient, 552, true),
            (Recipient, 450, false),
            (Recipient, 421, false),
            (Recipient, 503, false),
            (Sender, 550, false),
            (Sender, 555, false),
            (Sender, 530, false),
            (Sender, 535, false),
            (Sender, 451, false),
            (Data, 554, true),
            (Message, 554, true),
            (Message, 552, true),
            (Message, 452, false),
            (Hello, 550, false),
            (Connection, 554, false),
            (Login, 535, false),
            (Reset, 500, false),
        ] {
            let failure = negative_reply(step, code, "5.1.1 no");
            let is_permanent = matches!(failure, SendFailure::Permanent { .. });
            assert_eq!(is_permanent, permanent, "{step} {code}");
        }
    }

    #[test]
    fn only_recipient_errors_refuse_the_address() {
        for (step, text, expected) in [
            (Step::Recipient, "no", true),
            (Step::Recipient, "5.7.1 no", true),
            (Step::Data, "no", false),
            (Step::Message, "5.1.1 unknown", true),
            (Step::Message, "5.1.7 bad sender", false),
            (Step::Message, "5.1.8 bad sender", false),
            (Step::Message, "5.7.1 spam", false),
            (Step::Message, "5.6.0 content", false),
        ] {
            let SendFailure::Permanent { address, .. } = negative_reply(step, 554, text) else {
                panic!("{step} {text}");
            };
            assert_eq!(address, expected, "{step} {text}");
        }
    }

    #[test]
    fn reply_text_is_reduced_to_its_status() {
        for (code, text, status) in [
            (550, "5.1.1 <alice@example.com> unknown", Some("5.1.1")),
            (550, "5.7.123", Some("5.7.123")),
            (550, "4.1.1 disagrees", None),
            (450, "4.2.0 later", Some("4.2.0")),
            (550, "alice@example.com unknown", None),
            (550, "5.1.1.example.com", None),
            (550, "5.1.x no", None),
            (550, "5..1 no", None),
            (550, "5.1.1111 no", None),
            (550, "", None),
        ] {
            let failure = negative_reply(Step::Recipient, code, text);
            let expected = status.map_or(String::new(), |status| format!(" {status}"));
            assert_eq!(
                failure.to_string(),
                format!("the relay replied {code}{expected} to RCPT TO")
            );
        }
    }
}
