//! How many requests of one client wait for the outcome of a message. They share places
//! with the requests of all others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::rate::client_network;

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
    client: Option<String>,
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
        let client = client.map(client_network);
        if let Some(client) = &client {
            let mut waiting = lock(&self.waiting);
            let count = waiting.entry(client.clone()).or_default();
            if *count >= self.max_per_client {
                return None;
            }
            *count += 1;
        }
        let waiting = Arc::clone(&self.waiting);
        Some(Waiting { client, waiting })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(client) = &self.client else {
            return;
        };
        let mut waiting = lock(&self.waiting);
        if let Some(count) = waiting.get_mut(client) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(client);
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
        assert!((0..20).all(|_| enter("no address").is_some()));
        here.pop();
        assert!(enter("192.0.2.1").is_some());
        drop(here);
        assert!(lock(&waits.waiting).is_empty());
    }
}
