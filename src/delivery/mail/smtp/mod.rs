//! Sends mail to a relay over SMTP (RFC 5321).
//!
//! lettre implements the commands. Connections, TLS and the pool are implemented
//! here, because lettre's pool has no upper bound and does not disable Nagle's
//! algorithm.

mod connection;
mod options;
mod pool;
mod reply;
mod starttls;
mod tls;

#[cfg(test)]
mod tests;

use std::fmt;

use futures_util::future::join_all;
use tokio::sync::Semaphore;

use self::connection::Connection;
use self::options::Relay;
use self::pool::Pool;
use super::{Envelope, SendFailure, TransportError};
use crate::config::Smtp;

/// Sends messages to a relay, several at a time, over pooled connections.
pub struct SmtpTransport {
    relay: Relay,
    pool: Pool,
    /// One permit for each connection in use. Idle connections need none: a new
    /// connection is opened only if none is idle, so there are never more
    /// connections than permits.
    permits: Semaphore,
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
    pub fn new(smtp: &Smtp) -> Result<Self, TransportError> {
        Ok(Self {
            relay: Relay::new(smtp)?,
            pool: Pool::new(smtp.idle_timeout),
            permits: Semaphore::new(smtp.max_connections.min(Semaphore::MAX_PERMITS)),
        })
    }

    /// Sends a message once a connection is free.
    ///
    /// The relay may have closed a pooled connection. Until the reply to MAIL it
    /// has accepted nothing, so the message is sent over a new connection at once.
    pub(super) async fn send(
        &self,
        envelope: &Envelope,
        message: &[u8],
    ) -> Result<(), SendFailure> {
        let Ok(_permit) = self.permits.acquire().await else {
            return Err(SendFailure::transient("the mail transport is closed"));
        };
        if let Some(mut pooled) = self.pool.take() {
            match pooled.begin(envelope, message).await {
                Ok(()) => return self.finish(pooled, envelope, message).await,
                Err(failure) if pooled.is_ready() => {
                    self.pool.put(pooled);
                    return Err(failure);
                }
                Err(_stale) => {}
            }
        }
        // Boxed, because the future of the handshake is large and rarely needed.
        let mut connection = Box::pin(Connection::open(&self.relay)).await?;
        match connection.begin(envelope, message).await {
            Ok(()) => self.finish(connection, envelope, message).await,
            Err(failure) => {
                self.pool.put(connection);
                Err(failure)
            }
        }
    }

    async fn finish(
        &self,
        mut connection: Connection,
        envelope: &Envelope,
        message: &[u8],
    ) -> Result<(), SendFailure> {
        let outcome = connection.finish(envelope, message).await;
        self.pool.put(connection);
        outcome
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
