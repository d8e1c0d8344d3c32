//! Asking DNS: addresses, and SRV records in the order in which to try them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData};
use log::warn;

use super::CallError;
use crate::random;

/// How long one try at a name server may take. There are two.
const PATIENCE: Duration = Duration::from_secs(2);

/// DNS cannot be used as the configuration says.
#[derive(Debug, thiserror::Error)]
#[error("DNS cannot be used: {0}")]
pub struct DnsError(#[from] NetError);

/// Asks name servers, and remembers answers as long as these say.
pub(super) struct Dns(TokioResolver);

/// What the SRV records of a service say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// There are none.
    Unknown,
    /// There is no such service (RFC 2782: the target is the root).
    NotOffered,
    /// Hosts and ports, the first one to be tried first (NET-07).
    At(Vec<(String, u16)>),
}

impl Dns {
    /// Asks those servers, or the system's if there are none.
    pub(super) fn open(servers: &[SocketAddr]) -> Result<Self, DnsError> {
        let mut builder = if servers.is_empty() {
            TokioResolver::builder_tokio().unwrap_or_else(|error| {
                // What the system's own library does without such a file.
                warn!("the system's DNS settings cannot be read, asking 127.0.0.1: {error}");
                builder(&[SocketAddr::from((Ipv4Addr::LOCALHOST, 53))])
            })
        } else {
            builder(servers)
        };
        let options = builder.options_mut();
        options.timeout = options.timeout.min(PATIENCE);
        options.attempts = 2;
        Ok(Self(builder.build()?))
    }

    /// The addresses of a host.
    pub(super) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, CallError> {
        let found = self.0.lookup_ip(name(host)?).await;
        let found: Vec<IpAddr> = found
            .map_err(|_not_there_or_no_answer| CallError::NoAddress)?
            .iter()
            .collect();
        Ok(found)
    }

    /// The SRV records for federation of a host: those of `_matrix-fed`, else the
    /// older ones of `_matrix` (NET-04).
    pub(super) async fn service(&self, host: &str) -> Result<Service, CallError> {
        for service in ["_matrix-fed", "_matrix"] {
            let query = name(&format!("{service}._tcp.{host}"));
            // A host name so long that it cannot have such a record has none.
            let Ok(query) = query else {
                continue;
            };
            let records = match self.0.srv_lookup(query).await {
                Ok(found) => records(found.answers().iter().map(|record| &record.data)),
                // No answer is as good as no record: TLS will tell who is there.
                Err(_) => continue,
            };
            if !records.is_empty() {
                return Ok(in_order(records, random::fraction));
            }
        }
        Ok(Service::Unknown)
    }
}

fn builder(servers: &[SocketAddr]) -> hickory_resolver::ResolverBuilder<TokioRuntimeProvider> {
    let servers = servers.iter().map(|server| {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut way| {
            way.port = server.port();
            way
        });
        NameServerConfig::new(server.ip(), true, connections.into())
    });
    let config = ResolverConfig::from_name_servers(servers.collect());
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
}

/// The whole name: nothing is searched for under the system's own domains.
fn name(host: &str) -> Result<Name, CallError> {
    let mut name = Name::from_ascii(host).map_err(|_too_long| CallError::NoAddress)?;
    name.set_fqdn(true);
    Ok(name)
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Srv {
    priority: u16,
    weight: u16,
    port: u16,
    target: String,
}

fn records<'a>(answers: impl Iterator<Item = &'a RData>) -> Vec<Srv> {
    let srv = answers.filter_map(|data| match data {
        RData::SRV(srv) => Some(Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: srv.target.to_ascii().trim_end_matches('.').to_owned(),
        }),
        _ => None,
    });
    srv.collect()
}

/// The order of RFC 2782: the lowest priority first, and among equals a draw in
/// which the weight is the chance. `draw` gives numbers from 0 up to 1.
fn in_order(mut records: Vec<Srv>, mut draw: impl FnMut() -> f64) -> Service {
    if records.iter().all(|record| record.target.is_empty()) {
        return Service::NotOffered;
    }
    records.retain(|record| !record.target.is_empty());
    // Those of weight 0 come first, so that they have a chance at all.
    records.sort_by_key(|record| (record.priority, record.weight));
    let mut ordered = Vec::new();
    while let Some(first) = records.first() {
        let priority = first.priority;
        let equals = records
            .iter()
            .take_while(|record| record.priority == priority);
        let total: u32 = equals.clone().map(|record| u32::from(record.weight)).sum();
        let drawn = draw() * f64::from(total + 1);
        let mut sum = 0.0;
        let chosen = equals.enumerate().find_map(|(at, record)| {
            sum += f64::from(record.weight);
            // A draw of 0 takes one of weight 0, if there is one.
            (sum + 1.0 > drawn).then_some(at)
        });
        let record = records.remove(chosen.unwrap_or(0));
        ordered.push((record.target, record.port));
    }
    Service::At(ordered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn srv(priority: u16, weight: u16, target: &str) -> Srv {
        Srv {
            priority,
            weight,
            port: 1,
            target: target.to_owned(),
        }
    }

    fn order(records: &[Srv], draw: f64) -> Vec<String> {
        match in_order(records.to_vec(), || draw) {
            Service::At(targets) => targets.into_iter().map(|(target, _)| target).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn net_07_priority_goes_before_weight() {
        let records = [srv(20, 100, "c"), srv(10, 0, "a"), srv(15, 1, "b")];
        for draw in [0.0, 0.5, 0.99] {
            assert_eq!(order(&records, draw), ["a", "b", "c"]);
        }
    }

    #[test]
    fn net_07_the_weight_is_the_chance_among_equals() {
        let records = [srv(1, 90, "heavy"), srv(1, 10, "light"), srv(1, 0, "none")];
        assert_eq!(order(&records, 0.0)[0], "none");
        assert_eq!(order(&records, 0.05)[0], "light");
        assert_eq!(order(&records, 0.5)[0], "heavy");
        assert_eq!(order(&records, 0.999)[0], "heavy");
        for draw in [0.0, 0.3, 0.999] {
            assert_eq!(order(&records, draw).len(), 3, "all are tried in the end");
        }
    }

    #[test]
    fn net_07_the_root_as_target_is_no_service() {
        assert_eq!(in_order(vec![srv(0, 0, "")], || 0.0), Service::NotOffered);
        assert_eq!(order(&[srv(0, 0, ""), srv(1, 0, "a")], 0.0), ["a"]);
    }
}
