//! The plain-text part of a connection that is to be encrypted by STARTTLS.
//!
//! It is spoken here and not by lettre for two reasons: one TLS handshake for
//! both ways of encryption, and lettre keeps bytes that arrived before the
//! handshake and would read them as if they had come encrypted (RFC 3207
//! section 4.2 wants everything learnt before it forgotten).

use std::time::Duration;

use lettre::transport::smtp::extension::ClientId;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::reply::{self, Step, within};
use crate::delivery::mail::SendFailure;

/// More than a greeting and the list of extensions need, in bytes.
const MAX_RECEIVED: usize = 64 * 1024;

/// Brings a fresh connection to where the TLS handshake begins; each step
/// may take as long as `limit`.
///
/// A relay that does not offer STARTTLS is a failure: nothing is sent in
/// plain text instead.
pub(super) async fn ask<S>(
    stream: &mut S,
    hello: &ClientId,
    limit: Duration,
) -> Result<(), SendFailure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut plain = Plain {
        stream,
        unread: Vec::new(),
        budget: MAX_RECEIVED,
    };
    within(limit, Step::Connection, plain.reply(Step::Connection)).await?;
    let hello = format!("EHLO {hello}\r\n");
    let extensions = within(limit, Step::Hello, plain.command(Step::Hello, &hello)).await?;
    if !extensions
        .iter()
        .any(|line| line.eq_ignore_ascii_case("STARTTLS"))
    {
        return Err(SendFailure::passing(
            "the relay does not offer STARTTLS, and nothing is sent unencrypted instead",
        ));
    }
    let command = plain.command(Step::StartTls, "STARTTLS\r\n");
    within(limit, Step::StartTls, command).await?;
    if plain.unread.is_empty() {
        Ok(())
    } else {
        Err(SendFailure::passing(
            "something was slipped in between STARTTLS and the TLS handshake",
        ))
    }
}

struct Plain<'a, S> {
    stream: &'a mut S,
    /// Received, but not yet part of a reply.
    unread: Vec<u8>,
    /// How many bytes may still be received.
    budget: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Plain<'_, S> {
    async fn command(&mut self, step: Step, line: &str) -> Result<Vec<String>, SendFailure> {
        let written = self.stream.write_all(line.as_bytes()).await;
        written.map_err(|error| reply::broken(step, &error))?;
        self.reply(step).await
    }

    /// The lines of one positive reply, without their codes.
    async fn reply(&mut self, step: Step) -> Result<Vec<String>, SendFailure> {
        let mut lines = Vec::new();
        loop {
            let line = self.line(step).await?;
            let Some((code, last, text)) = parse(&line) else {
                return Err(SendFailure::passing(format!(
                    "the relay's reply to {step} is not SMTP"
                )));
            };
            match code {
                200..=299 => lines.push(text.to_owned()),
                400..=599 => return Err(reply::negative(step, code, text)),
                _ => return Err(reply::out_of_place(step, code)),
            }
            if last {
                return Ok(lines);
            }
        }
    }

    async fn line(&mut self, step: Step) -> Result<String, SendFailure> {
        loop {
            if let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(line.trim_ascii_end()).into_owned());
            }
            let read = self.stream.read_buf(&mut self.unread).await;
            let read = read.map_err(|error| reply::broken(step, &error))?;
            if read == 0 {
                return Err(SendFailure::passing(format!("the relay hung up at {step}")));
            }
            self.budget = self.budget.checked_sub(read).ok_or_else(|| {
                SendFailure::passing(format!("the relay's reply to {step} is far too long"))
            })?;
        }
    }
}

/// Splits a line into its code, whether it is the last one, and its text.
fn parse(line: &str) -> Option<(u16, bool, &str)> {
    let (code, rest) = line.split_at_checked(3)?;
    let text = match rest.strip_prefix(['-', ' ']) {
        Some(text) => text,
        None if rest.is_empty() => "",
        None => return None,
    };
    let digits = code.bytes().all(|byte| byte.is_ascii_digit());
    let code = code.parse().ok().filter(|_| digits)?;
    Some((code, !rest.starts_with('-'), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    /// What comes of a relay that sends `replies` one for each step.
    async fn ask_of(replies: &[&str]) -> Result<(), String> {
        let (mut ours, mut theirs) = tokio::io::duplex(1 << 20);
        let replies: Vec<String> = replies.iter().map(|&reply| reply.to_owned()).collect();
        let relay = tokio::spawn(async move {
            let mut heard = [0; 256];
            for (at, reply) in replies.iter().enumerate() {
                if at > 0 && theirs.read(&mut heard).await.is_err() {
                    return;
                }
                if theirs.write_all(reply.as_bytes()).await.is_err() {
                    return;
                }
            }
            // After a whole reply, what it asks for is heard before hanging up.
            if replies.last().is_some_and(|last| last.ends_with('\n')) {
                let _ = theirs.read(&mut heard).await;
            }
        });
        let hello = ClientId::Domain("id.example.com".to_owned());
        let outcome = ask(&mut ours, &hello, LIMIT).await;
        drop(ours);
        relay.await.unwrap();
        outcome.map_err(|failure| {
            assert!(matches!(failure, SendFailure::Passing { .. }));
            failure.to_string()
        })
    }

    const GREETING: &str = "220 relay ready\r\n";
    const OFFER: &str = "250-relay\r\n250-starttls\r\n250 8BITMIME\r\n";

    #[tokio::test]
    async fn an_offer_is_taken_up() {
        let plain = ["220-relay\r\n220 two lines\r\n", OFFER, "220 go ahead\r\n"];
        assert_eq!(ask_of(&plain).await, Ok(()));
        assert_eq!(
            ask_of(&["220\r\n", "250 STARTTLS\r\n", "220\n"]).await,
            Ok(())
        );
    }

    #[tokio::test]
    async fn no_offer_is_a_failure() {
        for hello in ["250 relay\r\n", "250-relay\r\n250 XSTARTTLS\r\n", "250\r\n"] {
            let failure = ask_of(&[GREETING, hello]).await.unwrap_err();
            assert!(failure.contains("does not offer STARTTLS"), "{failure}");
        }
    }

    #[tokio::test]
    async fn bytes_before_the_handshake_are_not_taken_for_encrypted_ones() {
        let injected = "220 go ahead\r\n250 taken\r\n";
        let failure = ask_of(&[GREETING, OFFER, injected]).await.unwrap_err();
        assert!(failure.contains("slipped in"), "{failure}");
    }

    #[tokio::test]
    async fn other_replies_are_failures_that_name_the_step() {
        let endless = "250-x\r\n".repeat(20_000);
        for (replies, part) in [
            (
                vec!["554 5.3.2 go away\r\n"],
                "to the connection with 554 5.3.2",
            ),
            (vec!["hello\r\n"], "the connection is not SMTP"),
            (vec!["22x ready\r\n"], "the connection is not SMTP"),
            (vec!["+20 ready\r\n"], "the connection is not SMTP"),
            (vec!["220_ready\r\n"], "the connection is not SMTP"),
            (vec![GREETING, "502 what\r\n"], "to EHLO with 502"),
            (vec![GREETING, &endless], "far too long"),
            (
                vec![GREETING, OFFER, "454 4.7.0 not now\r\n"],
                "to STARTTLS with 454 4.7.0",
            ),
            (
                vec![GREETING, OFFER, "354 eh\r\n"],
                "with 354, which has no meaning",
            ),
            (
                vec![GREETING, OFFER, "220 no line end"],
                "hung up at STARTTLS",
            ),
            (vec![GREETING], "hung up at EHLO"),
        ] {
            let failure = ask_of(&replies).await.unwrap_err();
            assert!(
                failure.contains(part),
                "{failure:?} should contain {part:?}"
            );
        }
    }
}
