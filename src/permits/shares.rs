//! A bounded amount of something, of which each of many clients or hosts may have a part:
//! none of them can then have all of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::rate::Network;

/// Hands out [`Share`]s. Clones share the amount.
#[derive(Debug, Clone)]
pub(crate) struct Shares {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    total: u64,
    per_client: u64,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    total: u64,
    by_network: HashMap<String, u64>,
}

/// What somebody has; it is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    inner: Arc<Inner>,
    holders: Vec<Network>,
    amount: u64,
}

/// Why there is no share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoShare {
    /// Everything is in use.
    Total,
    /// One of the networks has its part.
    Network,
}

impl Shares {
    /// `total` in all, and `per_client` for each client.
    #[must_use]
    pub(crate) fn new(total: u64, per_client: u64) -> Self {
        Self {
            inner: Arc::new(Inner {
                total,
                per_client,
                used: Mutex::default(),
            }),
        }
    }

    /// Takes an amount of the parts of all these networks. Without any, only the total
    /// counts.
    ///
    /// # Errors
    /// At once, when there is not enough.
    pub(crate) fn try_acquire(&self, holders: Vec<Network>, amount: u64) -> Result<Share, NoShare> {
        let mut share = Share {
            inner: Arc::clone(&self.inner),
            holders,
            amount: 0,
        };
        share.try_grow(amount)?;
        Ok(share)
    }
}

impl Share {
    /// Takes more.
    ///
    /// # Errors
    /// There is not enough; what it has, it keeps.
    pub(crate) fn try_grow(&mut self, amount: u64) -> Result<(), NoShare> {
        let mut used = self.inner.lock();
        for network in &self.holders {
            let has = used.by_network.get(&network.name).copied();
            let part = self.inner.per_client.saturating_mul(network.clients.into());
            if has.unwrap_or_default().saturating_add(amount) > part {
                return Err(NoShare::Network);
            }
        }
        let total = used.total.saturating_add(amount);
        if total > self.inner.total {
            return Err(NoShare::Total);
        }
        used.total = total;
        for network in &self.holders {
            match used.by_network.get_mut(&network.name) {
                Some(has) => *has = has.saturating_add(amount),
                None => {
                    used.by_network.insert(network.name.clone(), amount);
                }
            }
        }
        self.amount = self.amount.saturating_add(amount);
        Ok(())
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut used = self.inner.lock();
        used.total = used.total.saturating_sub(self.amount);
        for network in &self.holders {
            if let Some(has) = used.by_network.get_mut(&network.name) {
                *has = has.saturating_sub(self.amount);
                if *has == 0 {
                    used.by_network.remove(&network.name);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rate::networks;

    fn one(name: &str) -> Vec<Network> {
        vec![Network::single(name)]
    }

    #[test]
    fn each_client_has_a_part_of_the_total() {
        let shares = Shares::new(10, 4);
        let mut first = shares.try_acquire(one("a"), 3).unwrap();
        let more = shares.try_acquire(one("a"), 2);
        assert_eq!(more.unwrap_err(), NoShare::Network);
        first.try_grow(1).unwrap();
        assert_eq!(first.try_grow(1).unwrap_err(), NoShare::Network);
        let _second = shares.try_acquire(one("b"), 4).unwrap();
        let more = shares.try_acquire(one("c"), 3);
        assert_eq!(more.unwrap_err(), NoShare::Total);
        drop(first);
        assert!(shares.try_acquire(one("c"), 3).is_ok());
        let used = shares.inner.lock();
        assert_eq!(used.by_network.len(), 1, "nothing is left behind");
        assert_eq!(used.total, 4);
    }

    /// OPS-02
    #[test]
    fn larger_networks_have_a_few_parts() {
        let shares = Shares::new(1000, 10);
        let take = |client: String| shares.try_acquire(networks(client.parse().unwrap()), 1);
        let mut here: Vec<_> = (0..10)
            .map(|_| take("192.0.2.1".to_owned()).unwrap())
            .collect();
        assert!(take("192.0.2.1".to_owned()).is_err());
        assert!(take("192.0.2.2".to_owned()).is_ok());
        let near: Vec<_> = (0..30)
            .map_while(|host| take(format!("2001:db8:0:{host:x}::1")).ok())
            .collect();
        assert_eq!(near.len(), 20, "a /56");
        let far: Vec<_> = (0..100)
            .map_while(|net| take(format!("2001:db8:1:{:x}::1", net << 8)).ok())
            .collect();
        assert_eq!(far.len(), 40, "a /48");
        drop((near, far));
        assert!((0..20).all(|_| shares.try_acquire(Vec::new(), 1).is_ok()));
        here.pop();
        assert!(take("192.0.2.1".to_owned()).is_ok());
        drop(here);
        assert!(shares.inner.lock().by_network.is_empty());
    }
}
