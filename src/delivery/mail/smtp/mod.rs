//! Sends mail to a relay over SMTP (RFC 5321).
//!
//! lettre implements the commands. Connections, TLS, the beginning of a session, the
//! parsing of replies and the pool are implemented here: lettre's pool has no upper
//! bound and does not disable Nagle's algorithm, and its parser rejects replies that
//! relays send ([`stream`]).

mod connect;
mod connection;
mod extensions;
mod health;
mod hello;
mod login;
mod options;
mod phrases;
mod pool;
mod refusal;
mod reply;
mod session;
mod step;
mod stream;
mod tls;

#[cfg(test)]
mod tests;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, join_all, select};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

pub use self::health::{RelayHealth, RelayTrouble};

use self::connection::Connection;
use self::options::Relay;
use self::pool::Pool;
use self::refusal::StepFailure;
use super::{Envelope, SendFailure, TransportError};
use crate::config::Smtp;
use crate::delivery::breaker::{AttemptOutcome, Breakers};
use crate::delivery::handover::Handover;
use crate::outgoing::Dns;

/// Sends messages to a relay, several at a time, over pooled connections.
pub struct SmtpTransport {
    relay: Relay,
    pool: Pool,
    health: Arc<RelayHealth>,
    /// Leaves a relay alone that does not work.
    breakers: Option<Breakers>,
    /// One permit for each connection in use. Idle connections need none: a new
    /// connection is opened only if none is idle, so there are never more
    /// connections than permits.
    permits: Semaphore,
}

/// A message to send.
#[derive(Clone, Copy)]
struct Mail<'a> {
    envelope: &'a Envelope,
    message: &'a [u8],
    handover: &'a Handover,
}

/// A connection to send a message over.
enum Connected {
    /// Nothing was sent over it yet.
    Fresh(Connection),
    /// Other messages were.
    Idle(Connection),
}

impl fmt::Debug for SmtpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpTransport")
            .field("host", &self.relay.host)
            .field("port", &self.relay.port)
            .finish_non_exhaustive()
    }
}

impl SmtpTransport {
    /// Validates the settings and loads the trust anchors. It does not connect: a
    /// relay that is unreachable at start is a transient failure later.
    ///
    /// # Errors
    ///
    /// A setting cannot work; [`TransportError`] says which.
    pub(crate) fn new(smtp: &Smtp, dns: Dns) -> Result<Self, TransportError> {
        Ok(Self {
            relay: Relay::new(smtp, dns)?,
            pool: Pool::new(smtp.idle_timeout),
            health: Arc::new(RelayHealth::new(&smtp.host, smtp.port)),
            breakers: None,
            permits: Semaphore::new(smtp.max_connections.min(Semaphore::MAX_PERMITS)),
        })
    }

    /// Leaves the relay alone while it does not work.
    pub(super) fn set_breakers(&mut self, breakers: Breakers) {
        self.breakers = Some(breakers);
    }

    /// What is known of the relay.
    pub(super) fn health(&self) -> Arc<RelayHealth> {
        Arc::clone(&self.health)
    }

    /// Notes that a message has had no outcome for so long.
    pub(super) fn note_slow(&self, waited: Duration) {
        self.health.record_slow(waited);
    }

    /// Sends a message once a connection is free.
    pub(super) async fn send(
        &self,
        envelope: &Envelope,
        message: &[u8],
        handover: &Handover,
    ) -> Result<(), SendFailure> {
        let Ok(_permit) = self.permits.acquire().await else {
            return Err(SendFailure::transient("the mail transport is closed"));
        };
        let breakers = self.breakers.as_ref();
        let attempt = breakers.map(|breakers| breakers.enter(self.health.name()));
        let attempt = attempt
            .transpose()
            .map_err(|pause| SendFailure::Paused { pause })?;
        let outcome = self
            .deliver(Mail {
                envelope,
                message,
                handover,
            })
            .await;
        self.health.record(&outcome);
        if let Some(attempt) = attempt {
            attempt.end(says_of_relay(&outcome));
        }
        outcome.map_err(|failure| failure.failure)
    }

    /// Sends a message over a pooled connection, or a fresh one.
    ///
    /// The relay may have closed a pooled connection, or refuse a mail because of what
    /// happened before on it (RFC 5321, section 4.5.3.1.10). As long as it has not
    /// accepted the message, that is tried over a fresh connection at once, before the
    /// recipient is blamed.
    async fn deliver(&self, mail: Mail<'_>) -> Result<(), StepFailure> {
        let deadline = Instant::now() + self.relay.prepare_limit;
        let mut pooled = self.pool.take();
        loop {
            if let Some(pooled) = pooled.take() {
                match self.deliver_over(pooled, mail, deadline).await {
                    Err(failure) if failure.session => {}
                    outcome => return outcome,
                }
            }
            let connecting = Box::pin(self.connect());
            let connected = timeout_at(deadline, connecting)
                .await
                .unwrap_or_else(|_elapsed| Err(self.too_slow()));
            match connected? {
                Connected::Fresh(fresh) => {
                    return self.deliver_over(fresh, mail, deadline).await;
                }
                Connected::Idle(idle) => pooled = Some(idle),
            }
        }
    }

    /// Opens a connection. If that takes long, since a relay may take minutes to greet, a
    /// connection that becomes idle meanwhile does as well.
    async fn connect(&self) -> Result<Connected, StepFailure> {
        let mut opening = pin!(Connection::open(&self.relay));
        if let Ok(opened) = timeout(self.relay.timeout, &mut opening).await {
            return opened.map(Connected::Fresh);
        }
        match select(opening, pin!(self.pool.next_idle())).await {
            Either::Left((opened, _)) => opened.map(Connected::Fresh),
            Either::Right((idle, _)) => Ok(Connected::Idle(idle)),
        }
    }

    async fn deliver_over(
        &self,
        mut connection: Connection,
        mail: Mail<'_>,
        deadline: Instant,
    ) -> Result<(), StepFailure> {
        let Mail {
            envelope,
            message,
            handover,
        } = mail;
        let preparing = connection.prepare(envelope, message);
        let outcome = match timeout_at(deadline, preparing).await {
            Ok(Ok(())) => connection.send(envelope, message, handover).await,
            Ok(Err(failure)) => Err(failure),
            Err(_elapsed) => Err(self.too_slow()),
        };
        let is_at_fault = outcome.as_ref().is_err_and(|failure| failure.session);
        if connection.is_usable() && is_at_fault {
            connection.quit().await;
        } else {
            self.pool.put(connection);
        }
        outcome
    }

    /// Every reply came just in time, but together they took too long. Nothing of the
    /// message was sent.
    fn too_slow(&self) -> StepFailure {
        let limit = self.relay.prepare_limit;
        StepFailure::other(SendFailure::transient(format!(
            "the relay did not get to the message within {limit:?}"
        )))
    }

    /// Closes the connections that have been idle for too long.
    pub(super) async fn close_idle(&self) {
        join_all(self.pool.take_expired().into_iter().map(Connection::quit)).await;
    }

    /// Closes all idle connections.
    pub(super) async fn close(&self) {
        join_all(self.pool.take_all().into_iter().map(Connection::quit)).await;
    }
}

/// What the outcome of a message says of the relay. A reply about the message says that
/// it works; a temporary one, as of greylisting, or a mistake of the configuration says
/// nothing.
fn says_of_relay(outcome: &Result<(), StepFailure>) -> AttemptOutcome {
    match outcome {
        Ok(()) => AttemptOutcome::Works,
        Err(failure) if failure.outage => AttemptOutcome::Fails,
        Err(failure) => match failure.failure {
            SendFailure::Permanent { .. } => AttemptOutcome::Works,
            _ => AttemptOutcome::Unknown,
        },
    }
}
