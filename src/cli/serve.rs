//! `sydent serve`: the server process.

use std::sync::Arc;

use super::config_file::ConfigFile;
use super::failure::Failure;
use super::signals::Signals;
use crate::clock::Clock;
use crate::config::{Config, LogFormat, LogSettings};
use crate::logging;
use crate::server::Server;

pub(super) const SIGNALS: &str = "\
Signals:
  SIGTERM, SIGINT  Shut down after the running requests; a second one exits at once
  SIGHUP           Reload the terms file";

pub(super) fn run(file: &ConfigFile, signals: &Signals) -> Result<(), Failure> {
    start(file, signals).map_err(|failure| match file.log_format() {
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

fn start(file: &ConfigFile, signals: &Signals) -> Result<(), Failure> {
    let config = file.settings()?.into_config()?;
    logging::start(config.log);
    serve(config, signals, |_server| Ok(()))
}

/// Runs the server until SIGTERM or SIGINT. Calls `started` once every listener
/// is bound.
pub(super) fn serve(
    config: Config,
    signals: &Signals,
    started: impl FnOnce(&Server) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for warning in &config.warnings {
        log::warn!("{warning}");
    }
    actix::System::new().block_on(async {
        let server = Server::start_and(config, Clock::system(), || signals.serving())?;
        started(&server)?;
        let (app, hangups) = (Arc::clone(server.app()), signals.clone());
        tokio::task::spawn_local(async move {
            loop {
                hangups.reload().await;
                app.terms.reload();
            }
        });
        Ok(server.run(signals.stop()).await?)
    })
}
