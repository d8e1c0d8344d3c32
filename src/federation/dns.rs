//! DNS lookups: addresses, and SRV records in the order in which to try them.

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

/// The timeout of one query to a name server. Each is tried twice.
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);

/// The DNS resolver cannot be created.
#[derive(Debug, thiserror::Error)]
#[error("cannot create the DNS resolver: {0}")]
pub struct DnsError(#[from] NetError);

/// A resolver. It caches answers for their TTL.
pub(super) struct Dns(TokioResolver);

/// The SRV records of a service.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// There are no records.
    NoRecords,
    /// The service is not available (RFC 2782: the target is the root).
    NotAvailable,
    /// Hosts and ports in the order in which to try them (NET-07).
    Targets(Vec<(String, u16)>),
}

impl Dns {
    /// Creates a resolver for these name servers, or for those of the system if there
    /// are none.
    pub(super) fn open(servers: &[SocketAddr]) -> Result<Self, DnsError> {
        let mut builder = if servers.is_empty() {
            TokioResolver::builder_tokio().unwrap_or_else(|error| {
                // The system's own resolver falls back to this address, too.
                warn!("cannot read the DNS settings of the system; using 127.0.0.1: {error}");
                builder(&[SocketAddr::from((Ipv4Addr::LOCALHOST, 53))])
            })
        } else {
            builder(servers)
        };
        let options = builder.options_mut();
        options.timeout = options.timeout.min(QUERY_TIMEOUT);
        options.attempts = 2;
        Ok(Self(builder.build()?))
    }

    /// The addresses of a host.
    pub(super) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, CallError> {
        let lookup = self
            .0
            .lookup_ip(fqdn(host)?)
            .await
            .map_err(|_no_address_or_no_answer| CallError::NoAddress)?;
        Ok(lookup.iter().collect())
    }

    /// The SRV records for federation of a host: those of `_matrix-fed`, or else the
    /// deprecated ones of `_matrix` (NET-04).
    pub(super) async fn service(&self, host: &str) -> Service {
        for service in ["_matrix-fed", "_matrix"] {
            // The name of the service may be too long for DNS.
            let Ok(name) = fqdn(&format!("{service}._tcp.{host}")) else {
                continue;
            };
            // A failed query counts as no records: TLS verifies the fallback target.
            let Ok(lookup) = self.0.srv_lookup(name).await else {
                continue;
            };
            let records = srv_records(lookup.answers().iter().map(|record| &record.data));
            if !records.is_empty() {
                return order(records, random::fraction);
            }
        }
        Service::NoRecords
    }
}

fn builder(servers: &[SocketAddr]) -> hickory_resolver::ResolverBuilder<TokioRuntimeProvider> {
    let servers = servers.iter().map(|server| {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut config| {
            config.port = server.port();
            config
        });
        NameServerConfig::new(server.ip(), true, connections.into())
    });
    let config = ResolverConfig::from_name_servers(servers.collect());
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
}

/// A fully qualified name, which is not completed with the search domains of the
/// system.
fn fqdn(host: &str) -> Result<Name, CallError> {
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

fn srv_records<'a>(answers: impl Iterator<Item = &'a RData>) -> Vec<Srv> {
    answers
        .filter_map(|data| match data {
            RData::SRV(srv) => Some(Srv {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: srv.target.to_ascii().trim_end_matches('.').to_owned(),
            }),
            _ => None,
        })
        .collect()
}

/// Orders records as RFC 2782 requires: by priority, and randomly by weight within
/// a priority. `random` returns numbers from 0 to 1.
fn order(mut records: Vec<Srv>, mut random: impl FnMut() -> f64) -> Service {
    if records.iter().all(|record| record.target.is_empty()) {
        return Service::NotAvailable;
    }
    records.retain(|record| !record.target.is_empty());
    // Records of weight 0 come first: otherwise they would never be selected.
    records.sort_by_key(|record| (record.priority, record.weight));
    let mut ordered = Vec::new();
    while let Some(first) = records.first() {
        let priority = first.priority;
        let candidates = records
            .iter()
            .take_while(|record| record.priority == priority);
        let total: u32 = candidates
            .clone()
            .map(|record| u32::from(record.weight))
            .sum();
        let threshold = random() * f64::from(total + 1);
        let mut sum = 0.0;
        let selected = candidates.enumerate().find_map(|(index, record)| {
            sum += f64::from(record.weight);
            // A threshold of 0 selects a record of weight 0, if there is one.
            (sum + 1.0 > threshold).then_some(index)
        });
        let record = records.remove(selected.unwrap_or(0));
        ordered.push((record.target, record.port));
    }
    Service::Targets(ordered)
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

    fn ordered(records: &[Srv], random: f64) -> Vec<String> {
        match order(records.to_vec(), || random) {
            Service::Targets(targets) => targets.into_iter().map(|(target, _)| target).collect(),
            other => panic!("{other:?}"),
        }
    }

    /// NET-07
    #[test]
    fn priority_comes_before_weight() {
        let records = [srv(20, 100, "c"), srv(10, 0, "a"), srv(15, 1, "b")];
        for random in [0.0, 0.5, 0.99] {
            assert_eq!(ordered(&records, random), ["a", "b", "c"]);
        }
    }

    /// NET-07
    #[test]
    fn weight_is_the_probability_among_equals() {
        let records = [srv(1, 90, "heavy"), srv(1, 10, "light"), srv(1, 0, "none")];
        assert_eq!(ordered(&records, 0.0)[0], "none");
        assert_eq!(ordered(&records, 0.05)[0], "light");
        assert_eq!(ordered(&records, 0.5)[0], "heavy");
        assert_eq!(ordered(&records, 0.999)[0], "heavy");
        for random in [0.0, 0.3, 0.999] {
            assert_eq!(ordered(&records, random).len(), 3, "all are tried");
        }
    }

    /// NET-07
    #[test]
    fn root_target_means_no_service() {
        assert_eq!(order(vec![srv(0, 0, "")], || 0.0), Service::NotAvailable);
        assert_eq!(ordered(&[srv(0, 0, ""), srv(1, 0, "a")], 0.0), ["a"]);
    }
}
