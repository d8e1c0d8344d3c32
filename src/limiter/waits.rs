//! How many requests of one client wait for the outcome of a message. They share places
//! with the requests of all others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::rate::{Network, networks};

/// Of all places, one client gets this part.
const SHARE: u32 = 16;

/// A small server has room for so many of one client at least.
const MIN_PER_CLIENT: u32 = 8;

/// Counts the waiting requests of each client.
#[derive(Debug)]
pub struct Waits {
    max_per_client: u32,
    waiting: Arc<Mutex<HashMap<String, u32>>>,
}

/// A request that waits.
#[derive(Debug)]
pub struct Waiting {
    networks: Vec<String>,
    waiting: Arc<Mutex<HashMap<String, u32>>>,
}

impl Waits {
    /// Divides so many places among the clients.
    #[must_use]
    pub fn new(places: u32) -> Self {
        Self {
            max_per_client: (places / SHARE).max(MIN_PER_CLIENT),
            waiting: Arc::default(),
        }
    }

    /// One more request of a client; `None` if too many wait. A client without an address
    /// is not limited.
    #[must_use]
    pub fn enter(&self, client: Option<IpAddr>) -> Option<Waiting> {
        let networks = client.map(networks).unwrap_or_default();
        let mut waiting = lock(&self.waiting);
        let is_full = |network: &Network| {
            let count = waiting.get(&network.name).copied().unwrap_or_default();
            count >= self.max_per_client.saturating_mul(network.clients)
        };
        if networks.iter().any(is_full) {
            return None;
        }
        let names: Vec<String> = networks.into_iter().map(|network| network.name).collect();
        for name in &names {
            *waiting.entry(name.clone()).or_default() += 1;
        }
        Some(Waiting {
            networks: names,
            waiting: Arc::clone(&self.waiting),
        })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waiting = lock(&self.waiting);
        for network in &self.networks {
            if let Some(count) = waiting.get_mut(network) {
                *count -= 1;
                if *count == 0 {
                    waiting.remove(network);
                }
            }
        }
    }
}

fn lock(waiting: &Mutex<HashMap<String, u32>>) -> MutexGuard<'_, HashMap<String, u32>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_has_its_share_of_the_places() {
        let waits = Waits::new(160);
        let enter = |client: &str| waits.enter(client.parse().ok());
        let mut here: Vec<_> = (0..10).map(|_| enter("192.0.2.1").unwrap()).collect();
        assert!(enter("192.0.2.1").is_none());
        assert!(enter("192.0.2.2").is_some());
        let near: Vec<_> = (0..30)
            .map_while(|host| enter(&format!("2001:db8:0:{host:x}::1")))
            .collect();
        assert_eq!(near.len(), 20, "a /56");
        drop(near);
        assert!((0..20).all(|_| enter("no address").is_some()));
        here.pop();
        assert!(enter("192.0.2.1").is_some());
        drop(here);
        assert!(lock(&waits.waiting).is_empty());
    }
}
