//! What a reply, or the lack of one, means for the message.

use std::error::Error as _;
use std::fmt;
use std::future::Future;
use std::io;
use std::time::Duration;

use lettre::transport::smtp::Error;

use crate::delivery::mail::SendFailure;

/// The steps of a connection, under the names that an administrator finds in
/// the relay's own log.
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
            Self::Connection => "the connection",
            Self::Hello => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Handshake => "the TLS handshake",
            Self::Login => "AUTH",
            Self::Reset => "RSET",
            Self::Sender => "MAIL",
            Self::Recipient => "RCPT",
            Self::Data => "DATA",
            Self::Message => "the message",
            Self::Quit => "QUIT",
        })
    }
}

impl Step {
    /// Whether a reply to this step is about the message, and not about the
    /// connection, this server's account or the sender, who is the same for
    /// every message: an administrator mends those.
    fn is_about_the_message(self) -> bool {
        matches!(self, Self::Recipient | Self::Data | Self::Message)
    }
}

/// Codes of the 5xx class that blame the session instead of the message:
/// commands out of order, and logins or encryption that the relay misses
/// (RFC 4954 section 6, RFC 3207 section 4). An administrator mends them.
const ABOUT_THE_SESSION: [u16; 5] = [503, 530, 534, 535, 538];

/// Bounds one step in time.
pub(super) async fn within<T>(
    limit: Duration,
    step: Step,
    work: impl Future<Output = Result<T, SendFailure>>,
) -> Result<T, SendFailure> {
    match tokio::time::timeout(limit, work).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Err(SendFailure::passing(format!(
            "the relay did not reply to {step} within {limit:?}"
        ))),
    }
}

/// A connection that failed below SMTP.
pub(super) fn broken(step: Step, error: &io::Error) -> SendFailure {
    SendFailure::passing(match step {
        Step::Connection => format!("the relay cannot be reached: {error}"),
        step => format!("the connection to the relay broke at {step}: {error}"),
    })
}

/// A reply with a code that SMTP does not know here.
pub(super) fn out_of_place(step: Step, code: u16) -> SendFailure {
    SendFailure::passing(format!(
        "the relay replied to {step} with {code}, which has no meaning there"
    ))
}

/// Turns lettre's error into ours, without the text of the reply.
pub(super) fn failure(step: Step, error: &Error) -> SendFailure {
    if let Some(code) = error.status() {
        let text = error.source().map(ToString::to_string).unwrap_or_default();
        return negative(step, code.into(), &text);
    }
    if let Some(io) = error.source().and_then(|source| source.downcast_ref()) {
        return broken(step, io);
    }
    if step == Step::Login && error.is_client() {
        return SendFailure::passing("the relay offers neither of the logins PLAIN and LOGIN");
    }
    SendFailure::passing(format!(
        "the relay hung up at {step}, or its reply is not SMTP"
    ))
}

/// Judges a negative reply by its code and the first word of its text.
pub(super) fn negative(step: Step, code: u16, text: &str) -> SendFailure {
    let enhanced = enhanced_status(code, text).map(str::to_owned);
    let what = match &enhanced {
        Some(enhanced) => format!("the relay replied to {step} with {code} {enhanced}"),
        None => format!("the relay replied to {step} with {code}"),
    };
    let for_good = step.is_about_the_message() && code >= 500 && !ABOUT_THE_SESSION.contains(&code);
    if for_good {
        let address = step == Step::Recipient || enhanced.as_deref().is_some_and(is_of_recipient);
        SendFailure::Refused {
            what,
            code: Some(code),
            enhanced,
            address,
        }
    } else {
        SendFailure::Passing { what }
    }
}

/// Whether a status blames the recipient's address. Of the address statuses,
/// X.1.7 and X.1.8 are about the sender's (RFC 3463 section 3.2).
fn is_of_recipient(enhanced: &str) -> bool {
    enhanced.starts_with("5.1.") && !matches!(enhanced, "5.1.7" | "5.1.8")
}

/// The status code of RFC 3463 that a reply begins with, if its class agrees
/// with the code. Nothing but digits and dots gets through.
fn enhanced_status(code: u16, text: &str) -> Option<&str> {
    let word = text.split_whitespace().next()?;
    let mut parts = word.split('.');
    let class = parts.next()?;
    let subject = parts.next()?;
    let detail = parts.next()?;
    let number = |part: &str| {
        (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let agrees = class.parse() == Ok(code / 100);
    (agrees && number(class) && number(subject) && number(detail) && parts.next().is_none())
        .then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_5xx_about_the_message_is_for_good() {
        use Step::{Connection, Data, Hello, Login, Message, Recipient, Reset, Sender};
        for (step, code, for_good) in [
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
            let failure = negative(step, code, "5.1.1 no");
            let refused = matches!(failure, SendFailure::Refused { .. });
            assert_eq!(refused, for_good, "{step} {code}");
        }
    }

    #[test]
    fn only_the_recipient_is_an_address_that_is_refused() {
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
            let SendFailure::Refused { address, .. } = negative(step, 554, text) else {
                panic!("{step} {text}");
            };
            assert_eq!(address, expected, "{step} {text}");
        }
    }

    #[test]
    fn the_text_of_a_reply_is_reduced_to_its_status() {
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
            let failure = negative(Step::Recipient, code, text);
            let expected = status.map_or(String::new(), |status| format!(" {status}"));
            assert_eq!(
                failure.to_string(),
                format!("the relay replied to RCPT with {code}{expected}")
            );
        }
    }
}
