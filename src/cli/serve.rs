//! `sydent serve`: the server process.

use std::process;
use std::sync::Arc;

use futures_util::future::{Either, select};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::config_file::ConfigFile;
use super::failure::Failure;
use crate::clock::Clock;
use crate::config::{Config, LogFormat, LogSettings};
use crate::logging;
use crate::server::Server;

pub(super) const SIGNALS: &str = "\
Signals:
  SIGTERM, SIGINT  Shut down after the running requests; a second one exits at once
  SIGHUP           Reload the terms file";

pub(super) fn run(file: &ConfigFile) -> Result<(), Failure> {
    start(file).map_err(|failure| match file.log_format() {
        LogFormat::Text => failure,
        format @ LogFormat::Json => {
            // Has no effect if the server has got as far as that.
            logging::start(LogSettings {
                format,
                ..LogSettings::default()
            });
            log::error!("{failure}");
            failure.logged()
        }
    })
}

fn start(file: &ConfigFile) -> Result<(), Failure> {
    let config = file.settings()?.into_config()?;
    logging::start(config.log);
    serve(config, reload_on_sighup)
}

/// Runs the server until SIGTERM or SIGINT. Calls `started` once every listener
/// is bound.
pub(super) fn serve(
    config: Config,
    started: impl FnOnce(&Server) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for warning in &config.warnings {
        log::warn!("{warning}");
    }
    actix::System::new().block_on(async {
        let server = Server::start(config, Clock::system())?;
        started(&server)?;
        Ok(server.run(stop_signal()?).await?)
    })
}

/// Resolves at the first SIGTERM or SIGINT. The second one exits the process, so
/// that an administrator need not wait for running requests.
fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (sender, receiver) = oneshot::channel();
    tokio::task::spawn_local(async move {
        let mut sender = Some(sender);
        loop {
            match select(Box::pin(terminate.recv()), Box::pin(interrupt.recv())).await {
                Either::Left(_) | Either::Right(_) => {}
            }
            match sender.take() {
                // Fails when the server has already stopped by itself.
                Some(sender) => drop(sender.send(())),
                None => process::exit(130),
            }
        }
    });
    Ok(async move {
        // Never fails: the task that holds the sender runs until the process exits.
        let _ = receiver.await;
    })
}

/// Reloads the terms at each SIGHUP until the process exits.
fn reload_on_sighup(server: &Server) -> Result<(), Failure> {
    let app = Arc::clone(server.app());
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::task::spawn_local(async move {
        while hangup.recv().await.is_some() {
            app.terms.reload();
        }
    });
    Ok(())
}
