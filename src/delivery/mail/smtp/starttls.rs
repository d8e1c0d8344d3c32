//! The plaintext part of a connection with STARTTLS.
//!
//! lettre is not used here for two reasons. TLS and STARTTLS share one handshake
//! implementation. And lettre keeps bytes that it received before the handshake,
//! and would read them as if they were encrypted, while RFC 3207, section 4.2,
//! requires discarding everything learned before the handshake.

use std::time::Duration;

use lettre::transport::smtp::extension::ClientId;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::reply::{self, Step, within};
use crate::delivery::mail::SendFailure;

/// The maximum number of bytes received before the handshake. A greeting and a
/// list of extensions are shorter.
const MAX_RECEIVED: usize = 64 * 1024;

/// Negotiates STARTTLS on a new connection, up to the TLS handshake. `timeout`
/// applies to each step.
///
/// It fails if the relay does not support STARTTLS: nothing is sent in plaintext
/// instead.
pub(super) async fn negotiate<S>(
    stream: &mut S,
    hello: &ClientId,
    timeout: Duration,
) -> Result<(), SendFailure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut plain = Plain {
        stream,
        unread: Vec::new(),
        budget: MAX_RECEIVED,
    };
    within(timeout, Step::Connection, plain.reply(Step::Connection)).await?;
    let hello = format!("EHLO {hello}\r\n");
    let extensions = within(timeout, Step::Hello, plain.command(Step::Hello, &hello)).await?;
    if !extensions
        .iter()
        .any(|line| line.eq_ignore_ascii_case("STARTTLS"))
    {
        return Err(SendFailure::transient(
            "the relay does not support STARTTLS, and nothing is sent unencrypted",
        ));
    }
    let command = plain.command(Step::StartTls, "STARTTLS\r\n");
    within(timeout, Step::StartTls, command).await?;
    if plain.unread.is_empty() {
        Ok(())
    } else {
        Err(SendFailure::transient(
            "plaintext received after STARTTLS (possible injection)",
        ))
    }
}

struct Plain<'a, S> {
    stream: &'a mut S,
    /// Bytes that were received but not parsed yet.
    unread: Vec<u8>,
    /// How many bytes may still be received.
    budget: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Plain<'_, S> {
    async fn command(&mut self, step: Step, line: &str) -> Result<Vec<String>, SendFailure> {
        self.stream
            .write_all(line.as_bytes())
            .await
            .map_err(|error| reply::io_failure(step, &error))?;
        self.reply(step).await
    }

    /// Reads a positive reply: its lines without their codes.
    async fn reply(&mut self, step: Step) -> Result<Vec<String>, SendFailure> {
        let mut lines = Vec::new();
        loop {
            let line = self.line(step).await?;
            let Some((code, is_last, text)) = parse(&line) else {
                return Err(SendFailure::transient(format!(
                    "the reply of the relay to {step} is not SMTP"
                )));
            };
            match code {
                200..=299 => lines.push(text.to_owned()),
                400..=599 => return Err(reply::negative_reply(step, code, text)),
                _ => return Err(reply::unexpected_reply(step, code)),
            }
            if is_last {
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
            let received = self
                .stream
                .read_buf(&mut self.unread)
                .await
                .map_err(|error| reply::io_failure(step, &error))?;
            if received == 0 {
                return Err(SendFailure::transient(format!(
                    "the relay closed the connection at {step}"
                )));
            }
            self.budget = self.budget.checked_sub(received).ok_or_else(|| {
                SendFailure::transient(format!("the reply of the relay to {step} is too long"))
            })?;
        }
    }
}

/// Splits a line of a reply into its code, whether it is the last line, and its
/// text.
fn parse(line: &str) -> Option<(u16, bool, &str)> {
    let (code, rest) = line.split_at_checked(3)?;
    let text = match rest.strip_prefix(['-', ' ']) {
        Some(text) => text,
        None if rest.is_empty() => "",
        None => return None,
    };
    let has_digits_only = code.bytes().all(|byte| byte.is_ascii_digit());
    let code = code.parse().ok().filter(|_| has_digits_only)?;
    Some((code, !rest.starts_with('-'), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);

    /// Negotiates with a relay that sends one of `replies` for each step.
    async fn negotiate_with(replies: &[&str]) -> Result<(), String> {
        let (mut ours, mut theirs) = tokio::io::duplex(1 << 20);
        let replies: Vec<String> = replies.iter().map(|&reply| reply.to_owned()).collect();
        let relay = tokio::spawn(async move {
            let mut received = [0; 256];
            for (at, reply) in replies.iter().enumerate() {
                if at > 0 && theirs.read(&mut received).await.is_err() {
                    return;
                }
                if theirs.write_all(reply.as_bytes()).await.is_err() {
                    return;
                }
            }
            // After a complete reply, the next command is read before closing.
            if replies.last().is_some_and(|last| last.ends_with('\n')) {
                let _ = theirs.read(&mut received).await;
            }
        });
        let hello = ClientId::Domain("id.example.com".to_owned());
        let outcome = negotiate(&mut ours, &hello, TIMEOUT).await;
        drop(ours);
        relay.await.unwrap();
        outcome.map_err(|failure| {
            assert!(matches!(failure, SendFailure::Transient { .. }));
            failure.to_string()
        })
    }

    const GREETING: &str = "220 relay ready\r\n";
    const OFFER: &str = "250-relay\r\n250-starttls\r\n250 8BITMIME\r\n";

    #[tokio::test]
    async fn offered_starttls_is_used() {
        let plain = ["220-relay\r\n220 two lines\r\n", OFFER, "220 go ahead\r\n"];
        assert_eq!(negotiate_with(&plain).await, Ok(()));
        assert_eq!(
            negotiate_with(&["220\r\n", "250 STARTTLS\r\n", "220\n"]).await,
            Ok(())
        );
    }

    #[tokio::test]
    async fn missing_starttls_is_a_failure() {
        for hello in ["250 relay\r\n", "250-relay\r\n250 XSTARTTLS\r\n", "250\r\n"] {
            let failure = negotiate_with(&[GREETING, hello]).await.unwrap_err();
            assert!(failure.contains("does not support STARTTLS"), "{failure}");
        }
    }

    #[tokio::test]
    async fn plaintext_after_starttls_is_rejected() {
        let injected = "220 go ahead\r\n250 taken\r\n";
        let failure = negotiate_with(&[GREETING, OFFER, injected])
            .await
            .unwrap_err();
        assert!(failure.contains("plaintext received"), "{failure}");
    }

    #[tokio::test]
    async fn unexpected_reply_names_the_step() {
        let endless = "250-x\r\n".repeat(20_000);
        for (replies, part) in [
            (
                vec!["554 5.3.2 go away\r\n"],
                "replied 554 5.3.2 to the connection",
            ),
            (vec!["hello\r\n"], "the connection request is not SMTP"),
            (vec!["22x ready\r\n"], "the connection request is not SMTP"),
            (vec!["+20 ready\r\n"], "the connection request is not SMTP"),
            (vec!["220_ready\r\n"], "the connection request is not SMTP"),
            (vec![GREETING, "502 what\r\n"], "replied 502 to EHLO"),
            (vec![GREETING, &endless], "too long"),
            (
                vec![GREETING, OFFER, "454 4.7.0 not now\r\n"],
                "replied 454 4.7.0 to STARTTLS",
            ),
            (
                vec![GREETING, OFFER, "354 eh\r\n"],
                "unexpected reply 354 to STARTTLS",
            ),
            (
                vec![GREETING, OFFER, "220 no line end"],
                "closed the connection at STARTTLS",
            ),
            (vec![GREETING], "closed the connection at EHLO"),
        ] {
            let failure = negotiate_with(&replies).await.unwrap_err();
            assert!(
                failure.contains(part),
                "{failure:?} should contain {part:?}"
            );
        }
    }
}
