//! `sydent serve`: the daemon.

use std::process;
use std::sync::Arc;

use futures_util::future::{Either, select};
use tokio::signal::unix::{SignalKind, signal};

use super::Failure;
use super::config_file::ConfigFile;
use crate::clock::Clock;
use crate::config::Config;
use crate::logging;
use crate::server::Server;

pub(super) fn run(file: &ConfigFile) -> Result<(), Failure> {
    let config = file.settings()?.into_config()?;
    logging::start(config.log);
    serve(config, reload_when_told)
}

/// Serves until a signal says stop. `started` is called once every listener is
/// bound.
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
        Ok(server.run(told_to_stop()?).await?)
    })
}

/// Ends at the first SIGTERM or SIGINT. The second ends the process at once:
/// whoever sends it does not want to wait for what is under way.
fn told_to_stop() -> Result<impl Future<Output = ()>, Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (tell, told) = tokio::sync::oneshot::channel();
    tokio::task::spawn_local(async move {
        let mut tell = Some(tell);
        loop {
            match select(Box::pin(terminate.recv()), Box::pin(interrupt.recv())).await {
                Either::Left(_) | Either::Right(_) => {}
            }
            match tell.take() {
                // Fails when the server ended by itself meanwhile.
                Some(tell) => drop(tell.send(())),
                None => process::exit(130),
            }
        }
    });
    Ok(async move {
        // The sender lives as long as the process.
        let _ = told.await;
    })
}

/// Reads the terms again at each SIGHUP, for as long as the process lives.
fn reload_when_told(server: &Server) -> Result<(), Failure> {
    let app = Arc::clone(server.app());
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::task::spawn_local(async move {
        while hangup.recv().await.is_some() {
            app.terms.reload();
        }
    });
    Ok(())
}
