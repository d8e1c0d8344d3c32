//! One connection to the relay, and the conversation that hands a message over.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use lettre::transport::smtp::authentication::Mechanism;
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::{Response, Severity};
use lettre::transport::smtp::{self as lettre_smtp};
use tokio::net::{TcpStream, lookup_host};

use super::options::{Relay, Security};
use super::reply::{self, Step, within};
use super::starttls;
use super::tls::Encrypted;
use crate::delivery::mail::{Envelope, SendFailure};

/// The logins that are spoken, the preferred one first.
const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];

/// The reply with which a relay announces that it hangs up (RFC 5321 3.8).
const CLOSING: u16 = 421;

/// A connection after its hello, and after the login if there is one.
pub(super) struct Connection {
    smtp: AsyncSmtpConnection,
    state: State,
    /// For each step but the end of a message.
    limit: Duration,
    /// For the end of a message.
    message_limit: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The next message may begin.
    Ready,
    /// A message was begun and not finished: RSET comes first.
    BeginOutcome,
    /// A command got no reply (yet), so that nobody knows what comes next.
    Lost,
}

impl Connection {
    /// Connects, encrypts, greets and logs in, as the relay is configured.
    pub(super) async fn open(relay: &Relay) -> Result<Self, SendFailure> {
        let limit = relay.timeout;
        let mut tcp = dial(relay).await?;
        // Without it the end of every message waits for a delayed
        // acknowledgement, 40 ms each.
        tcp.set_nodelay(true)
            .map_err(|error| reply::broken(Step::Connection, &error))?;
        let in_the_clear = matches!(relay.security, Security::None);
        let nearby = tcp.peer_addr().is_ok_and(|peer| peer.ip().is_loopback());
        let stream: Box<dyn AsyncTokioStream> = match &relay.security {
            Security::None => Box::new(tcp),
            Security::StartTls(tls) => {
                starttls::ask(&mut tcp, &relay.hello, limit).await?;
                // Stands for the greeting, which was read already.
                Box::new(Encrypted::new(tls.shake(tcp, limit).await?, b"220 \r\n"))
            }
            Security::Tls(tls) => Box::new(Encrypted::new(tls.shake(tcp, limit).await?, b"")),
        };
        let mut smtp = greet(relay, stream).await?;
        if let Some(credentials) = &relay.credentials {
            if in_the_clear && !nearby {
                return Err(SendFailure::passing(
                    "the relay is not on this machine, and the password is not sent unencrypted",
                ));
            }
            answered(limit, Step::Login, smtp.auth(&MECHANISMS, credentials)).await?;
        }
        Ok(Self {
            smtp,
            state: State::Ready,
            limit,
            message_limit: relay.message_timeout,
        })
    }

    /// Whether the next message may use it.
    pub(super) fn is_usable(&self) -> bool {
        self.state != State::Lost
    }

    /// Whether the relay waits for a message to begin.
    pub(super) fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    /// Names the sender. A failure that leaves the connection ready is about
    /// the message, and nothing was sent.
    pub(super) async fn begin(
        &mut self,
        envelope: &Envelope,
        message: &[u8],
    ) -> Result<(), SendFailure> {
        if self.state == State::BeginOutcome {
            self.command(Step::Reset, Rset).await?;
            self.state = State::Ready;
        }
        let parameters = self.parameters(envelope, message)?;
        let mail = Mail::new(Some(envelope.from.clone()), parameters);
        self.command(Step::Sender, mail).await
    }

    /// Names the recipient and hands the message over, after [`Self::begin`].
    ///
    /// The relay may take its time over the whole message, and may have taken
    /// it even if its reply never comes: only a negative reply says that it
    /// was not taken.
    pub(super) async fn finish(
        &mut self,
        envelope: &Envelope,
        message: &[u8],
    ) -> Result<(), SendFailure> {
        let rcpt = Rcpt::new(envelope.to.clone(), Vec::new());
        self.command(Step::Recipient, rcpt).await?;
        self.command(Step::Data, Data).await?;
        // lettre ends a message with a line end of its own.
        let message = message.strip_suffix(b"\r\n").unwrap_or(message);
        self.state = State::Lost;
        let sent = self.smtp.message(message);
        let reply = answered(self.message_limit, Step::Message, sent).await;
        let told = matches!(&reply, Err(unanswered) if unanswered.code.is_some());
        let settled = self.settle(Step::Message, reply);
        settled.map_err(|failure| {
            if told {
                failure
            } else {
                failure.after_the_message()
            }
        })?;
        self.state = State::Ready;
        Ok(())
    }

    /// Takes leave; whether the relay hears it does not matter.
    pub(super) async fn quit(mut self) {
        let _ = answered(self.limit, Step::Quit, self.smtp.quit()).await;
    }

    async fn command(
        &mut self,
        step: Step,
        command: impl std::fmt::Display,
    ) -> Result<(), SendFailure> {
        self.state = State::Lost;
        let reply = answered(self.limit, step, self.smtp.command(command)).await;
        self.settle(step, reply)
    }

    /// Takes a reply for what it is, and keeps the connection if there was
    /// one and the relay did not hang up with it.
    fn settle(
        &mut self,
        step: Step,
        reply: Result<Response, Unanswered>,
    ) -> Result<(), SendFailure> {
        let reply = match reply {
            Ok(reply) => reply,
            Err(Unanswered { failure, code }) => {
                if code.is_some_and(|code| code != CLOSING) {
                    self.state = State::BeginOutcome;
                }
                return Err(failure);
            }
        };
        let awaited = match step {
            Step::Data => Severity::PositiveIntermediate,
            _ => Severity::PositiveCompletion,
        };
        if reply.code().severity != awaited {
            return Err(reply::out_of_place(step, reply.code().into()));
        }
        self.state = State::BeginOutcome;
        Ok(())
    }

    /// The parameters of MAIL that this message needs.
    fn parameters(
        &self,
        envelope: &Envelope,
        message: &[u8],
    ) -> Result<Vec<MailParameter>, SendFailure> {
        let refused = |what: &str, enhanced: &str| SendFailure::Refused {
            what: what.to_owned(),
            code: None,
            enhanced: Some(enhanced.to_owned()),
            address: false,
        };
        let offers = |extension| self.smtp.server_info().supports_feature(extension);
        let ascii = |address: &lettre::Address| AsRef::<str>::as_ref(address).is_ascii();
        let mut parameters = Vec::new();
        if !(ascii(&envelope.from) && ascii(&envelope.to)) {
            if !offers(Extension::SmtpUtfEight) {
                return Err(refused(
                    "the address is not ASCII, and the relay does not offer SMTPUTF8",
                    "5.6.7",
                ));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        if !message.is_ascii() {
            if !offers(Extension::EightBitMime) {
                return Err(refused(
                    "the message is not ASCII, and the relay does not offer 8BITMIME",
                    "5.6.3",
                ));
            }
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        Ok(parameters)
    }
}

/// Tries every address of the relay's host in turn.
async fn dial(relay: &Relay) -> Result<TcpStream, SendFailure> {
    let unknown = |error: std::io::Error| {
        SendFailure::passing(format!("the relay's host was not found: {error}"))
    };
    let addresses = within(relay.timeout, Step::Connection, async {
        let found = lookup_host((relay.host.as_str(), relay.port)).await;
        found.map_err(unknown)
    })
    .await?;
    let mut failure = SendFailure::passing("the relay's host has no address");
    for address in addresses {
        let attempt = within(relay.timeout, Step::Connection, async {
            let connected = TcpStream::connect(address).await;
            connected.map_err(|error| reply::broken(Step::Connection, &error))
        });
        match attempt.await {
            Ok(tcp) => return Ok(tcp),
            Err(why) => failure = why,
        }
    }
    Err(failure)
}

/// Reads the greeting and says hello.
async fn greet(
    relay: &Relay,
    stream: Box<dyn AsyncTokioStream>,
) -> Result<AsyncSmtpConnection, SendFailure> {
    let greeted = AsyncSmtpConnection::connect_with_transport(stream, &relay.hello);
    // lettre 0.11 panics on a blank line in the reply to EHLO.
    let greeted = AssertUnwindSafe(answered(relay.timeout, Step::Hello, greeted)).catch_unwind();
    match greeted.await {
        Ok(outcome) => Ok(outcome?),
        Err(_panic) => Err(SendFailure::passing(
            "the relay's reply to EHLO is not SMTP",
        )),
    }
}

/// No positive reply; the code if there was a negative one.
struct Unanswered {
    failure: SendFailure,
    code: Option<u16>,
}

impl From<Unanswered> for SendFailure {
    fn from(unanswered: Unanswered) -> Self {
        unanswered.failure
    }
}

/// Waits for lettre, not longer than `limit`.
async fn answered<T>(
    limit: Duration,
    step: Step,
    work: impl Future<Output = Result<T, lettre_smtp::Error>>,
) -> Result<T, Unanswered> {
    let mut code = None;
    let outcome = within(limit, step, async {
        work.await.map_err(|error| {
            code = error.status().map(u16::from);
            reply::failure(step, &error)
        })
    })
    .await;
    outcome.map_err(|failure| Unanswered { failure, code })
}
