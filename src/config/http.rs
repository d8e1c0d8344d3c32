//! `[http]`, `[internal]` and `[operations]`: the listeners.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::checker::Checker;
use super::{duration, listen, network};

/// `[http]`: the public listener.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HttpSettings {
    /// Its addresses; at least one.
    #[serde(deserialize_with = "listen::deserialize")]
    pub listen: Vec<SocketAddr>,
    /// Threads that handle requests; 0 means one per CPU.
    pub workers: usize,
    /// The networks of proxies whose `X-Forwarded-For` is trusted (OPS-04).
    #[serde(with = "network")]
    pub trusted_proxies: Vec<IpNet>,
    /// The maximum size of a request body, in bytes (GEN-21).
    pub max_body_bytes: usize,
    /// The timeout for receiving a request, and for each actor that processes it.
    #[serde(with = "duration")]
    pub request_timeout: Duration,
    /// How long an idle connection is kept open for the next request.
    #[serde(with = "duration")]
    pub keep_alive: Duration,
    /// The maximum number of connections, as far as there are descriptors.
    pub max_connections: usize,
    /// The maximum number of connections of one client network.
    pub max_connections_per_client: usize,
    /// The maximum number of requests of one client network that are in work.
    pub max_requests_per_client: usize,
    /// How long the server goes on after the signal to stop, while `/ready` answers 503, so
    /// that load balancers send their requests elsewhere.
    #[serde(with = "duration")]
    pub shutdown_delay: Duration,
    /// How long a shutdown waits for running requests.
    #[serde(with = "duration")]
    pub shutdown_timeout: Duration,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from((Ipv6Addr::UNSPECIFIED, 8090))],
            workers: 0,
            trusted_proxies: Vec::new(),
            max_body_bytes: 32 * 1024,
            request_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            max_connections: 4096,
            max_connections_per_client: 1024,
            max_requests_per_client: 32,
            shutdown_delay: Duration::ZERO,
            shutdown_timeout: Duration::from_secs(30),
        }
    }
}

/// `[internal]`: the listener for the homeserver and the administrator.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct InternalSettings {
    /// Its addresses; none means off.
    #[serde(deserialize_with = "listen::deserialize")]
    pub listen: Vec<SocketAddr>,
    /// Allow addresses that are not loopback addresses.
    pub allow_non_loopback: bool,
    /// The host names that requests may use, in addition to IP addresses and
    /// `localhost`.
    pub allowed_hosts: Vec<String>,
}

/// `[operations]`: health, readiness and metrics.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OperationsSettings {
    /// Its addresses; none means off.
    #[serde(deserialize_with = "listen::deserialize")]
    pub listen: Vec<SocketAddr>,
}

impl HttpSettings {
    /// `has_proxy`: clients use https, which this server leaves to a proxy.
    pub(super) fn check(&self, has_proxy: bool, checker: &mut Checker<'_>) {
        const MINUTES: Duration = Duration::from_mins(10);
        if self.listen.is_empty() {
            checker.error(
                "http.listen",
                "must contain at least one address, such as \"[::]:8090\"",
            );
        }
        for network in &self.trusted_proxies {
            if network.prefix_len() == 0 {
                checker.warn("http.trusted_proxies", TRUSTS_ALL);
            }
        }
        if has_proxy && self.trusted_proxies.is_empty() {
            checker.warn("http.trusted_proxies", TRUSTS_NOBODY);
        }
        // More panics in actix-server.
        checker.range("http.workers", self.workers, 0..=512);
        checker.range("http.max_connections", self.max_connections, 64..=1_000_000);
        checker.range(
            "http.max_connections_per_client",
            self.max_connections_per_client,
            8..=1_000_000,
        );
        checker.range(
            "http.max_requests_per_client",
            self.max_requests_per_client,
            4..=100_000,
        );
        checker.range(
            "http.max_body_bytes",
            self.max_body_bytes,
            1024..=16 * 1024 * 1024,
        );
        checker.duration(
            "http.request_timeout",
            self.request_timeout,
            SECOND,
            MINUTES,
        );
        checker.duration(
            "http.keep_alive",
            self.keep_alive,
            SECOND,
            Duration::from_hours(1),
        );
        if self.keep_alive < LONGEST_PROXY_IDLE {
            checker.warn("http.keep_alive", SHORT_KEEP_ALIVE);
        }
        checker.duration(
            "http.shutdown_delay",
            self.shutdown_delay,
            Duration::ZERO,
            MINUTES,
        );
        checker.duration(
            "http.shutdown_timeout",
            self.shutdown_timeout,
            Duration::ZERO,
            MINUTES,
        );
    }
}

const SECOND: Duration = Duration::from_secs(1);
/// How long most proxies and balancers keep an idle connection open.
const LONGEST_PROXY_IDLE: Duration = Duration::from_secs(61);
const SHORT_KEEP_ALIVE: &str = "is shorter than the minute for which most proxies keep idle \
    connections: a request that a proxy sends just when this server closes its connection fails \
    with 502";
const TRUSTS_NOBODY: &str = "is empty, but the clients use https and so reach this server through \
    a proxy: all of them share its address and its limits. Add the proxy, such as \"127.0.0.1\"";
const TRUSTS_ALL: &str = "trusts every network: any client can forge its IP address and evade \
    limits";

impl InternalSettings {
    pub(super) fn check(&self, checker: &mut Checker<'_>) {
        if self.allow_non_loopback {
            return;
        }
        let is_exposed = |address: &&SocketAddr| !address.ip().to_canonical().is_loopback();
        if let Some(address) = self.listen.iter().find(is_exposed) {
            checker.error(
                "internal.listen",
                format!(
                    "must contain only loopback addresses such as \"[::1]:8091\"; {address} is not \
                     one. Anyone who can connect can bind any address to any user. If every \
                     machine in the network is trusted, set internal.allow_non_loopback = true"
                ),
            );
        }
    }
}

/// Rejects an address that is listened on twice: either the second bind fails, or one
/// listener receives requests for the other.
pub(super) fn check_overlap(lists: [(&str, &[SocketAddr]); 4], checker: &mut Checker<'_>) {
    let mut used: BTreeMap<u16, Vec<(&str, IpAddr)>> = BTreeMap::new();
    for (key, addresses) in lists {
        for address in addresses.iter().filter(|address| address.port() != 0) {
            let same_port = used.entry(address.port()).or_default();
            let conflict = same_port
                .iter()
                .find(|(other, ip)| overlaps(*ip, address.ip(), *other == key));
            match conflict {
                Some((other, ip)) if *other == key => {
                    let other = SocketAddr::new(*ip, address.port());
                    checker.error(key, format!("contains {address}, which {other} includes"));
                }
                Some((other, _)) => checker.error(
                    key,
                    format!("conflicts with {other}: both listen on {address}"),
                ),
                None => {}
            }
            same_port.push((key, address.ip()));
        }
    }
}

/// Whether two sockets with these addresses would conflict. `[::]` includes all
/// addresses of IPv4, unless the same listener has a socket for them.
fn overlaps(one: IpAddr, other: IpAddr, same_listener: bool) -> bool {
    let (one, other) = (one.to_canonical(), other.to_canonical());
    let includes = |all: IpAddr, ip: IpAddr| {
        all.is_unspecified() && (all.is_ipv4() == ip.is_ipv4() || (all.is_ipv6() && !same_listener))
    };
    one == other || includes(one, other) || includes(other, one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::origins::Origins;

    fn problems(check: impl FnOnce(&mut Checker<'_>)) -> Vec<String> {
        let origins = Origins::default();
        let mut checker = Checker::new(&origins);
        check(&mut checker);
        checker.problems.iter().map(ToString::to_string).collect()
    }

    /// INT-01
    #[test]
    fn non_loopback_needs_an_explicit_setting() {
        for (address, loopback) in [
            ("[::1]:8091", true),
            ("127.0.0.1:8091", true),
            ("127.9.9.9:0", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("0.0.0.0:8091", false),
            ("[::]:8091", false),
            ("192.0.2.1:8091", false),
            ("[::ffff:192.0.2.1]:1", false),
        ] {
            let listen = vec!["[::1]:1".parse().unwrap(), address.parse().unwrap()];
            let mut internal = InternalSettings {
                listen,
                allow_non_loopback: false,
                allowed_hosts: Vec::new(),
            };
            assert_eq!(
                problems(|c| internal.check(c)).is_empty(),
                loopback,
                "{address}"
            );
            internal.allow_non_loopback = true;
            assert!(problems(|c| internal.check(c)).is_empty());
        }
    }

    #[test]
    fn overlapping_listeners_are_rejected() {
        for (public, internal, shared) in [
            ("[::]:8090", "[::1]:8091", false),
            ("[::]:8090", "[::1]:8090", true),
            ("0.0.0.0:8090", "127.0.0.1:8090", true),
            ("127.0.0.1:8090", "127.0.0.1:8090", true),
            ("127.0.0.1:8090", "[::1]:8090", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
            ("[::]:8090", "127.0.0.1:8090", true),
            ("0.0.0.0:8090", "[::]:8090", true),
            ("0.0.0.0:8090", "[::1]:8090", false),
            ("[::ffff:127.0.0.1]:8090", "127.0.0.1:8090", true),
        ] {
            let (public, internal) = ([public.parse().unwrap()], [internal.parse().unwrap()]);
            let lists = [
                ("http.listen", &public[..]),
                ("internal.listen", &internal),
                ("o", &[]),
                ("r", &[]),
            ];
            let found = problems(|c| check_overlap(lists, c));
            assert_eq!(!found.is_empty(), shared, "{public:?} {internal:?}");
        }
    }

    #[test]
    fn one_listener_may_have_a_socket_per_family() {
        for (listen, repeated) in [
            (["[::]:8090", "0.0.0.0:8090"], false),
            (["[::]:8090", "127.0.0.1:8090"], false),
            (["127.0.0.1:8090", "[::1]:8090"], false),
            (["[::]:8090", "[::1]:8090"], true),
            (["0.0.0.0:8090", "127.0.0.1:8090"], true),
            (["127.0.0.1:8090", "127.0.0.1:8090"], true),
        ] {
            let addresses = listen.map(|address| address.parse().unwrap());
            let lists = [
                ("http.listen", &addresses[..]),
                ("i", &[]),
                ("o", &[]),
                ("r", &[]),
            ];
            let found = problems(|c| check_overlap(lists, c));
            assert_eq!(!found.is_empty(), repeated, "{listen:?} {found:?}");
        }
    }
}
