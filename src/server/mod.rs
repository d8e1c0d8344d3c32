//! The composition root: opens the database, starts the owners, binds the
//! listeners, and stops them in order.

mod actors;
mod client_certificates;
mod listeners;
pub mod peers;
pub mod peppers;
mod replication;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use futures_util::future::{Either, select, try_join_all};
use log::{info, warn};

use crate::app::App;
use crate::clock::Clock;
use crate::config::{Config, Problem};
use crate::db::DbError;
use crate::delivery::mail::TransportError;
use crate::delivery::sms::SmsError;
use crate::delivery::templates::TemplateError;
use crate::domain::Invalid;
use crate::federation;
use crate::random::RandomError;

/// Why the server cannot start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The database cannot be opened or brought up to date.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The key file is not readable or not a key file.
    #[error("server.signing_key_file: {0}")]
    Keys(#[from] Invalid),
    /// A file that the configuration names cannot be read.
    #[error("{0}: {1}")]
    File(String, std::io::Error),
    /// The terms cannot be used.
    #[error("{0}")]
    Terms(Problem),
    /// A template is broken.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The way out for mail cannot be used.
    #[error(transparent)]
    Mail(#[from] TransportError),
    /// A way out for texts cannot be used.
    #[error(transparent)]
    Sms(#[from] SmsError),
    /// Homeservers cannot be reached at all.
    #[error(transparent)]
    Federation(#[from] federation::OpenError),
    /// The operating system gives no random numbers.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The replication listener cannot have its TLS.
    #[error("replication: {0}")]
    Mesh(String),
    /// An address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// A part that must live as long as the server has died.
    #[error("{0} has died; the server ends, so that it is started anew")]
    Died(&'static str),
    /// A listener failed.
    #[error("a listener failed: {0}")]
    Serve(#[from] std::io::Error),
}

/// Where a running server listens.
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
    addresses: Addresses,
    listeners: Vec<actix_web::dev::Server>,
}

impl Server {
    /// Opens, migrates, starts the owners and binds every listener. To be
    /// called on the main arbiter of an actix System.
    ///
    /// # Errors
    /// What is missing or wrong, in a sentence.
    pub fn start(config: Config, clock: Clock) -> Result<Self, ServerError> {
        let app = Arc::new(actors::start(config, clock)?);
        let (listeners, addresses) = listeners::bind(&app)?;
        Ok(Self {
            app,
            addresses,
            listeners,
        })
    }

    /// Where it listens; a port 0 of the configuration has become a real one.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The doors to its owners.
    #[must_use]
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Starts the timers and serves until `stop` ends; then finishes the
    /// requests that have begun, stops the timers, and drains the owners
    /// (OPS-10). All of that together gets `http.shutdown_timeout`, or a second
    /// if that is less.
    ///
    /// # Errors
    /// When a listener fails or an owner dies: no limping.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), ServerError> {
        let handles: Vec<ServerHandle> = self
            .listeners
            .iter()
            .map(actix_web::dev::Server::handle)
            .collect();
        let app = Arc::clone(&self.app);
        let timers = actors::start_timers(&app);
        let serving = try_join_all(self.listeners);
        let stopped_at;
        let ended = {
            let watch = std::pin::pin!(actors::watch(&app));
            let stop = std::pin::pin!(stop);
            let either = std::pin::pin!(async {
                match select(stop, watch).await {
                    Either::Left(((), _)) => Ok(()),
                    Either::Right((died, _)) => Err(died),
                }
            });
            let mut serving = std::pin::pin!(serving);
            let outcome = match select(either, serving.as_mut()).await {
                Either::Left((outcome, _)) => outcome,
                Either::Right((served, _)) => served.map(drop).map_err(ServerError::from),
            };
            stopped_at = Instant::now();
            info!("stopping: no new requests are taken");
            let stopping =
                futures_util::future::join_all(handles.iter().map(|handle| handle.stop(true)));
            match select(std::pin::pin!(stopping), serving).await {
                Either::Left(_) | Either::Right(_) => {}
            }
            outcome
        };
        timers.stop();
        drain(self.app, stopped_at).await;
        ended
    }
}

async fn drain(app: Arc<App>, stopped_at: Instant) {
    let patience = app.config.http.shutdown_timeout.max(Duration::from_secs(1));
    let left = || patience.saturating_sub(stopped_at.elapsed());
    let mut all = app.detached_waits.drain(left()).await;
    all &= app.detached.drain(left()).await;
    for dispatcher in app.mailer.iter().chain(&app.texter) {
        all &= dispatcher.stop(left()).await;
    }
    all &= app.notifier.stop(left()).await;
    if let Some(replicator) = &app.replicator {
        all &= replicator.stop(left()).await;
    }
    all &= app.federation.drain(left()).await;
    all &= app.sessions.drain(left()).await;
    all &= app.accounts.drain(left()).await;
    all &= app.associations.drain(left()).await;
    all &= app.lookups.drain(left()).await;
    all &= app.signer.drain(left()).await;
    all &= app.outbox.drain(left()).await;
    if all {
        info!("stopped: everything that was begun is done");
    } else {
        warn!(
            "stopped, though something was still under way after {} s",
            patience.as_secs()
        );
    }
}
