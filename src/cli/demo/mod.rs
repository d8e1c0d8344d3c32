//! `sydent demo`: a complete server on this machine, for evaluation.

mod folder;
mod ports;
mod walkthrough;

use std::path::PathBuf;

use clap::Args;

use self::folder::Folder;
use self::ports::Ports;
use self::walkthrough::walkthrough;
use super::failure::Failure;
use super::serve;
use super::signals::Signals;
use super::stdout::print;
use crate::config::LogLevel;
use crate::logging;

/// The options of `sydent demo`.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// The folder for the database, the signing key, captured emails and the
    /// configuration. It is created if necessary; the folder of an earlier demo is
    /// reused.
    #[arg(long, value_name = "FOLDER", default_value = "sydent-demo")]
    dir: PathBuf,
    /// The port of the client API on 127.0.0.1. The next two ports are those of the
    /// internal and the operations listener.
    #[arg(long, value_name = "PORT", default_value_t = 8090,
        value_parser = clap::value_parser!(u16).range(1..=65533))]
    port: u16,
    /// Log every request, not only warnings and errors.
    #[arg(long, short)]
    verbose: bool,
}

impl Demo {
    pub(super) fn run(&self, signals: &Signals) -> Result<(), Failure> {
        let (ports, folder) = self.prepare()?;
        let mut settings = folder.settings()?;
        if !self.verbose {
            settings.log.level = LogLevel::Warn;
        }
        let mut config = settings.into_config()?;
        // They say that the server is not for production, as the walkthrough does.
        config.warnings.clear();
        logging::start(config.log);
        serve::serve(config, signals, |server| {
            let key = server.app().public_keys.first();
            let key = key.map(|(id, _)| id.as_str()).unwrap_or_default();
            print(&walkthrough(&self.dir, ports, key))
        })
    }

    fn prepare(&self) -> Result<(Ports, Folder), Failure> {
        let ports = Ports::starting_at(self.port);
        ports.check()?;
        Ok((ports, Folder::prepare(&self.dir, ports)?))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn used_port_fails_before_anything_is_written() {
        let scratch = tempfile::tempdir().unwrap();
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let demo = Demo {
            dir: scratch.path().join("demo"),
            port: port.min(65533),
            verbose: false,
        };
        let failure = demo.prepare().err().unwrap().to_string();
        assert!(failure.contains(&port.to_string()), "{failure}");
        assert!(failure.contains("--port"), "{failure}");
        assert!(!demo.dir.exists());
    }
}
