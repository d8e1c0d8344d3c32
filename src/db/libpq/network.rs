//! TCP connections with the time limits that libpq would set.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::Failure;
use crate::config::{PostgresConnection, PostgresHost};

/// The time limits of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Network {
    /// For each address of the server, and for the handshake.
    connect: Option<Duration>,
    keepalive: Option<Keepalive>,
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "only Linux has this limit")
    )]
    unacknowledged: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Keepalive {
    idle: Option<Duration>,
    interval: Option<Duration>,
    count: Option<u32>,
}

impl Network {
    /// The limits of the URL, and the defaults for those that it does not set. As for
    /// libpq, 0 means none, or that of the system.
    pub(super) fn new(connection: &PostgresConnection, defaults: &[(&str, &str)]) -> Self {
        let number = |name: &str| -> Option<u32> {
            let default = || {
                let mut defaults = defaults.iter();
                defaults.find_map(|(other, value)| (*other == name).then_some(*value))
            };
            let value = connection.option(name).or_else(default)?;
            value.trim().parse().ok().filter(|number| *number > 0)
        };
        let seconds = |name: &str| number(name).map(|number| Duration::from_secs(number.into()));
        let keepalive = Keepalive {
            idle: seconds("keepalives_idle"),
            interval: seconds("keepalives_interval"),
            count: number("keepalives_count"),
        };
        Self {
            connect: seconds("connect_timeout"),
            keepalive: (connection.option("keepalives") != Some("0")).then_some(keepalive),
            unacknowledged: number("tcp_user_timeout")
                .map(|number| Duration::from_millis(number.into())),
        }
    }

    /// Connects to the first address that accepts it.
    pub(super) async fn connect(self, host: &PostgresHost) -> Result<TcpStream, Failure> {
        let name = host.address.as_deref().or(host.name.as_deref());
        let resolving = lookup_host((name.unwrap_or_default(), host.port));
        let addresses = self
            .within_limit(resolving)
            .await
            .map_err(|error| Failure::Network(format!("cannot resolve its name: {error}")))?;
        let mut failures = Vec::new();
        for address in addresses {
            match self.connect_to(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failures.push(format!("{}: {error}", address.ip())),
            }
        }
        let reasons = failures.join(", ");
        Err(Failure::Network(format!("cannot connect to {reasons}")))
    }

    async fn connect_to(self, address: SocketAddr) -> io::Result<TcpStream> {
        let stream = self.within_limit(TcpStream::connect(address)).await?;
        stream.set_nodelay(true)?;
        let socket = SockRef::from(&stream);
        if let Some(keepalive) = self.keepalive {
            socket.set_tcp_keepalive(&keepalive.settings())?;
        }
        #[cfg(target_os = "linux")]
        if self.unacknowledged.is_some() {
            socket.set_tcp_user_timeout(self.unacknowledged)?;
        }
        Ok(stream)
    }

    /// Waits no longer than a connection may take.
    pub(super) async fn within_limit<T>(
        self,
        work: impl Future<Output = io::Result<T>>,
    ) -> io::Result<T> {
        let Some(limit) = self.connect else {
            return work.await;
        };
        timeout(limit, work)
            .await
            .unwrap_or_else(|_elapsed| Err(io::Error::new(io::ErrorKind::TimedOut, "timed out")))
    }
}

impl Keepalive {
    fn settings(self) -> TcpKeepalive {
        let mut settings = TcpKeepalive::new();
        if let Some(idle) = self.idle {
            settings = settings.with_time(idle);
        }
        if let Some(interval) = self.interval {
            settings = settings.with_interval(interval);
        }
        if let Some(count) = self.count {
            settings = settings.with_retries(count);
        }
        settings
    }
}
