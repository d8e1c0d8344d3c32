//! The three ports of the demo server.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::cli::failure::Failure;

/// The addresses of the three listeners.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) client: SocketAddr,
    pub(super) internal: SocketAddr,
    pub(super) operations: SocketAddr,
}

impl Ports {
    /// Three consecutive ports on 127.0.0.1.
    pub(super) fn starting_at(first: u16) -> Self {
        let address =
            |offset: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, first.saturating_add(offset)));
        Self {
            client: address(0),
            internal: address(1),
            operations: address(2),
        }
    }

    /// Checks that the ports are free, before any file is written.
    pub(super) fn check(self) -> Result<(), Failure> {
        for address in [self.client, self.internal, self.operations] {
            TcpListener::bind(address).map_err(|error| {
                Failure::new(format!(
                    "Cannot listen on port {}: {error}.\nThe demo server needs three consecutive \
                     ports, {} to {}. Set the first one of three free ports with --port.",
                    address.port(),
                    self.client.port(),
                    self.operations.port()
                ))
            })?;
        }
        Ok(())
    }
}
