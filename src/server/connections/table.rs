//! The open connections of a listener, and how many it may have.
//!
//! When there are too many, the newest one gets the place of those that have waited
//! longest for their client: strangers who hold idle connections lose them, and a
//! client that asks is let in. Requests in work are never ended.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use log::warn;

use crate::domain::rate::{Network, is_within, sharers};
use crate::http::Connection;
use crate::metrics::ConnectionMetrics;

/// When a limit is reached, this part of it is closed at once, so that a flood costs a
/// search for each of these parts and not for each connection.
const CLOSED_PART: usize = 64;

/// A flood is logged so often.
const WARN_EVERY: Duration = Duration::from_mins(1);

/// How many connections a listener may have.
#[derive(Debug, Clone, Default)]
pub(in crate::server) struct Limits {
    /// In total.
    pub(in crate::server) total: usize,
    /// From one client; `None` for a listener that is not public.
    pub(in crate::server) per_client: Option<usize>,
    /// The proxies, whose connections are those of many clients.
    pub(in crate::server) proxies: Vec<IpNet>,
    /// The homeservers that pass on the requests of their users.
    pub(in crate::server) delegating: Vec<IpNet>,
    /// What is counted.
    pub(in crate::server) metrics: ConnectionMetrics,
}

/// The connections of one listener. Clones share them.
#[derive(Debug, Clone)]
pub(in crate::server) struct Connections {
    limits: Arc<Limits>,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    all: HashMap<u64, Opened>,
    by_network: HashMap<String, HashSet<u64>>,
    last_id: u64,
    warned_at: Option<Instant>,
}

#[derive(Debug)]
struct Opened {
    connection: Connection,
    networks: Vec<Network>,
}

/// The place of an open connection. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Admission {
    connection: Connection,
    open: Arc<Mutex<Open>>,
    id: u64,
    metrics: ConnectionMetrics,
}

impl Connections {
    #[must_use]
    pub(in crate::server) fn new(limits: Limits) -> Self {
        Self {
            limits: Arc::new(limits),
            open: Arc::default(),
        }
    }

    /// How many there may be.
    pub(super) fn total(&self) -> usize {
        self.limits.total
    }

    /// The place of a connection that was accepted; `None` if it must be closed.
    pub(super) fn admit(&self, peer: Option<IpAddr>) -> Option<Admission> {
        let networks = self.networks(peer);
        let mut open = self.lock();
        for network in &networks {
            let limit = self.limit(network);
            let ids = open.by_network.get(&network.name);
            if let Some(ids) = ids.filter(|ids| ids.len() >= limit) {
                let ids: Vec<u64> = ids.iter().copied().collect();
                self.close_waiting(&mut open, Some(&ids), limit)?;
            }
        }
        if open.all.len() >= self.limits.total {
            self.close_waiting(&mut open, None, self.limits.total)?;
        }
        let connection = Connection::new(self.limits.per_client.is_some());
        let id = open.add(connection.clone(), networks);
        drop(open);
        self.limits.metrics.open.inc();
        Some(Admission {
            connection,
            open: Arc::clone(&self.open),
            id,
            metrics: self.limits.metrics.clone(),
        })
    }

    /// The networks whose limits hold for a connection.
    fn networks(&self, peer: Option<IpAddr>) -> Vec<Network> {
        match (self.limits.per_client, peer) {
            (Some(_), Some(ip)) if !is_within(Some(ip), &self.limits.proxies) => {
                sharers(ip, &self.limits.delegating)
            }
            _ => Vec::new(),
        }
    }

    /// How many connections a network may have. It leaves others a part of all.
    fn limit(&self, network: &Network) -> usize {
        let clients = usize::try_from(network.clients).unwrap_or(usize::MAX);
        let per_client = self.limits.per_client.unwrap_or(usize::MAX);
        let most = (self.limits.total / 4 * 3).max(per_client);
        per_client.saturating_mul(clients).min(most)
    }

    /// Makes room where there are as many as the limit; `None` if there is none.
    fn close_waiting(&self, open: &mut Open, ids: Option<&[u64]>, limit: usize) -> Option<()> {
        let closed = open.close_waiting(ids, limit.div_ceil(CLOSED_PART));
        // Where nothing can be closed, the newest one is.
        self.limits.metrics.closed.inc_by(closed.max(1));
        (closed > 0).then_some(())
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn add(&mut self, connection: Connection, networks: Vec<Network>) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        for network in &networks {
            let ids = self.by_network.entry(network.name.clone()).or_default();
            ids.insert(id);
        }
        let opened = Opened {
            connection,
            networks,
        };
        self.all.insert(id, opened);
        id
    }

    /// Closes the connections that have waited longest for their client, at most
    /// `count`, and returns how many. They count no longer, although their tasks take a
    /// moment to end.
    fn close_waiting(&mut self, ids: Option<&[u64]>, count: usize) -> u64 {
        self.warn_sometimes(ids.is_none());
        let since = |(id, opened): (&u64, &Opened)| Some((opened.connection.waiting_since()?, *id));
        let mut waiting: Vec<_> = match ids {
            Some(ids) => {
                let known = ids.iter().filter_map(|id| self.all.get_key_value(id));
                known.filter_map(since).collect()
            }
            None => self.all.iter().filter_map(since).collect(),
        };
        if waiting.len() > count {
            waiting.select_nth_unstable(count);
            waiting.truncate(count);
        }
        let mut closed = 0;
        for (_, id) in waiting {
            if let Some(connection) = self.remove(id) {
                connection.close();
                closed += 1;
            }
        }
        closed
    }

    fn warn_sometimes(&mut self, is_total: bool) {
        if self.warned_at.is_some_and(|at| at.elapsed() < WARN_EVERY) {
            return;
        }
        self.warned_at = Some(Instant::now());
        let limit = if is_total {
            "all clients"
        } else {
            "one client"
        };
        warn!(limit; "too many connections: closing those that are idle");
    }

    fn remove(&mut self, id: u64) -> Option<Connection> {
        let opened = self.all.remove(&id)?;
        for network in &opened.networks {
            if let Some(ids) = self.by_network.get_mut(&network.name) {
                ids.remove(&id);
                if ids.is_empty() {
                    self.by_network.remove(&network.name);
                }
            }
        }
        Some(opened.connection)
    }
}

impl Admission {
    /// The state of the connection.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(self.id);
        self.metrics.open.dec();
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    fn connections(total: usize, per_client: usize) -> Connections {
        Connections::new(Limits {
            total,
            per_client: Some(per_client),
            proxies: vec!["10.0.0.0/8".parse().unwrap()],
            delegating: vec!["172.16.0.1/32".parse().unwrap()],
            metrics: ConnectionMetrics::default(),
        })
    }

    fn admit(connections: &Connections, peer: &str) -> Option<Admission> {
        connections.admit(Some(peer.parse().unwrap()))
    }

    fn is_closing(admission: &Admission) -> bool {
        let context = Context::from_waker(Waker::noop());
        admission.connection.is_closing(&context)
    }

    /// SEC-01
    #[test]
    fn newest_takes_the_place_of_the_longest_idle() {
        let all = connections(3, 2);
        let first = admit(&all, "192.0.2.1").unwrap();
        let second = admit(&all, "192.0.2.1").unwrap();
        let third = admit(&all, "192.0.2.1").unwrap();
        assert_eq!(
            [&first, &second, &third].map(is_closing),
            [true, false, false]
        );
        // The total: the longest idle one of all clients.
        let others = ["192.0.2.2", "2001:db8::1"].map(|peer| admit(&all, peer).unwrap());
        assert_eq!([&second, &third].map(is_closing), [true, false]);
        assert!(!others.iter().any(is_closing));
        assert_eq!(all.lock().all.len(), 3);
        assert_eq!(all.limits.metrics.closed.get(), 2);
        drop((first, second, third, others));
        assert_eq!(all.limits.metrics.open.get(), 0);
        assert_eq!(all.lock().all.len(), 0);
        assert!(all.lock().by_network.is_empty());
    }

    /// SEC-01
    #[test]
    fn requests_in_work_keep_their_connections() {
        let all = connections(2, 2);
        let busy = ["192.0.2.1", "192.0.2.2"].map(|peer| admit(&all, peer).unwrap());
        let work = busy.each_ref().map(|one| one.connection.request(false));
        assert!(admit(&all, "192.0.2.3").is_none());
        drop(work);
        assert!(admit(&all, "192.0.2.3").is_some());
        assert!(is_closing(&busy[0]) || is_closing(&busy[1]));
    }

    /// SEC-01
    #[test]
    fn networks_count_and_proxies_do_not() {
        let all = connections(100, 2);
        let one_network = ["2001:db8::1", "2001:db8::2", "2001:db8::3"];
        let one_network = one_network.map(|peer| admit(&all, peer).unwrap());
        assert!(is_closing(&one_network[0]));
        let proxy: Vec<_> = (0..5).map(|_| admit(&all, "::ffff:10.1.2.3")).collect();
        assert!(!proxy.iter().flatten().any(is_closing));
    }

    /// SEC-01
    #[test]
    fn larger_networks_leave_room_for_others() {
        let all = connections(40, 8);
        let far = |net: u16| format!("2001:db8:0:{:x}::1", net << 8);
        let held: Vec<_> = (0..40).map(|net| admit(&all, &far(net)).unwrap()).collect();
        let open = held.iter().filter(|one| !is_closing(one)).count();
        assert_eq!(open, 30, "a /48 may have three quarters of all");
        let delegating: Vec<_> = (0..10)
            .map(|_| admit(&all, "172.16.0.1").unwrap())
            .collect();
        assert!(!delegating.iter().any(is_closing));
        drop((held, delegating));
        assert!(all.lock().by_network.is_empty());
    }
}
