//! The open connections of a listener, and how many it may have.
//!
//! When there are too many, the newest one gets the place of those that have waited
//! longest for their client: strangers who hold idle connections lose them, and a
//! client that asks is let in. Requests in work are never ended.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use log::warn;

use crate::domain::rate::client_network;
use crate::http::Connection;
use crate::permits::{NoShare, Share, Shares};

/// When a limit is reached, this part of it is closed at once, so that a flood costs a
/// search for each of these parts and not for each connection.
const CLOSED_PART: usize = 64;

/// Heads of more than the usual length that strangers may send at a time, an eighth of
/// them one client. Each may have 128 KiB.
const MAX_LONG_HEADS: u64 = 512;

/// A flood is logged so often.
const WARN_EVERY: Duration = Duration::from_mins(1);

/// How many connections a listener may have.
#[derive(Debug, Clone, Default)]
pub(in crate::server) struct Limits {
    /// In total.
    pub(in crate::server) total: usize,
    /// From one client network; `None` for a listener that is not public.
    pub(in crate::server) per_client: Option<usize>,
    /// The proxies, whose connections are those of many clients.
    pub(in crate::server) proxies: Vec<IpNet>,
}

/// The connections of one listener. Clones share them.
#[derive(Debug, Clone)]
pub(in crate::server) struct Connections {
    limits: Arc<Limits>,
    open: Arc<Mutex<Open>>,
    long_heads: Shares,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    last_id: u64,
    warned_at: Option<Instant>,
    by_client: HashMap<String, HashMap<u64, Connection>>,
}

/// The place of an open connection. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Admission {
    connection: Connection,
    open: Arc<Mutex<Open>>,
    long_heads: Shares,
    client: String,
    id: u64,
    is_limited: bool,
}

impl Connections {
    #[must_use]
    pub(in crate::server) fn new(limits: Limits) -> Self {
        Self {
            limits: Arc::new(limits),
            open: Arc::default(),
            long_heads: Shares::new(MAX_LONG_HEADS, MAX_LONG_HEADS / 8),
        }
    }

    /// How many there may be.
    pub(super) fn total(&self) -> usize {
        self.limits.total
    }

    /// The place of a connection that was accepted; `None` if it must be closed.
    pub(super) fn admit(&self, peer: Option<IpAddr>) -> Option<Admission> {
        let peer = peer.map(|ip| ip.to_canonical());
        let is_proxy = |ip: IpAddr| self.limits.proxies.iter().any(|net| net.contains(&ip));
        let client = peer.map(client_network).unwrap_or_default();
        let per_client = self
            .limits
            .per_client
            .filter(|_| !peer.is_some_and(is_proxy));
        let mut open = self.lock();
        if let Some(limit) = per_client
            && open.by_client.get(&client).map_or(0, HashMap::len) >= limit
        {
            open.close_waiting(Some(&client), limit.div_ceil(CLOSED_PART))?;
        }
        if open.total >= self.limits.total {
            open.close_waiting(None, self.limits.total.div_ceil(CLOSED_PART))?;
        }
        let connection = Connection::new(self.limits.per_client.is_some());
        open.last_id += 1;
        open.total += 1;
        let id = open.last_id;
        let of_client = open.by_client.entry(client.clone()).or_default();
        of_client.insert(id, connection.clone());
        drop(open);
        Some(Admission {
            connection,
            open: Arc::clone(&self.open),
            long_heads: self.long_heads.clone(),
            client,
            id,
            is_limited: per_client.is_some(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Closes the connections that have waited longest for their client, at most
    /// `count`; `None` if there is none. They count no longer, although their tasks
    /// take a moment to end.
    fn close_waiting(&mut self, client: Option<&str>, count: usize) -> Option<()> {
        let is_meant = |name: &String| client.is_none_or(|client| client == name);
        self.warn_sometimes(client.is_none());
        let mut waiting: Vec<_> = self
            .by_client
            .iter()
            .filter(|(name, _)| is_meant(name))
            .flat_map(|(name, all)| all.iter().map(move |(id, one)| (name, *id, one)))
            .filter_map(|(name, id, one)| Some((one.waiting_since()?, name.clone(), id)))
            .collect();
        if waiting.len() > count {
            waiting.select_nth_unstable(count);
            waiting.truncate(count);
        }
        if waiting.is_empty() {
            return None;
        }
        for (_, name, id) in waiting {
            if let Some(connection) = self.remove(&name, id) {
                connection.close();
            }
        }
        Some(())
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

    fn remove(&mut self, client: &str, id: u64) -> Option<Connection> {
        let of_client = self.by_client.get_mut(client)?;
        let removed = of_client.remove(&id)?;
        self.total = self.total.saturating_sub(1);
        if of_client.is_empty() {
            self.by_client.remove(client);
        }
        Some(removed)
    }
}

impl Admission {
    /// The state of the connection.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Makes room for a head that is longer than usual.
    ///
    /// # Errors
    /// There are too many such heads.
    pub(super) fn long_head(&self) -> Result<Option<Share>, NoShare> {
        self.is_limited
            .then(|| self.long_heads.try_acquire(&self.client, 1))
            .transpose()
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&self.client, self.id);
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
        assert_eq!(all.lock().total, 3);
        drop((first, second, third, others));
        assert_eq!(all.lock().total, 0);
        assert!(all.lock().by_client.is_empty());
    }

    /// SEC-01
    #[test]
    fn requests_in_work_keep_their_connections() {
        let all = connections(2, 2);
        let busy = ["192.0.2.1", "192.0.2.2"].map(|peer| admit(&all, peer).unwrap());
        let work = busy.each_ref().map(|one| one.connection.request());
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
}
