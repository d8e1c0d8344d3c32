//! Connects to the targets of a route, as far as the configuration allows it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustls_pki_types::ServerName as TlsName;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::guard::Guard;
use super::route::{Route, Target, target_without_srv};
use crate::config::Proxy;
use crate::domain::homeservers::HomeserverLists;
use crate::domain::ids::ServerName;
use crate::domain::rate::{self, client_network};
use crate::outgoing::{CallError, Connector, Dns, Names, Service, Stream};
use crate::permits::{Share, Shares};

/// The maximum number of SRV targets that are tried.
const MAX_TARGETS: usize = 4;

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
    /// The calls under way by address.
    pub addresses: AddressLimit,
    /// The timeout of each DNS lookup and connection attempt.
    pub timeout: Duration,
}

/// Limits the calls to one address: many names can have the same one. The static
/// addresses of the configuration and those behind a proxy are not limited.
pub(super) struct AddressLimit(Shares);

/// A connection, and the call that it counts as for its address.
pub(super) struct Connected {
    pub stream: Stream,
    pub call: Option<CountedCall>,
}

/// A call to an address, which counts until this is dropped.
pub(super) struct CountedCall {
    pub address: IpAddr,
    _share: Share,
}

impl AddressLimit {
    /// At most `max` to one address.
    pub(super) fn new(max: usize) -> Self {
        let max = u64::try_from(max).unwrap_or(u64::MAX);
        Self(Shares::new(u64::MAX, max))
    }

    /// Counts a call to an address.
    ///
    /// # Errors
    /// [`CallError::TooManyCalls`]
    pub(super) fn take(&self, address: IpAddr) -> Result<CountedCall, CallError> {
        let network = rate::Network::single(client_network(address));
        let share = self.0.try_acquire(vec![network], 1);
        let share = share.map_err(|_none| CallError::TooManyCalls)?;
        Ok(CountedCall {
            address,
            _share: share,
        })
    }
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
    pub(super) async fn connect(&self, route: &Route) -> Result<Connected, CallError> {
        let mut last_error = CallError::NoAddress;
        for target in self.targets(&route.target).await? {
            match self.connect_target(&target, &route.tls_name).await {
                Ok(connected) => return Ok(connected),
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
                .take(MAX_TARGETS)
                .map(|(host, port)| match host.parse() {
                    Ok(ip) => Target::Address(SocketAddr::new(ip, port)),
                    Err(_) => Target::Name(host, port),
                })
                .collect()),
        }
    }

    async fn connect_target(
        &self,
        target: &Target,
        name: &TlsName<'static>,
    ) -> Result<Connected, CallError> {
        let connector = Connector {
            dns: &self.dns,
            names: Names::Public,
            tls: Some((&self.tls, name)),
            timeout: self.timeout,
        };
        let stream = match (target, &self.proxy) {
            (Target::Static(address), _) => connector.connect_to(*address).await,
            (Target::Address(address), None) => {
                self.check_address(address.ip())?;
                let call = self.addresses.take(address.ip())?;
                let stream = connector.connect_to(*address).await?;
                return Ok(Connected {
                    stream,
                    call: Some(call),
                });
            }
            (Target::Address(address), Some(proxy)) => {
                self.check_address(address.ip())?;
                connector.connect_via(proxy, &address.to_string()).await
            }
            (Target::Name(host, port), Some(proxy)) => {
                let destination = format!("{host}:{port}");
                connector.connect_via(proxy, &destination).await
            }
            (Target::Name(host, port), None) => {
                let allows = |ip| self.guard.allows(ip);
                let take = |ip| self.addresses.take(ip);
                let (stream, call) = connector.connect_any(host, *port, allows, take).await?;
                return Ok(Connected {
                    stream,
                    call: Some(call),
                });
            }
            // `targets` has replaced it.
            (Target::Service(_), _) => Err(CallError::NoAddress),
        };
        stream.map(|stream| Connected { stream, call: None })
    }

    fn check_address(&self, ip: IpAddr) -> Result<(), CallError> {
        if self.guard.allows(ip) {
            Ok(())
        } else {
            Err(CallError::Blocked)
        }
    }
}
