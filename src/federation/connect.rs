//! From a route to an encrypted connection.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustls_pki_types::ServerName as TlsName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::CallError;
use super::dns::{Dns, Service};
use super::guard::Guard;
use super::proxy;
use super::route::{Route, Target, without_service};
use super::stream::Stream;
use crate::config::Proxy;
use crate::domain::homeservers::HomeserverLists;
use crate::domain::ids::ServerName;

/// So many SRV targets, and so many addresses of each, are tried.
const MOST_TRIES: usize = 4;

/// All that lies between this server and others.
pub(super) struct Network {
    pub dns: Dns,
    pub guard: Guard,
    pub tls: TlsConnector,
    pub proxy: Option<Proxy>,
    /// Where the administrator says that servers are.
    pub hosts: BTreeMap<ServerName, SocketAddr>,
    /// Which homeservers are never contacted.
    pub homeservers: HomeserverLists,
    /// How long each try at a connection, and each handshake, may take.
    pub patience: Duration,
}

impl Network {
    /// The address that the administrator gave to a name.
    pub(super) fn fixed(&self, host: &str) -> Option<Target> {
        let name = ServerName::parse(host).ok()?;
        self.hosts.get(&name).copied().map(Target::Fixed)
    }

    /// Whether the administrator lets that homeserver be contacted.
    ///
    /// # Errors
    /// [`CallError::NotAllowed`] if not.
    pub(super) fn want(&self, server: &ServerName) -> Result<(), CallError> {
        if self.homeservers.may_be_contacted(server) {
            Ok(())
        } else {
            Err(CallError::NotAllowed)
        }
    }

    /// Connects, trying one target after the other.
    ///
    /// # Errors
    /// Why the last target could not be connected to.
    pub(super) async fn connect(&self, route: &Route) -> Result<Stream, CallError> {
        let mut failure = CallError::NoAddress;
        for target in self.targets(&route.target).await? {
            match self.secure(&target, &route.tls_name).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn targets(&self, target: &Target) -> Result<Vec<Target>, CallError> {
        let Target::Service(host) = target else {
            return Ok(vec![target.clone()]);
        };
        let found = self.dns.service(host);
        let found = timeout(self.patience, found).await;
        match found.unwrap_or(Ok(Service::Unknown))? {
            Service::Unknown => Ok(vec![without_service(host)]),
            Service::NotOffered => Err(CallError::NoService),
            Service::At(targets) => Ok(targets
                .into_iter()
                .take(MOST_TRIES)
                .map(|(host, port)| match host.parse() {
                    Ok(ip) => Target::Address(SocketAddr::new(ip, port)),
                    Err(_) => Target::Name(host, port),
                })
                .collect()),
        }
    }

    async fn secure(&self, target: &Target, name: &TlsName<'static>) -> Result<Stream, CallError> {
        let stream = self.reach(target).await?;
        // Requests are small and wait for answers.
        let _ = stream.set_nodelay(true);
        let handshake = self.tls.connect(name.clone(), stream);
        match timeout(self.patience, handshake).await {
            Ok(Ok(stream)) => Ok(Stream(stream)),
            Ok(Err(error)) => Err(CallError::Tls(error.to_string())),
            Err(_elapsed) => Err(CallError::Late),
        }
    }

    async fn reach(&self, target: &Target) -> Result<TcpStream, CallError> {
        match (target, &self.proxy) {
            (Target::Fixed(address), _) => self.open(*address).await,
            (Target::Address(address), proxy) => {
                self.check(address.ip())?;
                match proxy {
                    None => self.open(*address).await,
                    Some(proxy) => self.ask(proxy, &address.to_string()).await,
                }
            }
            (Target::Name(host, port), Some(proxy)) => {
                self.ask(proxy, &format!("{host}:{port}")).await
            }
            (Target::Name(host, port), None) => self.open_any(host, *port).await,
            // Made into names before.
            (Target::Service(_), _) => Err(CallError::NoAddress),
        }
    }

    fn check(&self, ip: IpAddr) -> Result<(), CallError> {
        if self.guard.allows(ip) {
            Ok(())
        } else {
            Err(CallError::Blocked)
        }
    }

    /// Connects to one of the host's addresses. Those that were checked are the
    /// ones that are connected to: DNS is not asked twice.
    async fn open_any(&self, host: &str, port: u16) -> Result<TcpStream, CallError> {
        let addresses = timeout(self.patience, self.dns.addresses(host)).await;
        let addresses = addresses.map_err(|_elapsed| CallError::NoAddress)??;
        let mut failure = CallError::NoAddress;
        let mut tries = 0;
        for ip in alternating(&addresses) {
            let outcome = match self.check(ip) {
                Ok(()) if tries < MOST_TRIES => {
                    tries += 1;
                    self.open(SocketAddr::new(ip, port)).await
                }
                Ok(()) => break,
                Err(blocked) => Err(blocked),
            };
            match outcome {
                Ok(stream) => return Ok(stream),
                // Why an address that may be tried failed says more.
                Err(CallError::Blocked) if tries > 0 => {}
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn open(&self, address: SocketAddr) -> Result<TcpStream, CallError> {
        match timeout(self.patience, TcpStream::connect(address)).await {
            Ok(opened) => opened.map_err(|error| CallError::Connect(error.kind())),
            Err(_elapsed) => Err(CallError::Connect(std::io::ErrorKind::TimedOut)),
        }
    }

    async fn ask(&self, proxy: &Proxy, to: &str) -> Result<TcpStream, CallError> {
        match timeout(self.patience, proxy::connect(proxy, to)).await {
            Ok(opened) => opened,
            Err(_elapsed) => Err(CallError::Proxy("it took too long".to_owned())),
        }
    }
}

/// The addresses of both families in turn: a machine that cannot reach one of
/// them at all gets to the other before the tries are over.
fn alternating(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = addresses.iter().partition(|ip| ip.is_ipv4());
    let (mut v4, mut v6) = (v4.into_iter(), v6.into_iter());
    let mut all = Vec::new();
    while all.len() < addresses.len() {
        all.extend(v6.next());
        all.extend(v4.next());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_have_their_turn() {
        let ips = |texts: &[&str]| -> Vec<IpAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        for (found, tried) in [
            (
                vec!["2606::1", "2606::2", "2606::3", "1.0.0.1", "1.0.0.2"],
                vec!["2606::1", "1.0.0.1", "2606::2", "1.0.0.2", "2606::3"],
            ),
            (vec!["1.0.0.1", "1.0.0.2"], vec!["1.0.0.1", "1.0.0.2"]),
            (vec!["2606::1"], vec!["2606::1"]),
            (vec![], vec![]),
        ] {
            assert_eq!(alternating(&ips(&found)), ips(&tried));
        }
    }
}
