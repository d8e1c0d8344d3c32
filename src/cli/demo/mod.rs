//! `sydent demo`: a complete server on this machine, to try things out.

mod folder;
mod walkthrough;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use clap::Args;

use self::folder::Folder;
use self::walkthrough::walkthrough;
use super::{Failure, print, serve};
use crate::config::LogLevel;
use crate::logging;

/// Where the demonstration runs.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// The folder for everything that it keeps: data, signing key, captured
    /// mail, and a configuration that describes it. It is made if it is not
    /// there; a folder of an earlier demonstration is used again.
    #[arg(long, value_name = "FOLDER", default_value = "sydent-demo")]
    dir: PathBuf,
    /// The port for clients, on 127.0.0.1. The next two are the internal
    /// listener's and the operations listener's.
    #[arg(long, value_name = "PORT", default_value_t = 8090,
        value_parser = clap::value_parser!(u16).range(1..=65533))]
    port: u16,
    /// Log what the server does, a line a request; otherwise only what goes
    /// wrong.
    #[arg(long, short)]
    verbose: bool,
}

/// The addresses of the three listeners.
#[derive(Debug, Clone, Copy)]
struct Ports {
    client: SocketAddr,
    internal: SocketAddr,
    operations: SocketAddr,
}

impl Ports {
    fn from(first: u16) -> Self {
        let at =
            |offset: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, first.saturating_add(offset)));
        Self {
            client: at(0),
            internal: at(1),
            operations: at(2),
        }
    }

    /// Finds out before anything is written whether they can be had.
    fn check(self) -> Result<(), Failure> {
        for address in [self.client, self.internal, self.operations] {
            TcpListener::bind(address).map_err(|error| {
                Failure::new(format!(
                    "Port {} cannot be used: {error}.\nThe demonstration takes three ports in a \
                     row, {} to {}. Name the first of three others with --port.",
                    address.port(),
                    self.client.port(),
                    self.operations.port()
                ))
            })?;
        }
        Ok(())
    }
}

impl Demo {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let ports = Ports::from(self.port);
        ports.check()?;
        let folder = Folder::prepare(&self.dir, ports)?;
        let mut settings = folder.settings()?;
        if !self.verbose {
            settings.log.level = LogLevel::Warn;
        }
        let mut config = settings.into_config()?;
        // That this is no server for others is said on the screen anyway.
        config.warnings.clear();
        logging::start(config.log);
        serve::serve(config, |server| {
            let key = server.app().public_keys.first();
            let key = key.map(|(id, _)| id.as_str()).unwrap_or_default();
            print(&walkthrough(&self.dir, ports, key))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_named_before_anything_is_written() {
        let scratch = tempfile::tempdir().unwrap();
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let demo = Demo {
            dir: scratch.path().join("demo"),
            port: port.min(65533),
            verbose: false,
        };
        let failure = demo.run().unwrap_err().to_string();
        assert!(failure.contains(&port.to_string()), "{failure}");
        assert!(failure.contains("--port"), "{failure}");
        assert!(!demo.dir.exists());
    }
}
