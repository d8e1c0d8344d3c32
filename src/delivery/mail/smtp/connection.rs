//! A connection to the relay, and the SMTP transactions on it.

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

/// The supported AUTH mechanisms, the preferred one first.
const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];

/// The reply code of a relay that is about to close the connection (RFC 5321,
/// section 3.8).
const SERVICE_CLOSING: u16 = 421;

/// A connection after EHLO, and after AUTH if there is a login.
pub(super) struct Connection {
    smtp: AsyncSmtpConnection,
    state: State,
    /// The time limit of each step but the end of the message.
    timeout: Duration,
    /// The time limit of the reply to the end of the message.
    message_timeout: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// A transaction may begin.
    Ready,
    /// A transaction is not finished: RSET must be sent first.
    InTransaction,
    /// A command got no reply (yet), so the state of the relay is unknown.
    Unknown,
}

impl Connection {
    /// Connects, does the TLS handshake, sends EHLO and logs in, as configured.
    pub(super) async fn open(relay: &Relay) -> Result<Self, SendFailure> {
        let timeout = relay.timeout;
        let mut tcp = connect(relay).await?;
        // Otherwise the end of every message waits 40 ms for a delayed
        // acknowledgement.
        tcp.set_nodelay(true)
            .map_err(|error| reply::io_failure(Step::Connection, &error))?;
        let is_encrypted = !matches!(relay.security, Security::None);
        let is_loopback = tcp.peer_addr().is_ok_and(|peer| peer.ip().is_loopback());
        let stream: Box<dyn AsyncTokioStream> = match &relay.security {
            Security::None => Box::new(tcp),
            Security::StartTls(tls) => {
                starttls::negotiate(&mut tcp, &relay.hello, timeout).await?;
                // Replaces the greeting, which was read before the handshake.
                let greeting = b"220 \r\n";
                Box::new(Encrypted::new(tls.handshake(tcp, timeout).await?, greeting))
            }
            Security::Tls(tls) => Box::new(Encrypted::new(tls.handshake(tcp, timeout).await?, b"")),
        };
        let mut smtp = say_hello(relay, stream).await?;
        if let Some(credentials) = &relay.credentials {
            if !is_encrypted && !is_loopback {
                return Err(SendFailure::transient(
                    "the relay is not on this machine, and the password is not sent unencrypted",
                ));
            }
            positive_reply(timeout, Step::Login, smtp.auth(&MECHANISMS, credentials)).await?;
        }
        Ok(Self {
            smtp,
            state: State::Ready,
            timeout,
            message_timeout: relay.message_timeout,
        })
    }

    /// Whether the connection can be used for the next message.
    pub(super) fn is_usable(&self) -> bool {
        self.state != State::Unknown
    }

    /// Whether no transaction is open.
    pub(super) fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    /// Begins a transaction with MAIL. A failure that leaves the connection ready
    /// concerns the message, and MAIL was not sent.
    pub(super) async fn begin(
        &mut self,
        envelope: &Envelope,
        message: &[u8],
    ) -> Result<(), SendFailure> {
        if self.state == State::InTransaction {
            self.command(Step::Reset, Rset).await?;
            self.state = State::Ready;
        }
        let parameters = self.parameters(envelope, message)?;
        let mail = Mail::new(Some(envelope.from.clone()), parameters);
        self.command(Step::Sender, mail).await
    }

    /// Sends the recipient and the message, after [`Self::begin`].
    ///
    /// After the whole message is sent, only a negative reply means that the relay
    /// did not accept it: it may have accepted a message without a reply.
    pub(super) async fn finish(
        &mut self,
        envelope: &Envelope,
        message: &[u8],
    ) -> Result<(), SendFailure> {
        let rcpt = Rcpt::new(envelope.to.clone(), Vec::new());
        self.command(Step::Recipient, rcpt).await?;
        self.command(Step::Data, Data).await?;
        // lettre appends a line end to the message.
        let message = message.strip_suffix(b"\r\n").unwrap_or(message);
        self.state = State::Unknown;
        let send = self.smtp.message(message);
        let reply = positive_reply(self.message_timeout, Step::Message, send).await;
        let is_rejected = reply.as_ref().is_err_and(|error| error.code.is_some());
        self.check_reply(Step::Message, reply).map_err(|failure| {
            if is_rejected {
                failure
            } else {
                failure.after_whole_message()
            }
        })?;
        self.state = State::Ready;
        Ok(())
    }

    /// Sends QUIT and closes the connection, whatever the reply.
    pub(super) async fn quit(mut self) {
        let _ = positive_reply(self.timeout, Step::Quit, self.smtp.quit()).await;
    }

    async fn command(
        &mut self,
        step: Step,
        command: impl std::fmt::Display,
    ) -> Result<(), SendFailure> {
        self.state = State::Unknown;
        let reply = positive_reply(self.timeout, step, self.smtp.command(command)).await;
        self.check_reply(step, reply)
    }

    /// Checks the reply code, and keeps the connection usable if there was a reply
    /// and the relay does not close the connection.
    fn check_reply(
        &mut self,
        step: Step,
        reply: Result<Response, NoPositiveReply>,
    ) -> Result<(), SendFailure> {
        let reply = match reply {
            Ok(reply) => reply,
            Err(NoPositiveReply { failure, code }) => {
                if code.is_some_and(|code| code != SERVICE_CLOSING) {
                    self.state = State::InTransaction;
                }
                return Err(failure);
            }
        };
        let expected = match step {
            Step::Data => Severity::PositiveIntermediate,
            _ => Severity::PositiveCompletion,
        };
        if reply.code().severity != expected {
            return Err(reply::unexpected_reply(step, reply.code().into()));
        }
        self.state = State::InTransaction;
        Ok(())
    }

    /// The MAIL parameters that the message requires.
    fn parameters(
        &self,
        envelope: &Envelope,
        message: &[u8],
    ) -> Result<Vec<MailParameter>, SendFailure> {
        let not_supported = |reason: &str, enhanced: &str| SendFailure::Permanent {
            reason: reason.to_owned(),
            code: None,
            enhanced: Some(enhanced.to_owned()),
            address: false,
        };
        let supports = |extension| self.smtp.server_info().supports_feature(extension);
        let is_ascii = |address: &lettre::Address| AsRef::<str>::as_ref(address).is_ascii();
        let mut parameters = Vec::new();
        if !(is_ascii(&envelope.from) && is_ascii(&envelope.to)) {
            if !supports(Extension::SmtpUtfEight) {
                return Err(not_supported(
                    "the address is not ASCII, and the relay does not support SMTPUTF8",
                    "5.6.7",
                ));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        if !message.is_ascii() {
            if !supports(Extension::EightBitMime) {
                return Err(not_supported(
                    "the message is not ASCII, and the relay does not support 8BITMIME",
                    "5.6.3",
                ));
            }
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        Ok(parameters)
    }
}

/// Connects to the first reachable address of the relay's host.
async fn connect(relay: &Relay) -> Result<TcpStream, SendFailure> {
    let addresses = within(relay.timeout, Step::Connection, async {
        lookup_host((relay.host.as_str(), relay.port))
            .await
            .map_err(|error| {
                SendFailure::transient(format!("cannot resolve the host of the relay: {error}"))
            })
    })
    .await?;
    let mut last_failure = SendFailure::transient("the host of the relay has no address");
    for address in addresses {
        let connection = within(relay.timeout, Step::Connection, async {
            TcpStream::connect(address)
                .await
                .map_err(|error| reply::io_failure(Step::Connection, &error))
        });
        match connection.await {
            Ok(tcp) => return Ok(tcp),
            Err(failure) => last_failure = failure,
        }
    }
    Err(last_failure)
}

/// Reads the greeting and sends EHLO.
async fn say_hello(
    relay: &Relay,
    stream: Box<dyn AsyncTokioStream>,
) -> Result<AsyncSmtpConnection, SendFailure> {
    let hello = AsyncSmtpConnection::connect_with_transport(stream, &relay.hello);
    // lettre 0.11 panics on a blank line in the reply to EHLO.
    match AssertUnwindSafe(positive_reply(relay.timeout, Step::Hello, hello))
        .catch_unwind()
        .await
    {
        Ok(outcome) => Ok(outcome?),
        Err(_panic) => Err(SendFailure::transient(
            "the reply of the relay to EHLO is not SMTP",
        )),
    }
}

/// There was no positive reply. Has the code of a negative reply.
struct NoPositiveReply {
    failure: SendFailure,
    code: Option<u16>,
}

impl From<NoPositiveReply> for SendFailure {
    fn from(error: NoPositiveReply) -> Self {
        error.failure
    }
}

/// Runs a step of lettre within a time limit.
async fn positive_reply<T>(
    timeout: Duration,
    step: Step,
    work: impl Future<Output = Result<T, lettre_smtp::Error>>,
) -> Result<T, NoPositiveReply> {
    let mut code = None;
    within(timeout, step, async {
        work.await.map_err(|error| {
            code = error.status().map(u16::from);
            reply::failure(step, &error)
        })
    })
    .await
    .map_err(|failure| NoPositiveReply { failure, code })
}
