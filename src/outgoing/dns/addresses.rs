//! The addresses of a host, as they become known.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _, select_all};
use futures_util::stream::{Stream, unfold};
use hickory_resolver::Hosts;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::{Dns, fqdn};
use crate::outgoing::ip_literal;

/// How long the addresses of one family wait for those of the other (RFC 8305,
/// section 8: Resolution Delay). Some name servers never answer queries for AAAA or
/// for A records (RFC 4074, section 4.1).
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// How long the other family is waited for at all after the first one has answered.
const LATE_FAMILY: Duration = Duration::from_secs(1);

/// How a host name is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// A complete name in DNS.
    Public,
    /// A name that the administrator configured: it may be completed with the search
    /// domains of the system, or be known to the system only (nsswitch.conf).
    Configured,
}

type Answer<'a> = BoxFuture<'a, Vec<IpAddr>>;

/// A lookup that is under way.
struct Lookup<'a> {
    ready: VecDeque<IpAddr>,
    /// One for each family that has not answered yet.
    pending: Vec<Answer<'a>>,
    /// Asked if no family has an address.
    fallback: Option<Answer<'a>>,
}

impl Dns {
    /// The addresses of a host, the families in turn. What is late comes last. `limit`
    /// bounds the time of each query.
    pub(crate) fn addresses<'a>(
        &'a self,
        host: &'a str,
        names: Names,
        limit: Duration,
    ) -> impl Stream<Item = IpAddr> + 'a {
        let mut lookup = Lookup {
            ready: known_addresses(host).into(),
            pending: Vec::new(),
            fallback: None,
        };
        if lookup.ready.is_empty() {
            lookup.pending = match (names, fqdn(host), Name::from_ascii(host)) {
                (Names::Public, Ok(name), _) | (Names::Configured, _, Ok(name)) => {
                    self.both_families(&name, limit)
                }
                _ => Vec::new(),
            };
            if names == Names::Configured {
                lookup.fallback = Some(bounded(limit, by_system(host)));
            }
        }
        unfold(lookup, Lookup::next)
    }

    fn both_families(&self, name: &Name, limit: Duration) -> Vec<Answer<'_>> {
        let family = |kind| {
            let name = name.clone();
            bounded(limit, async move {
                self.query(&name, kind)
                    .await
                    .iter()
                    .filter_map(ip)
                    .collect()
            })
        };
        vec![family(RecordType::AAAA), family(RecordType::A)]
    }
}

impl Lookup<'_> {
    async fn next(mut self) -> Option<(IpAddr, Self)> {
        loop {
            if let Some(ip) = self.ready.pop_front() {
                self.fallback = None;
                return Some((ip, self));
            }
            if self.pending.is_empty() {
                let found = self.fallback.take()?.await;
                self.ready.extend(interleave_families(&found));
            } else {
                self.next_answers().await;
            }
        }
    }

    /// Waits for the addresses of a family, and shortly for those of the other.
    async fn next_answers(&mut self) {
        let (mut found, _, others) = select_all(std::mem::take(&mut self.pending)).await;
        // What did not answer until now may never do.
        let late = others.into_iter().map(|other| bounded(LATE_FAMILY, other));
        self.pending = late.collect();
        if let Some(other) = self.pending.last_mut().filter(|_| !found.is_empty())
            && let Ok(more) = timeout(RESOLUTION_DELAY, other).await
        {
            found.extend(more);
            self.pending.clear();
        }
        self.ready.extend(interleave_families(&found));
    }
}

/// The addresses that no name server is asked for: of an address, or of a name in the
/// file of hosts, as with the system's resolver. The file is small, and may change.
fn known_addresses(host: &str) -> Vec<IpAddr> {
    match (ip_literal(host), Name::from_ascii(host)) {
        (Some(ip), _) => vec![ip],
        (None, Ok(name)) => listed(&Hosts::from_system().unwrap_or_default(), &name),
        (None, Err(_)) => Vec::new(),
    }
}

/// The addresses of a name in a file of hosts.
fn listed(hosts: &Hosts, name: &Name) -> Vec<IpAddr> {
    let name = name.to_lowercase();
    let of_family = |kind| hosts.lookup_static_host(&Query::query(name.clone(), kind));
    let found = [RecordType::AAAA, RecordType::A].map(of_family);
    let records = found
        .iter()
        .flatten()
        .flat_map(hickory_resolver::lookup::Lookup::answers);
    let ips: Vec<IpAddr> = records.filter_map(|record| ip(&record.data)).collect();
    interleave_families(&ips)
}

fn bounded<'a>(
    limit: Duration,
    query: impl Future<Output = Vec<IpAddr>> + Send + 'a,
) -> Answer<'a> {
    // The time begins when the answer is first waited for.
    async move { timeout(limit, query).await.unwrap_or_default() }.boxed()
}

async fn by_system(host: &str) -> Vec<IpAddr> {
    match lookup_host((host, 0)).await {
        Ok(found) => found.map(|address| address.ip()).collect(),
        Err(_) => Vec::new(),
    }
}

fn ip(data: &RData) -> Option<IpAddr> {
    data.ip_addr()
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
    fn file_of_hosts_knows_names_in_any_case() {
        let mut hosts = Hosts::default();
        let text = "192.0.2.1 Relay relay.example # x\n2001:db8::1 relay.example\nrubbish\n";
        hosts.read_hosts_conf(text.as_bytes()).unwrap();
        for (name, addresses) in [
            ("relay.example", &["2001:db8::1", "192.0.2.1"][..]),
            ("RELAY.Example.", &["2001:db8::1", "192.0.2.1"]),
            ("relay", &["192.0.2.1"]),
            ("other.example", &[]),
        ] {
            let found = listed(&hosts, &Name::from_ascii(name).unwrap());
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found, addresses, "{name}");
        }
    }

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
