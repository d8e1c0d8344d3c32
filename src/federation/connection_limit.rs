//! Limits of the calls under way: in total, and to one host.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::ids::ServerName;
use crate::permits::{NoPermit, Permit, Permits};

/// Limits the calls of one kind. Clones share the limit.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionLimit {
    permits: Permits,
    max_per_host: u32,
    hosts: Arc<Hosts>,
}

/// Calls under way by host.
#[derive(Debug, Default)]
struct Hosts(Mutex<HashMap<String, u32>>);

/// The right to make one call; it is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    _permit: Permit,
    hosts: Arc<Hosts>,
    host: String,
}

/// Why there is no permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LimitReached {
    /// Too many calls in total.
    Total,
    /// Too many calls to that host.
    Host,
    /// The server is shutting down.
    Closed,
}

impl ConnectionLimit {
    /// At most `max` calls at a time, and `max_per_host` of them to one host.
    #[must_use]
    pub(crate) fn new(max: usize, max_per_host: usize) -> Self {
        let count = |number| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            permits: Permits::new(count(max)),
            max_per_host: count(max_per_host),
            hosts: Arc::default(),
        }
    }

    /// Takes a permit for a call to that server. All ports of a host count
    /// together, since its operator can use any of them.
    ///
    /// # Errors
    /// At once, when there is none.
    pub(crate) fn try_acquire(
        &self,
        server: &ServerName,
    ) -> Result<ConnectionPermit, LimitReached> {
        let permit = self.permits.try_acquire().map_err(|reason| match reason {
            NoPermit::Full => LimitReached::Total,
            NoPermit::Closed => LimitReached::Closed,
        })?;
        let host = normalized_host(server);
        let mut hosts = self.hosts.lock();
        let calls = hosts.entry(host.clone()).or_default();
        if *calls >= self.max_per_host {
            return Err(LimitReached::Host);
        }
        *calls += 1;
        Ok(ConnectionPermit {
            _permit: permit,
            hosts: Arc::clone(&self.hosts),
            host,
        })
    }

    /// Hands out no more permits and waits for the calls under way. Returns
    /// whether they ended within `limit`.
    pub(crate) async fn drain(&self, limit: Duration) -> bool {
        self.permits.drain(limit).await
    }
}

impl Hosts {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut hosts = self.hosts.lock();
        if let Some(calls) = hosts.get_mut(&self.host) {
            *calls = calls.saturating_sub(1);
            if *calls == 0 {
                hosts.remove(&self.host);
            }
        }
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

    fn acquire(limit: &ConnectionLimit, name: &str) -> Result<ConnectionPermit, LimitReached> {
        limit.try_acquire(&ServerName::parse(name).unwrap())
    }

    /// SEC-25
    #[test]
    fn connections_per_host_are_limited() {
        let limit = ConnectionLimit::new(5, 2);
        let first = acquire(&limit, "a.example").unwrap();
        let second = acquire(&limit, "A.example:1").unwrap();
        let third = acquire(&limit, "a.EXAMPLE:2");
        assert_eq!(third.unwrap_err(), LimitReached::Host);
        let others: Vec<_> = ["[::1]", "[0:0::1]:1", "b.example"]
            .map(|name| acquire(&limit, name).unwrap())
            .into();
        let sixth = acquire(&limit, "c.example");
        assert_eq!(sixth.unwrap_err(), LimitReached::Total);
        drop(first);
        let again = acquire(&limit, "[::1]");
        assert_eq!(again.unwrap_err(), LimitReached::Host);
        assert!(acquire(&limit, "a.example").is_ok());
        drop((second, others));
        assert!(limit.hosts.lock().is_empty(), "nothing is left behind");
    }
}
