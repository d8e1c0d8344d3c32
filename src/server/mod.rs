//! The composition root: opens the database, starts the actors, binds the
//! listeners, and stops everything in order.

pub mod accounts;
mod actors;
mod client_certificates;
mod connections;
pub mod databases;
mod delivery;
mod listeners;
mod parts;
pub mod peers;
pub mod peppers;
pub mod person;
mod prepared;
mod replica;
mod replication;
mod resources;
pub mod sign_again;
mod sockets;
mod timers;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use futures_util::FutureExt as _;
use futures_util::future::{Either, FusedFuture as _, join_all, select, try_join_all};
use log::{info, warn};

pub use self::resources::check;

use self::parts::Parts;
use self::timers::Timers;
use crate::actor::pool::Fault;
use crate::app::App;
use crate::clock::Clock;
use crate::config::{Config, Problem, Problems};
use crate::db::DbError;
use crate::delivery::mail::TransportError;
use crate::delivery::sms::SmsError;
use crate::domain::Invalid;
use crate::federation;
use crate::random::RandomError;

/// Why the server cannot start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Something that the configuration names cannot be used.
    #[error("{0}")]
    Configuration(Problems),
    /// The database cannot be opened or brought up to date.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The key file is not readable or not a key file.
    #[error("{0}")]
    Keys(#[from] Invalid),
    /// A file that the configuration names cannot be read.
    #[error("{0}: {1}")]
    File(String, std::io::Error),
    /// The terms cannot be used.
    #[error("{0}")]
    Terms(Problem),
    /// An operation of a command failed.
    #[error(transparent)]
    Operation(#[from] Fault),
    /// The mail transport cannot be used.
    #[error(transparent)]
    Mail(#[from] TransportError),
    /// An SMS provider cannot be used.
    #[error(transparent)]
    Sms(#[from] SmsError),
    /// The client for homeservers cannot be set up.
    #[error(transparent)]
    Federation(#[from] federation::OpenError),
    /// The operating system gives no random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// TLS for the replication listener cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Mesh(String),
    /// The data of a person changed again and again while it was to be erased.
    #[error("the data of the person is changing; nothing was erased, try again")]
    PersonChanges,
    /// An address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// A part that must run as long as the server has stopped.
    #[error(
        "{0} stopped unexpectedly; shutting down so that the service manager can restart the server"
    )]
    Died(&'static str),
    /// A listener failed.
    #[error("a listener failed: {0}")]
    Serve(#[from] std::io::Error),
}

/// The addresses on which a running server listens.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    /// The public listener.
    pub client: Vec<SocketAddr>,
    /// The internal listener; empty when it is off.
    pub internal: Vec<SocketAddr>,
    /// The operations listener; empty when it is off.
    pub operations: Vec<SocketAddr>,
    /// The replication listener; empty when it is off.
    pub replication: Vec<SocketAddr>,
}

/// A server that listens.
pub struct Server {
    app: Arc<App>,
    parts: Parts,
    addresses: Addresses,
    listeners: Vec<actix_web::dev::Server>,
}

impl Server {
    /// Migrates the database, starts the actors and binds every listener. To be
    /// called on the main arbiter of an actix System.
    ///
    /// # Errors
    /// What is missing or wrong, in a sentence.
    pub fn start(config: Config, clock: Clock) -> Result<Self, ServerError> {
        Self::start_and(config, clock, || ())
    }

    /// The same, and calls `before_clients` when all else is done and the first client could
    /// connect: from then on an end of the process has to be orderly.
    ///
    /// # Errors
    /// What is missing or wrong, in a sentence.
    pub fn start_and(
        config: Config,
        clock: Clock,
        before_clients: impl FnOnce(),
    ) -> Result<Self, ServerError> {
        let mut resources = resources::open(&config)?;
        for warning in &resources.warnings {
            warn!("{warning}");
        }
        let replication_tls = resources.replication_tls.take();
        let (app, parts) = actors::start(config, clock, resources)?;
        let app = Arc::new(app);
        before_clients();
        let (listeners, addresses) = listeners::bind(&app, replication_tls)?;
        Ok(Self {
            app,
            parts,
            addresses,
            listeners,
        })
    }

    /// The addresses on which it listens; a port 0 of the configuration has
    /// become a real one.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The actors and values that requests use.
    #[must_use]
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Starts the timers and serves until `stop` resolves, and `http.shutdown_delay`
    /// longer without being ready. Then it completes the requests in progress, stops the
    /// timers, and drains the actors (OPS-10). All that follows the delay gets
    /// `http.shutdown_timeout` together, and at least a second.
    ///
    /// # Errors
    /// When a listener fails or a part stops by itself: the server does not go
    /// on without it.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), ServerError> {
        let handles: Vec<ServerHandle> = self
            .listeners
            .iter()
            .map(actix_web::dev::Server::handle)
            .collect();
        let timers = Timers::start(&self.app);
        // Fused: a listener can end before the shutdown waits for all of them.
        let serving = async { try_join_all(self.listeners).await.map(drop) };
        let mut serving = std::pin::pin!(serving.fuse());
        let mut result = serve_until(stop, &self.parts, serving.as_mut()).await;
        if result.is_ok() && !serving.is_terminated() {
            let delay = announced(&self.app);
            result = serve_until(delay, &self.parts, serving.as_mut()).await;
        }
        let stopped_at = Instant::now();
        info!("shutting down: no new requests are accepted");
        let stopping = join_all(handles.iter().map(|handle| handle.stop(true)));
        match select(std::pin::pin!(stopping), serving).await {
            Either::Left(_) | Either::Right(_) => {}
        }
        timers.stop();
        let limit = self
            .app
            .config
            .http
            .shutdown_timeout
            .max(Duration::from_secs(1));
        drain(&self.parts, stopped_at, limit).await;
        result
    }
}

/// Serves until `stop` resolves, all listeners have ended, or one of them or a part fails.
async fn serve_until(
    stop: impl Future<Output = ()>,
    parts: &Parts,
    serving: Pin<&mut impl Future<Output = std::io::Result<()>>>,
) -> Result<(), ServerError> {
    let failed = std::pin::pin!(watch(parts));
    let stop = std::pin::pin!(stop);
    let ended = std::pin::pin!(async {
        match select(stop, failed).await {
            Either::Left(((), _)) => Ok(()),
            Either::Right((error, _)) => Err(error),
        }
    });
    match select(ended, serving).await {
        Either::Left((result, _)) => result,
        Either::Right((served, _)) => served.map_err(ServerError::from),
    }
}

/// Lets load balancers notice that the server is about to stop.
async fn announced(app: &App) {
    app.announce_stop();
    let delay = app.config.http.shutdown_delay;
    if !delay.is_zero() {
        info!("shutting down in {delay:?}: load balancers should send no more requests");
        tokio::time::sleep(delay).await;
    }
}

/// Ends when a part has stopped by itself.
async fn watch(parts: &Parts) -> ServerError {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if let Some(name) = parts.stopped() {
            return ServerError::Died(name);
        }
    }
}

async fn drain(parts: &Parts, stopped_at: Instant, limit: Duration) {
    let left = || limit.saturating_sub(stopped_at.elapsed());
    if parts.drain(left).await {
        info!("shutdown complete: all in-flight work finished");
    } else {
        warn!(
            "shutdown incomplete: work was still in progress after {} s",
            limit.as_secs()
        );
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::io;

    use futures_util::future::BoxFuture;

    use super::parts::{Part, Stage};
    use super::*;

    #[derive(Clone)]
    struct Dead;

    impl Part for Dead {
        fn name(&self) -> &'static str {
            "dead"
        }

        fn is_running(&self) -> bool {
            false
        }

        fn drain(&self, _limit: Duration) -> BoxFuture<'_, bool> {
            ready(true).boxed()
        }
    }

    /// OPS-10
    #[actix_web::test]
    async fn failure_ends_what_a_stop_would_end() {
        let none = Parts::default();
        let mut serving = std::pin::pin!(pending::<io::Result<()>>().fuse());
        let stopped = serve_until(ready(()), &none, serving.as_mut()).await;
        assert!(stopped.is_ok());
        let mut dead = Parts::default();
        dead.add(Stage::Data, Dead);
        let died = serve_until(pending(), &dead, serving.as_mut()).await;
        assert!(matches!(died, Err(ServerError::Died("dead"))));

        let failed = async { Err(io::Error::other("gone")) };
        let mut serving = std::pin::pin!(failed.fuse());
        let result = serve_until(pending(), &none, serving.as_mut()).await;
        assert!(matches!(result, Err(ServerError::Serve(_))));
        assert!(serving.is_terminated());
        let waited = select(ready(()), serving).await;
        assert!(matches!(waited, Either::Left(_)), "it is not polled again");
    }
}
