//! A connection to the relay, and the SMTP transactions on it.

use std::time::Duration;

use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{MailBodyParameter, MailParameter};
use tokio::net::TcpStream;

use super::connect::connect;
use super::extensions::{Extensions, Hello};
use super::hello::{HelloFailure, Opening};
use super::options::{Relay, Security};
use super::refusal::StepFailure;
use super::reply::{Class, Reply};
use super::session::Session;
use super::step::{NoReply, Step};
use super::stream::Stream;
use crate::delivery::handover::Handover;
use crate::delivery::mail::{Envelope, SendFailure};
use crate::delivery::masking::Confidential;

/// The reply code of a relay that is about to close the connection (RFC 5321,
/// section 3.8).
const SERVICE_CLOSING: u16 = 421;

/// A connection after EHLO, and after AUTH if there is a login.
pub(super) struct Connection {
    session: Session,
    extensions: Extensions,
    has_login: bool,
    state: State,
    limits: Limits,
}

/// How long to wait for replies.
#[derive(Clone, Copy)]
struct Limits {
    /// The first command on a connection that was used before: it may have been lost
    /// meanwhile, and then a fresh one is faster.
    reused: Duration,
    command: Duration,
    /// The end of the message.
    message: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing was sent over it yet.
    Fresh,
    /// A transaction may begin.
    Ready,
    /// A transaction is not finished: RSET must be sent first.
    InTransaction,
    /// A command got no reply (yet), so the state of the relay is unknown.
    Unknown,
}

impl Connection {
    /// Connects, does the TLS handshake, says EHLO or HELO and logs in, as configured.
    pub(super) async fn open(relay: &Relay) -> Result<Self, StepFailure> {
        match Self::open_with(relay, Hello::Ehlo).await {
            Ok(connection) => Ok(connection),
            // Without EHLO there is no login.
            Err(HelloFailure::Closed(failure)) if relay.login.is_none() => {
                let retried = Self::open_with(relay, Hello::Helo).await;
                retried.map_err(|_again| failure)
            }
            Err(HelloFailure::Closed(failure) | HelloFailure::Other(failure)) => Err(failure),
        }
    }

    async fn open_with(relay: &Relay, hello: Hello) -> Result<Self, HelloFailure> {
        let tcp = connect(relay).await?;
        let peer = tcp
            .peer_addr()
            .map_err(|error| StepFailure::unanswered(Step::Connection, &NoReply::Io(error)))?;
        let mut opening = Opening::new(secure(relay, tcp).await?);
        if !matches!(relay.security, Security::StartTls(_)) {
            opening.greeting(relay.greeting_timeout).await?;
        }
        let limit = relay.command_timeout;
        let extensions = opening.hello(hello, &relay.hello, limit).await?;
        let (stream, reader) = opening.into_parts();
        let mut session = Session::new(stream, peer, reader)
            .await
            .map_err(|error| StepFailure::unanswered(Step::Hello, &error))?;
        if let Some(login) = &relay.login {
            let is_encrypted = !matches!(relay.security, Security::None);
            if !is_encrypted && !peer.ip().is_loopback() {
                let reason =
                    "the relay is not on this machine, and the password is not sent unencrypted";
                return Err(StepFailure::other(SendFailure::transient(reason)).into());
            }
            login.log_in(&mut session, &extensions, limit).await?;
        }
        Ok(Self {
            session,
            extensions,
            has_login: relay.login.is_some(),
            state: State::Fresh,
            limits: Limits {
                reused: relay.timeout.min(limit),
                command: limit,
                message: relay.message_timeout,
            },
        })
    }

    /// Whether the connection can be used for the next message.
    pub(super) fn is_usable(&self) -> bool {
        self.state != State::Unknown
    }

    /// Begins a transaction, up to the reply to DATA.
    pub(super) async fn prepare(
        &mut self,
        envelope: &Envelope,
        message: &[u8],
    ) -> Result<(), StepFailure> {
        let confidential = envelope.confidential(message);
        let parameters = self.parameters(envelope, message)?;
        self.begin(envelope, parameters, &confidential).await?;
        let limit = self.limits.command;
        let rcpt = Rcpt::new(envelope.to.clone(), Vec::new());
        self.command((Step::Recipient, limit), rcpt, &confidential)
            .await?;
        self.command((Step::Data, limit), Data, &confidential).await
    }

    /// Sends MAIL, after RSET if a transaction is open. A connection that was used
    /// before may have been lost without a sign: then a fresh one does better.
    async fn begin(
        &mut self,
        envelope: &Envelope,
        parameters: Vec<MailParameter>,
        confidential: &Confidential<'_>,
    ) -> Result<(), StepFailure> {
        let mail = Mail::new(Some(envelope.from.clone()), parameters);
        if self.state == State::Fresh {
            let step = (Step::Sender, self.limits.command);
            return self.command(step, mail, confidential).await;
        }
        let limit = self.limits.reused;
        let begin = async {
            if self.state == State::InTransaction {
                self.command((Step::Reset, limit), Rset, confidential)
                    .await?;
            }
            self.command((Step::Sender, limit), mail, confidential)
                .await
        };
        begin.await.map_err(|failure| StepFailure {
            session: true,
            ..failure
        })
    }

    /// Sends the message, after [`Self::prepare`].
    ///
    /// After the whole message is sent, only a negative reply means that the relay
    /// did not accept it: it may have accepted a message without a reply.
    pub(super) async fn send(
        &mut self,
        envelope: &Envelope,
        message: &[u8],
        handover: &Handover,
    ) -> Result<(), StepFailure> {
        self.state = State::Unknown;
        handover.begin();
        let reply = self.session.message(self.limits.message, message).await;
        let is_refused = reply.as_ref().is_ok_and(Reply::is_negative);
        if is_refused {
            handover.undo();
        }
        let confidential = envelope.confidential(message);
        self.check(Step::Message, reply, &confidential)
            .map_err(|failure| {
                if is_refused {
                    return failure;
                }
                StepFailure {
                    failure: failure.failure.after_whole_message(),
                    session: false,
                    ..failure
                }
            })?;
        self.state = State::Ready;
        Ok(())
    }

    /// Sends QUIT and closes the connection, whatever the reply.
    pub(super) async fn quit(self) {
        self.session.quit().await;
    }

    async fn command(
        &mut self,
        (step, limit): (Step, Duration),
        command: impl std::fmt::Display,
        confidential: &Confidential<'_>,
    ) -> Result<(), StepFailure> {
        self.state = State::Unknown;
        let reply = self.session.command(limit, command).await;
        self.check(step, reply, confidential)
    }

    /// Checks the reply code, and keeps the connection usable if there was a reply
    /// and the relay does not close the connection.
    fn check(
        &mut self,
        step: Step,
        reply: Result<Reply, NoReply>,
        confidential: &Confidential<'_>,
    ) -> Result<(), StepFailure> {
        let reply = reply.map_err(|error| StepFailure::unanswered(step, &error))?;
        let expected = match step {
            Step::Data => Class::Intermediate,
            _ => Class::Completion,
        };
        let is_expected = reply.class() == expected;
        if (is_expected || reply.is_negative()) && reply.code() != SERVICE_CLOSING {
            self.state = State::InTransaction;
        }
        if reply.is_negative() {
            let has_login = self.has_login;
            return Err(StepFailure::refused(step, &reply, has_login, confidential));
        }
        if is_expected {
            Ok(())
        } else {
            Err(StepFailure::unexpected(step, reply.code()))
        }
    }

    /// The MAIL parameters that the message requires.
    fn parameters(
        &self,
        envelope: &Envelope,
        message: &[u8],
    ) -> Result<Vec<MailParameter>, StepFailure> {
        let not_supported = |reason: &str, enhanced: &str| {
            StepFailure::other(SendFailure::Permanent {
                reason: reason.to_owned(),
                code: None,
                enhanced: Some(enhanced.to_owned()),
                address: false,
            })
        };
        let is_ascii = |address: &lettre::Address| AsRef::<str>::as_ref(address).is_ascii();
        let mut parameters = Vec::new();
        if !(is_ascii(&envelope.from) && is_ascii(&envelope.to)) {
            if !self.extensions.smtp_utf8 {
                return Err(not_supported(
                    "the address is not ASCII, and the relay does not support SMTPUTF8",
                    "5.6.7",
                ));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        if !message.is_ascii() {
            if !self.extensions.eight_bit_mime {
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

/// Does the TLS handshake, after STARTTLS if that is configured.
async fn secure(relay: &Relay, tcp: TcpStream) -> Result<Box<dyn Stream>, StepFailure> {
    let limit = relay.greeting_timeout;
    Ok(match &relay.security {
        Security::None => Box::new(tcp),
        Security::StartTls(tls) => {
            let mut plain = Opening::new(tcp);
            plain.greeting(limit).await?;
            plain.start_tls(&relay.hello, relay.command_timeout).await?;
            let (tcp, _nothing_unread) = plain.into_parts();
            Box::new(tls.handshake(tcp, limit).await?)
        }
        // A busy relay may be as slow with the handshake as with the greeting.
        Security::Tls(tls) => Box::new(tls.handshake(tcp, limit).await?),
    })
}

impl From<StepFailure> for HelloFailure {
    fn from(failure: StepFailure) -> Self {
        Self::Other(failure)
    }
}
