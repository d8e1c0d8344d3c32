//! Mail to a relay over SMTP (RFC 5321).
//!
//! lettre speaks the commands; connections, TLS and their reuse are our own,
//! since lettre's pool has no upper bound and leaves Nagle's algorithm on.

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

/// Hands messages to one relay, several at a time, over connections that it
/// keeps for a while.
pub struct SmtpTransport {
    relay: Relay,
    pool: Pool,
    /// One permit for each connection in use. Idle connections need none: a
    /// new one is opened only when none is idle, so that there are never more
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
    /// Checks the settings and reads the certificate authorities. It connects
    /// nowhere: a relay that is down at start is a passing failure later.
    ///
    /// # Errors
    ///
    /// [`TransportError`] says which setting cannot work.
    pub fn new(smtp: &Smtp) -> Result<Self, TransportError> {
        Ok(Self {
            relay: Relay::new(smtp)?,
            pool: Pool::new(smtp.idle_timeout),
            permits: Semaphore::new(smtp.max_connections.min(Semaphore::MAX_PERMITS)),
        })
    }

    /// Hands one message over, after waiting for a free connection.
    ///
    /// A connection that was kept may have been closed at the other end. Up
    /// to the reply to MAIL the relay has taken nothing, so such a message
    /// goes over a fresh connection at once.
    pub(super) async fn send(
        &self,
        envelope: &Envelope,
        message: &[u8],
    ) -> Result<(), SendFailure> {
        let Ok(_permit) = self.permits.acquire().await else {
            return Err(SendFailure::passing("the mail transport is closed"));
        };
        if let Some(mut kept) = self.pool.take() {
            let begun = kept.begin(envelope, message).await;
            if begun.is_ok() {
                return self.finish(kept, envelope, message).await;
            }
            if kept.is_ready() {
                self.pool.put(kept);
                return begun;
            }
        }
        // In a box: the handshake's state is large, and most sends need none.
        let mut fresh = Box::pin(Connection::open(&self.relay)).await?;
        match fresh.begin(envelope, message).await {
            Ok(()) => self.finish(fresh, envelope, message).await,
            Err(failure) => {
                self.pool.put(fresh);
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

    /// Takes leave of the connections that have been idle for too long.
    pub(super) async fn tidy(&self) {
        join_all(self.pool.take_expired().into_iter().map(Connection::quit)).await;
    }

    /// Takes leave of every idle connection.
    pub(super) async fn close(&self) {
        join_all(self.pool.take_all().into_iter().map(Connection::quit)).await;
    }
}
