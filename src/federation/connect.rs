//! Establishes TLS connections to the targets of a route.

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
use super::route::{Route, Target, target_without_srv};
use super::stream::Stream;
use crate::config::Proxy;
use crate::domain::homeservers::HomeserverLists;
use crate::domain::ids::ServerName;

/// The maximum number of SRV targets, and of addresses of each, that are tried.
const MAX_ATTEMPTS: usize = 4;

/// The network as the configuration allows it.
pub(super) struct Network {
    pub dns: Dns,
    pub guard: Guard,
    pub tls: TlsConnector,
    pub proxy: Option<Proxy>,
    /// Static addresses of servers.
    pub hosts: BTreeMap<ServerName, SocketAddr>,
    /// The allow and deny lists of homeservers.
    pub homeservers: HomeserverLists,
    /// The timeout of each DNS lookup, connection attempt and handshake.
    pub timeout: Duration,
}

impl Network {
    /// The static address that is configured for a name.
    pub(super) fn static_target(&self, host: &str) -> Option<Target> {
        let name = ServerName::parse(host).ok()?;
        self.hosts.get(&name).copied().map(Target::Static)
    }

    /// Checks that the configuration allows contacting a homeserver.
    ///
    /// # Errors
    /// [`CallError::NotAllowed`] if not.
    pub(super) fn check_allowed(&self, server: &ServerName) -> Result<(), CallError> {
        if self.homeservers.may_be_contacted(server) {
            Ok(())
        } else {
            Err(CallError::NotAllowed)
        }
    }

    /// Connects to the first reachable target of a route.
    ///
    /// # Errors
    /// The error of the last target.
    pub(super) async fn connect(&self, route: &Route) -> Result<Stream, CallError> {
        let mut last_error = CallError::NoAddress;
        for target in self.targets(&route.target).await? {
            match self.connect_tls(&target, &route.tls_name).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last_error = error,
            }
        }
        Err(last_error)
    }

    /// Resolves SRV records to the targets to try.
    async fn targets(&self, target: &Target) -> Result<Vec<Target>, CallError> {
        let Target::Service(host) = target else {
            return Ok(vec![target.clone()]);
        };
        let service = timeout(self.timeout, self.dns.service(host))
            .await
            .unwrap_or(Service::NoRecords);
        match service {
            Service::NoRecords => Ok(vec![target_without_srv(host)]),
            Service::NotAvailable => Err(CallError::NoService),
            Service::Targets(targets) => Ok(targets
                .into_iter()
                .take(MAX_ATTEMPTS)
                .map(|(host, port)| match host.parse() {
                    Ok(ip) => Target::Address(SocketAddr::new(ip, port)),
                    Err(_) => Target::Name(host, port),
                })
                .collect()),
        }
    }

    async fn connect_tls(
        &self,
        target: &Target,
        name: &TlsName<'static>,
    ) -> Result<Stream, CallError> {
        let stream = self.connect_tcp(target).await?;
        // Requests are small, and each waits for its response.
        let _ = stream.set_nodelay(true);
        let handshake = self.tls.connect(name.clone(), stream);
        match timeout(self.timeout, handshake).await {
            Ok(Ok(stream)) => Ok(Stream(stream)),
            Ok(Err(error)) => Err(CallError::Tls(error.to_string())),
            Err(_elapsed) => Err(CallError::TimedOut),
        }
    }

    async fn connect_tcp(&self, target: &Target) -> Result<TcpStream, CallError> {
        match (target, &self.proxy) {
            (Target::Static(address), _) => self.connect_direct(*address).await,
            (Target::Address(address), proxy) => {
                self.check_address(address.ip())?;
                match proxy {
                    None => self.connect_direct(*address).await,
                    Some(proxy) => self.connect_via(proxy, &address.to_string()).await,
                }
            }
            (Target::Name(host, port), Some(proxy)) => {
                self.connect_via(proxy, &format!("{host}:{port}")).await
            }
            (Target::Name(host, port), None) => self.connect_any(host, *port).await,
            // `targets` has replaced it.
            (Target::Service(_), _) => Err(CallError::NoAddress),
        }
    }

    fn check_address(&self, ip: IpAddr) -> Result<(), CallError> {
        if self.guard.allows(ip) {
            Ok(())
        } else {
            Err(CallError::Blocked)
        }
    }

    /// Resolves a host and connects to one of its addresses. DNS is queried once, so
    /// the checked addresses are those that are connected to.
    async fn connect_any(&self, host: &str, port: u16) -> Result<TcpStream, CallError> {
        let addresses = timeout(self.timeout, self.dns.addresses(host))
            .await
            .map_err(|_elapsed| CallError::NoAddress)??;
        let mut last_error = CallError::NoAddress;
        let mut attempts = 0;
        for ip in interleave_families(&addresses) {
            let outcome = match self.check_address(ip) {
                Ok(()) if attempts < MAX_ATTEMPTS => {
                    attempts += 1;
                    self.connect_direct(SocketAddr::new(ip, port)).await
                }
                Ok(()) => break,
                Err(blocked) => Err(blocked),
            };
            match outcome {
                Ok(stream) => return Ok(stream),
                // The error of an allowed address is more useful.
                Err(CallError::Blocked) if attempts > 0 => {}
                Err(error) => last_error = error,
            }
        }
        Err(last_error)
    }

    async fn connect_direct(&self, address: SocketAddr) -> Result<TcpStream, CallError> {
        match timeout(self.timeout, TcpStream::connect(address)).await {
            Ok(outcome) => outcome.map_err(|error| CallError::Connect(error.kind())),
            Err(_elapsed) => Err(CallError::Connect(std::io::ErrorKind::TimedOut)),
        }
    }

    async fn connect_via(&self, proxy: &Proxy, destination: &str) -> Result<TcpStream, CallError> {
        timeout(self.timeout, proxy::connect(proxy, destination))
            .await
            .unwrap_or_else(|_elapsed| Err(CallError::Proxy("timed out".to_owned())))
    }
}

/// Alternates between IPv6 and IPv4 addresses: if one family is unreachable, the
/// other one is tried before the attempts are used up.
fn interleave_families(addresses: &[IpAddr]) -> Vec<IpAddr> {
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
    fn address_families_alternate() {
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
            assert_eq!(interleave_families(&ips(&found)), ips(&tried));
        }
    }
}
