//! The beginning of a connection: the greeting, EHLO or HELO, and STARTTLS.
//!
//! lettre is not used here, because it gives up after a refused EHLO. And it keeps
//! bytes that it received before the handshake of STARTTLS, and would read them as if
//! they were encrypted, while RFC 3207, section 4.2, requires discarding everything
//! learned before the handshake.

use std::time::Duration;

use lettre::transport::smtp::extension::ClientId;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::extensions::{Extensions, Hello};
use super::refusal::StepFailure;
use super::reply::{Class, Reply, ReplyReader};
use super::step::{NoReply, Step, within};
use crate::delivery::mail::SendFailure;
use crate::delivery::masking::Confidential;

/// A connection before lettre takes it over.
pub(super) struct Opening<S> {
    stream: S,
    reader: ReplyReader,
}

/// Why a session could not begin.
pub(super) enum HelloFailure {
    /// The relay closed the connection at EHLO, as some do that know only HELO.
    Closed(StepFailure),
    Other(StepFailure),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Opening<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            reader: ReplyReader::default(),
        }
    }

    /// The stream, and what was received of it and not read.
    pub(super) fn into_parts(self) -> (S, ReplyReader) {
        (self.stream, self.reader)
    }

    /// Reads the greeting.
    pub(super) async fn greeting(&mut self, limit: Duration) -> Result<(), StepFailure> {
        let reply = within(limit, self.reply()).await;
        completed(Step::Connection, reply).map(drop)
    }

    /// Begins the session with EHLO, and with HELO if the relay refuses that (RFC
    /// 5321, sections 3.2 and 4.1.1.1).
    ///
    /// A temporary refusal (4yz) is not one of EHLO: such a relay is busy, or closes.
    pub(super) async fn hello(
        &mut self,
        first: Hello,
        name: &ClientId,
        limit: Duration,
    ) -> Result<Extensions, HelloFailure> {
        if first == Hello::Ehlo {
            let reply = self.command(&Hello::Ehlo.line(name), limit).await;
            match reply {
                Ok(reply) if reply.class() == Class::PermanentNegative => {}
                Err(error @ (NoReply::Closed | NoReply::Io(_))) => {
                    let failure = StepFailure::unanswered(Step::Hello, &error);
                    return Err(HelloFailure::Closed(failure));
                }
                reply => {
                    let reply = completed(Step::Hello, reply).map_err(HelloFailure::Other)?;
                    return Ok(Extensions::parse(&reply));
                }
            }
        }
        let reply = self.command(&Hello::Helo.line(name), limit).await;
        completed(Step::PlainHello, reply).map_err(HelloFailure::Other)?;
        Ok(Extensions::default())
    }

    /// Negotiates STARTTLS on a new connection, up to the TLS handshake. Nothing is
    /// sent in plaintext if the relay does not support it.
    pub(super) async fn start_tls(
        &mut self,
        name: &ClientId,
        limit: Duration,
    ) -> Result<(), StepFailure> {
        let fail = |reason: &str| Err(StepFailure::not_offered(reason));
        let reply = self.command(&Hello::Ehlo.line(name), limit).await;
        let extensions = completed(Step::Hello, reply).map(|reply| Extensions::parse(&reply));
        let extensions = extensions.map_err(StepFailure::without_starttls)?;
        if !extensions.starttls {
            return fail("the relay does not support STARTTLS, and nothing is sent unencrypted");
        }
        let reply = self.command("STARTTLS\r\n", limit).await;
        completed(Step::StartTls, reply)?;
        if self.reader.has_unread() {
            return fail("plaintext received after STARTTLS (possible injection)");
        }
        Ok(())
    }

    async fn command(&mut self, line: &str, limit: Duration) -> Result<Reply, NoReply> {
        within(limit, async {
            self.stream
                .write_all(line.as_bytes())
                .await
                .map_err(NoReply::Io)?;
            self.stream.flush().await.map_err(NoReply::Io)?;
            self.reply().await
        })
        .await
    }

    async fn reply(&mut self) -> Result<Reply, NoReply> {
        let mut received = [0; 4096];
        loop {
            if let Some(reply) = self.reader.next_reply().map_err(NoReply::Malformed)? {
                return Ok(reply);
            }
            let length = self.stream.read(&mut received).await.map_err(NoReply::Io)?;
            if length == 0 {
                return Err(NoReply::Closed);
            }
            self.reader.push(received.get(..length).unwrap_or_default());
        }
    }
}

/// The reply to a step of the opening, which must be positive. No mail is under way
/// yet that it could quote.
fn completed(step: Step, reply: Result<Reply, NoReply>) -> Result<Reply, StepFailure> {
    let reply = reply.map_err(|error| StepFailure::unanswered(step, &error))?;
    match reply.class() {
        Class::Completion => Ok(reply),
        Class::Intermediate => Err(StepFailure::unexpected(step, reply.code())),
        Class::TransientNegative | Class::PermanentNegative => {
            let nothing = Confidential::default();
            Err(StepFailure::refused(step, &reply, false, &nothing))
        }
    }
}

impl StepFailure {
    /// A refused EHLO means HELO, and that has no STARTTLS.
    fn without_starttls(self) -> Self {
        if !self.replied {
            return self;
        }
        let reason = format!(
            "the relay does not offer STARTTLS, and nothing is sent unencrypted: {}",
            self.failure
        );
        Self {
            failure: SendFailure::transient(reason),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    fn name() -> ClientId {
        ClientId::Domain("id.example.com".to_owned())
    }

    /// A relay that sends one of `replies` for the connection and each command, and
    /// returns the commands.
    async fn with_relay<T>(
        replies: &[&str],
        client: impl AsyncFnOnce(Opening<tokio::io::DuplexStream>) -> T,
    ) -> (T, Vec<String>) {
        let (ours, mut theirs) = tokio::io::duplex(1 << 21);
        let replies: Vec<String> = replies.iter().map(|&reply| reply.to_owned()).collect();
        let relay = tokio::spawn(async move {
            let (mut received, mut commands) = ([0; 256], Vec::new());
            for (at, reply) in replies.iter().enumerate() {
                if at > 0 {
                    let length = theirs.read(&mut received).await.unwrap_or_default();
                    commands.push(String::from_utf8_lossy(&received[..length]).into_owned());
                }
                if theirs.write_all(reply.as_bytes()).await.is_err() {
                    break;
                }
            }
            // After a complete reply, the next command is read before closing.
            if replies.last().is_some_and(|last| last.ends_with('\n')) {
                let _ = theirs.read(&mut received).await;
            }
            commands
        });
        let outcome = client(Opening::new(ours)).await;
        (outcome, relay.await.unwrap())
    }

    async fn start_tls_with(replies: &[&str]) -> Result<(), String> {
        let (outcome, _) = with_relay(replies, async |mut opening| {
            opening.greeting(LIMIT).await?;
            opening.start_tls(&name(), LIMIT).await
        })
        .await;
        outcome.map_err(|failure| {
            assert!(matches!(failure.failure, SendFailure::Transient { .. }));
            failure.failure.to_string()
        })
    }

    /// Returns the extensions or the failure, and the commands.
    async fn hello_with(replies: &[&str]) -> (Result<Extensions, String>, Vec<String>) {
        with_relay(replies, async |mut opening| {
            assert!(opening.greeting(LIMIT).await.is_ok());
            let outcome = opening.hello(Hello::Ehlo, &name(), LIMIT).await;
            outcome.map_err(|failure| match failure {
                HelloFailure::Closed(failure) => format!("closed: {}", failure.failure),
                HelloFailure::Other(failure) => failure.failure.to_string(),
            })
        })
        .await
    }

    const GREETING: &str = "220 relay ready\r\n";
    const OFFER: &str = "250-relay\r\n250-starttls\r\n250 8BITMIME\r\n";

    #[tokio::test]
    async fn offered_starttls_is_used() {
        let plain = ["220-relay\r\n220 two lines\r\n", OFFER, "220 go ahead\r\n"];
        assert_eq!(start_tls_with(&plain).await, Ok(()));
        assert_eq!(
            start_tls_with(&["220\r\n", "250 STARTTLS\r\n", "220\n"]).await,
            Ok(())
        );
    }

    #[tokio::test]
    async fn missing_starttls_is_a_failure() {
        for hello in ["250 relay\r\n", "250-relay\r\n250 XSTARTTLS\r\n", "250\r\n"] {
            let failure = start_tls_with(&[GREETING, hello]).await.unwrap_err();
            assert!(failure.contains("does not support STARTTLS"), "{failure}");
        }
        let failure = start_tls_with(&[GREETING, "502 what\r\n"])
            .await
            .unwrap_err();
        assert!(failure.contains("does not offer STARTTLS"), "{failure}");
        assert!(failure.contains("replied 502 to EHLO"), "{failure}");
    }

    #[tokio::test]
    async fn plaintext_after_starttls_is_rejected() {
        let injected = "220 go ahead\r\n250 taken\r\n";
        let failure = start_tls_with(&[GREETING, OFFER, injected])
            .await
            .unwrap_err();
        assert!(failure.contains("plaintext received"), "{failure}");
    }

    /// RFC 5321, sections 3.2 and 4.1.1.1
    #[tokio::test]
    async fn refused_ehlo_is_followed_by_helo() {
        for refusal in [
            "500\r\n",
            "502 5.5.1 what\r\n",
            "504 x\r\n",
            "550 no\r\n",
            "599 x\r\n",
        ] {
            let (outcome, commands) = hello_with(&[GREETING, refusal, "250 relay\r\n"]).await;
            assert_eq!(outcome, Ok(Extensions::default()), "{refusal}");
            assert_eq!(
                commands,
                ["EHLO id.example.com\r\n", "HELO id.example.com\r\n"]
            );
        }
        let (outcome, commands) = hello_with(&[GREETING, "421 4.3.2 busy\r\n"]).await;
        assert_eq!(
            outcome.unwrap_err(),
            "the relay replied 421 4.3.2 to EHLO: \"busy\""
        );
        assert_eq!(commands.len(), 1);
        let (outcome, _) = hello_with(&[GREETING, "550 a\r\n", "550 5.7.1 b\r\n"]).await;
        assert_eq!(
            outcome.unwrap_err(),
            "the relay replied 550 5.7.1 to HELO: \"b\""
        );
        let (outcome, _) = hello_with(&[GREETING, ""]).await;
        assert!(outcome.unwrap_err().starts_with("closed: "));
    }

    #[tokio::test]
    async fn unexpected_reply_names_the_step() {
        let endless = "250-x\r\n".repeat(200_000);
        for (replies, part) in [
            (
                vec!["554 5.3.2 go away\r\n"],
                "replied 554 5.3.2 to the connection",
            ),
            (vec!["hello\r\n"], "the connection request is not SMTP"),
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
            let failure = start_tls_with(&replies).await.unwrap_err();
            assert!(
                failure.contains(part),
                "{failure:?} should contain {part:?}"
            );
        }
    }
}
