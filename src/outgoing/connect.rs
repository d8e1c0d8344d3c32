//! Establishes connections.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::ready;
use rustls_pki_types::ServerName as TlsName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::CallError;
use super::dns::{Dns, Names};
use super::endpoint::Place;
use super::proxy;
use super::race::{ATTEMPT_DELAY, race};
use super::stream::Stream;
use crate::config::Proxy;

/// The maximum number of addresses of each family that are tried.
const MAX_ADDRESSES: usize = 4;

/// How to connect to a server.
pub(crate) struct Connector<'a> {
    /// Looks up its addresses.
    pub dns: &'a Dns,
    /// How its name is looked up.
    pub names: Names,
    /// TLS, and the name in the certificate. `None` means no TLS.
    pub tls: Option<(&'a TlsConnector, &'a TlsName<'static>)>,
    /// The timeout of each DNS query and of each attempt.
    pub timeout: Duration,
}

impl Connector<'_> {
    /// Connects to a server that the administrator configured.
    ///
    /// # Errors
    /// No address can be connected to, or TLS fails. Nothing was sent to the server
    /// inside of TLS.
    pub(crate) async fn connect(&self, place: &Place) -> Result<Stream, CallError> {
        match place {
            Place::Address(address) => self.connect_to(*address).await,
            Place::Name(host, port) => {
                let connecting = self.connect_any(host, *port, |_| true, |_| Ok(()));
                connecting.await.map(|(stream, ())| stream)
            }
        }
    }

    /// Connects to an address.
    ///
    /// # Errors
    /// As of [`Self::connect`].
    pub(crate) async fn connect_to(&self, address: SocketAddr) -> Result<Stream, CallError> {
        let deadline = Instant::now() + self.timeout;
        let stream = connect_tcp(address, deadline).await?;
        self.add_tls(stream, deadline).await
    }

    /// Connects to one of the addresses of a host that `allows` accepts, side by side
    /// with a delay. DNS is queried once, so the checked addresses are those that are
    /// connected to. Each attempt needs the permit that `take` gives for its address;
    /// the one of the connection is returned with it.
    ///
    /// # Errors
    /// As of [`Self::connect`]; [`CallError::Blocked`] if no address is accepted.
    pub(crate) async fn connect_any<P>(
        &self,
        host: &str,
        port: u16,
        allows: impl Fn(IpAddr) -> bool,
        take: impl Fn(IpAddr) -> Result<P, CallError>,
    ) -> Result<(Stream, P), CallError> {
        let attempt = |ip| {
            let permit = take(ip);
            async move {
                let permit = permit?;
                let stream = self.connect_to(SocketAddr::new(ip, port)).await?;
                Ok((stream, permit))
            }
        };
        self.race_addresses(host, self.names, allows, attempt).await
    }

    /// Connects to `destination`, `HOST:PORT`, through a proxy.
    ///
    /// # Errors
    /// As of [`Self::connect`]; [`CallError::Proxy`] if it does not connect.
    pub(crate) async fn connect_via(
        &self,
        proxy: &Proxy,
        destination: &str,
    ) -> Result<Stream, CallError> {
        let attempt = |ip| {
            let deadline = Instant::now() + self.timeout;
            connect_tcp(SocketAddr::new(ip, proxy.port), deadline)
        };
        let names = Names::Configured;
        let stream = self.race_addresses(&proxy.host, names, |_| true, attempt);
        let stream = stream.await.map_err(|error| match error {
            CallError::Connect(kind) => CallError::Proxy(kind.to_string()),
            error => CallError::Proxy(error.to_string()),
        })?;
        let tunnel = proxy::request_tunnel(stream, destination, proxy.login.as_ref());
        let stream = timeout(self.timeout, tunnel)
            .await
            .unwrap_or_else(|_elapsed| Err(CallError::Proxy("timed out".to_owned())))?;
        self.add_tls(stream, Instant::now() + self.timeout).await
    }

    /// Races attempts on the addresses of a host.
    async fn race_addresses<T, F>(
        &self,
        host: &str,
        names: Names,
        allows: impl Fn(IpAddr) -> bool,
        attempt: impl FnMut(IpAddr) -> F,
    ) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        let (v4, v6) = (Cell::new(0), Cell::new(0));
        let blocked = Cell::new(false);
        let addresses = self.dns.addresses(host, names, self.timeout);
        let allowed = addresses.filter(|&ip| {
            let count = if ip.is_ipv4() { &v4 } else { &v6 };
            let is_allowed = allows(ip);
            if is_allowed {
                count.set(count.get() + 1);
            } else {
                blocked.set(true);
            }
            ready(is_allowed && count.get() <= MAX_ADDRESSES)
        });
        race(allowed, ATTEMPT_DELAY, attempt)
            .await
            .map_err(|errors| match most_telling(errors) {
                Some(error) => error,
                None if blocked.get() => CallError::Blocked,
                None => CallError::NoAddress,
            })
    }

    async fn add_tls(&self, stream: TcpStream, deadline: Instant) -> Result<Stream, CallError> {
        // Requests are small, and each waits for its response.
        let _ = stream.set_nodelay(true);
        let Some((connector, name)) = self.tls else {
            return Ok(Stream::plain(stream));
        };
        let handshake = connector.connect(name.clone(), stream);
        match timeout_at(deadline, handshake).await {
            Ok(Ok(stream)) => Ok(Stream::tls(stream)),
            Ok(Err(error)) => Err(CallError::Tls(error.to_string())),
            Err(_elapsed) => Err(CallError::TimedOut),
        }
    }
}

async fn connect_tcp(address: SocketAddr, deadline: Instant) -> Result<TcpStream, CallError> {
    match timeout_at(deadline, TcpStream::connect(address)).await {
        Ok(outcome) => outcome.map_err(|error| CallError::Connect(error.kind())),
        Err(_elapsed) => Err(CallError::Connect(std::io::ErrorKind::TimedOut)),
    }
}

/// The last error, but rather one of a server that was reached.
fn most_telling(errors: Vec<CallError>) -> Option<CallError> {
    let mut errors = errors.into_iter().rev().peekable();
    let last = errors.peek().cloned();
    errors
        .find(|error| !matches!(error, CallError::Connect(_)))
        .or(last)
}
