//! Limits of the calls under way: in total, to one host, to the hosts of one domain,
//! and on behalf of one client. [`super::connect`] limits them by address.

use std::net::IpAddr;
use std::time::Duration;

use crate::domain::ids::ServerName;
use crate::domain::rate::{Network, networks};
use crate::permits::{NoPermit, Permit, Permits, Share, Shares};

/// Hosts of one domain have this many times what one host has: they may be those of a
/// provider, or of a stranger who has all names of a domain.
const HOSTS_OF_DOMAIN: u32 = 2;

/// Limits the calls of one kind. Clones share the limit.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionLimit {
    permits: Permits,
    hosts: Shares,
    domains: Shares,
    clients: Shares,
}

/// The right to make one call; it is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    _permit: Permit,
    _shares: [Option<Share>; 3],
}

/// Why there is no permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LimitReached {
    /// Too many calls in total.
    Total,
    /// Too many calls to that host, or to its domain.
    Host,
    /// Too many calls on behalf of that client.
    Client,
    /// The server is shutting down.
    Closed,
}

impl ConnectionLimit {
    /// At most `max` calls at a time, and `max_per_host` of them to one host or for one
    /// client.
    #[must_use]
    pub(crate) fn new(max: usize, max_per_host: usize) -> Self {
        let count = |number| u32::try_from(number).unwrap_or(u32::MAX);
        let shares = |per_key: u32| Shares::new(u64::MAX, u64::from(per_key));
        let per_host = count(max_per_host);
        Self {
            permits: Permits::new(count(max)),
            hosts: shares(per_host),
            domains: shares(per_host.saturating_mul(HOSTS_OF_DOMAIN)),
            clients: shares(per_host),
        }
    }

    /// Takes a permit for a call to that server, on behalf of the networks of a client
    /// if a client asked for it. All ports of a host count together, since its operator
    /// can use any of them.
    ///
    /// # Errors
    /// At once, when there is none.
    pub(crate) fn try_acquire(
        &self,
        server: &ServerName,
        client: Option<IpAddr>,
    ) -> Result<ConnectionPermit, LimitReached> {
        let permit = self.permits.try_acquire().map_err(|reason| match reason {
            NoPermit::Full => LimitReached::Total,
            NoPermit::Closed => LimitReached::Closed,
        })?;
        let host = normalized_host(server);
        let of_client = client
            .map(|client| self.clients.try_acquire(networks(client), 1))
            .transpose()
            .map_err(|_none| LimitReached::Client)?;
        let of_single = |shares: &Shares, name: &str| {
            shares
                .try_acquire(vec![Network::single(name)], 1)
                .map_err(|_none| LimitReached::Host)
        };
        let of_domain = psl::domain_str(&host)
            .map(|domain| of_single(&self.domains, domain))
            .transpose()?;
        let of_host = of_single(&self.hosts, &host)?;
        Ok(ConnectionPermit {
            _permit: permit,
            _shares: [of_client, of_domain, Some(of_host)],
        })
    }

    /// Hands out no more permits and waits for the calls under way. Returns
    /// whether they ended within `limit`.
    pub(crate) async fn drain(&self, limit: Duration) -> bool {
        self.permits.drain(limit).await
    }
}

fn normalized_host(server: &ServerName) -> String {
    let host = server.host();
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(ip) => ip.to_string(),
        Err(_) => host.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acquire(
        limit: &ConnectionLimit,
        name: &str,
        client: Option<&str>,
    ) -> Result<ConnectionPermit, LimitReached> {
        let client = client.map(|client| client.parse().unwrap());
        limit.try_acquire(&ServerName::parse(name).unwrap(), client)
    }

    /// SEC-25
    #[test]
    fn connections_per_host_are_limited() {
        let limit = ConnectionLimit::new(5, 2);
        let first = acquire(&limit, "a.example", None).unwrap();
        let _second = acquire(&limit, "A.example:1", None).unwrap();
        let third = acquire(&limit, "a.EXAMPLE:2", None);
        assert_eq!(third.unwrap_err(), LimitReached::Host);
        let _others: Vec<_> = ["[::1]", "[0:0::1]:1", "b.example"]
            .map(|name| acquire(&limit, name, None).unwrap())
            .into();
        let sixth = acquire(&limit, "c.example", None);
        assert_eq!(sixth.unwrap_err(), LimitReached::Total);
        drop(first);
        let again = acquire(&limit, "[::1]", None);
        assert_eq!(again.unwrap_err(), LimitReached::Host);
        assert!(acquire(&limit, "a.example", None).is_ok());
    }

    /// SEC-25
    #[test]
    fn hosts_of_one_domain_are_limited_together() {
        let limit = ConnectionLimit::new(100, 4);
        let name = |number: u8| format!("host{number}.evil.example:844{number}");
        let held: Vec<_> = (0..8)
            .map(|number| acquire(&limit, &name(number), None).unwrap())
            .collect();
        let more = acquire(&limit, &name(8), None);
        assert_eq!(more.unwrap_err(), LimitReached::Host);
        assert!(acquire(&limit, "host.good.example", None).is_ok());
        drop(held);
        assert!(acquire(&limit, &name(8), None).is_ok());
    }

    /// SEC-25
    #[test]
    fn calls_for_one_client_are_limited() {
        let limit = ConnectionLimit::new(100, 2);
        let client = Some("192.0.2.1");
        let name = |number: u8| format!("{number}.example");
        let _held = [1, 2].map(|number| acquire(&limit, &name(number), client).unwrap());
        let third = acquire(&limit, &name(3), client);
        assert_eq!(third.unwrap_err(), LimitReached::Client);
        assert!(acquire(&limit, &name(3), Some("192.0.2.2")).is_ok());
        assert!(acquire(&limit, &name(3), None).is_ok());
        // A /48 has a few times as much, not all of it.
        let near = (0..100).map_while(|number| {
            let client = format!("2001:db8:0:{:x}::1", number << 8);
            acquire(&limit, &format!("a{number}.example"), Some(&client)).ok()
        });
        assert_eq!(near.collect::<Vec<_>>().len(), 8);
    }
}
