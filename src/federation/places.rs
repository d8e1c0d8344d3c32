//! How many calls are under way at a time, and how many of them to one host.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio::time::timeout;

use crate::domain::ids::ServerName;

/// Places for calls of one kind.
#[derive(Debug, Clone)]
pub struct Places {
    free: Arc<Semaphore>,
    most: u32,
    share: u32,
    taken: Arc<Taken>,
}

/// The hosts that are being called, and how many calls are under way to each.
#[derive(Debug, Default)]
struct Taken(Mutex<HashMap<String, u32>>);

/// One place; it is free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
    taken: Arc<Taken>,
    host: String,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPlace {
    /// All are taken.
    Full,
    /// As many calls as may be are under way to that host.
    HostBusy,
    /// Nothing is let in any more.
    Closed,
}

impl Places {
    /// So many places, `share` of them for each host.
    #[must_use]
    pub fn new(most: usize, share: usize) -> Self {
        let count = |number| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            free: Arc::new(Semaphore::new(most)),
            most: count(most),
            share: count(share),
            taken: Arc::default(),
        }
    }

    /// Takes a place for a call to that server. All ports of a host count
    /// together: whoever has it can choose among them.
    ///
    /// # Errors
    /// At once, when there is none.
    pub fn take(&self, server: &ServerName) -> Result<Place, NoPlace> {
        let free = Arc::clone(&self.free).try_acquire_owned();
        let permit = free.map_err(|error| match error {
            TryAcquireError::NoPermits => NoPlace::Full,
            TryAcquireError::Closed => NoPlace::Closed,
        })?;
        let host = host(server);
        let mut taken = self.taken.lock();
        let of_host = taken.entry(host.clone()).or_default();
        if *of_host >= self.share {
            return Err(NoPlace::HostBusy);
        }
        *of_host += 1;
        Ok(Place {
            _permit: permit,
            taken: Arc::clone(&self.taken),
            host,
        })
    }

    /// Lets nothing more in and waits for the calls that are under way; answers
    /// whether all of them ended within `patience`.
    pub async fn drain(&self, patience: Duration) -> bool {
        let all = timeout(patience, self.free.acquire_many(self.most)).await;
        self.free.close();
        all.is_ok()
    }
}

impl Taken {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock();
        if let Some(of_host) = taken.get_mut(&self.host) {
            *of_host = of_host.saturating_sub(1);
            if *of_host == 0 {
                taken.remove(&self.host);
            }
        }
    }
}

/// One spelling of each host.
fn host(server: &ServerName) -> String {
    let host = server.host();
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(ip) => ip.to_string(),
        Err(_) => host.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(places: &Places, name: &str) -> Result<Place, NoPlace> {
        places.take(&ServerName::parse(name).unwrap())
    }

    #[test]
    fn sec_25_no_host_takes_more_than_its_share() {
        let places = Places::new(5, 2);
        let first = take(&places, "a.example").unwrap();
        let second = take(&places, "A.example:1").unwrap();
        let third = take(&places, "a.EXAMPLE:2");
        assert_eq!(third.unwrap_err(), NoPlace::HostBusy);
        let others: Vec<_> = ["[::1]", "[0:0::1]:1", "b.example"]
            .map(|name| take(&places, name).unwrap())
            .into();
        assert_eq!(take(&places, "c.example").unwrap_err(), NoPlace::Full);
        drop(first);
        let again = take(&places, "[::1]");
        assert_eq!(again.unwrap_err(), NoPlace::HostBusy);
        assert!(take(&places, "a.example").is_ok());
        drop((second, others));
        assert!(places.taken.lock().is_empty(), "nothing is left behind");
    }
}
