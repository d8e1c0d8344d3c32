//! Rate limits of requests that are too frequent to count in the database. The
//! counters are in memory, so each instance has its own, and a restart resets
//! them.

pub(crate) mod all;
pub(crate) mod binds;
pub(crate) mod calls;
pub(crate) mod ledger;
pub(crate) mod waits;

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

use crate::config::RateSettings;
use crate::domain::rate::client_network;

/// After this many checks, cells far from the limit are removed, so that many
/// clients do not fill the memory (OPS-02).
const CLEANUP_INTERVAL: u32 = 10_000;

/// The maximum number of individual cells, about 4 MiB. While it is reached, new
/// keys share cells: strangers can invent any number of homeserver names
/// (OPS-02).
const MAX_CELLS: usize = 100_000;

/// The number of cells that are shared then.
const SHARED_CELLS: u64 = 4096;

/// A rate limit for each of many keys: clients, users or homeservers.
pub struct Limiter {
    // By hash, which takes less memory than the key. The hash is seeded, so
    // clients cannot choose keys that collide.
    cells: DefaultKeyedRateLimiter<u64>,
    hasher: RandomState,
    clock: DefaultClock,
    checks: AtomicU32,
}

impl Limiter {
    /// Creates a limiter; `None` if the rate is disabled by a burst of 0.
    #[must_use]
    pub fn new(rate: &RateSettings) -> Option<Self> {
        let quota = Quota::with_period(rate.every)?.allow_burst(NonZeroU32::new(rate.burst)?);
        Some(Self {
            cells: DefaultKeyedRateLimiter::keyed(quota),
            hasher: RandomState::new(),
            clock: DefaultClock::default(),
            checks: AtomicU32::new(0),
        })
    }

    /// Counts `amount` for the IP address of a client. A client without an address
    /// is not limited.
    ///
    /// # Errors
    /// The limit is exceeded. The error is the time to wait in milliseconds, at
    /// least 1.
    pub fn take_for_client(&self, client: Option<IpAddr>, amount: u32) -> Result<(), i64> {
        client.map_or(Ok(()), |client| self.take(&client_network(client), amount))
    }

    /// Counts `amount` for a key.
    ///
    /// # Errors
    /// The limit is exceeded. The error is the time to wait in milliseconds, at
    /// least 1.
    pub fn take(&self, key: &str, amount: u32) -> Result<(), i64> {
        let checks = self.checks.fetch_add(1, Ordering::Relaxed);
        if checks % CLEANUP_INTERVAL == CLEANUP_INTERVAL - 1 {
            self.cells.retain_recent();
            self.cells.shrink_to_fit();
        }
        let Some(amount) = NonZeroU32::new(amount) else {
            return Ok(());
        };
        match self.cells.check_key_n(&self.cell(key), amount) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => Err(ms(until.wait_time_from(self.clock.now()))),
            // Larger than the burst, which the configuration rules out.
            Err(_insufficient_capacity) => Err(ms(Duration::from_mins(1))),
        }
    }

    fn cell(&self, key: &str) -> u64 {
        let hash = self.hasher.hash_one(key);
        if self.cells.len() < MAX_CELLS {
            hash
        } else {
            hash % SHARED_CELLS
        }
    }
}

fn ms(wait: Duration) -> i64 {
    i64::try_from(wait.as_millis()).unwrap_or(i64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(burst: u32) -> Option<Limiter> {
        Limiter::new(&RateSettings {
            burst,
            every: Duration::from_hours(1),
        })
    }

    /// V1L-06
    #[test]
    fn addresses_are_counted_and_not_requests() {
        let limiter = limiter(10).unwrap();
        let take = |client: &str, amount| limiter.take_for_client(client.parse().ok(), amount);
        let (here, there) = ("192.0.2.1", "192.0.2.2");
        assert_eq!(take(here, 7), Ok(()));
        assert!(take(here, 4).is_err_and(|wait| wait > 50 * 60_000));
        assert_eq!(take(here, 3), Ok(()));
        assert_eq!(take(here, 0), Ok(()));
        assert!(take(here, 1).is_err());
        assert_eq!(take(there, 10), Ok(()));
        assert_eq!(take("no address", 11), Ok(()));
    }

    /// OPS-02
    #[test]
    fn keys_far_from_the_limit_are_forgotten() {
        let limiter = Limiter::new(&RateSettings {
            burst: 1000,
            every: Duration::from_nanos(1),
        })
        .unwrap();
        for number in 0..CLEANUP_INTERVAL {
            limiter.take(&number.to_string(), 1).unwrap();
        }
        assert!(limiter.cells.len() < 100, "{}", limiter.cells.len());
    }

    /// OPS-02
    #[test]
    fn excess_keys_share_a_fixed_number_of_cells() {
        let limiter = limiter(1).unwrap();
        let rejected = (0..MAX_CELLS + 50_000)
            .filter(|number| limiter.take(&number.to_string(), 1).is_err())
            .count();
        let max = MAX_CELLS + usize::try_from(SHARED_CELLS).unwrap();
        assert!(limiter.cells.len() <= max, "{}", limiter.cells.len());
        assert!(rejected > 40_000, "{rejected}");
    }

    /// LKP-18
    #[test]
    fn account_has_one_limit() {
        let limiter = limiter(10).unwrap();
        let (alice, bob) = ("@alice:example.org", "@bob:example.org");
        assert_eq!(limiter.take(alice, 10), Ok(()));
        assert!(limiter.take(alice, 1).is_err());
        assert_eq!(limiter.take(bob, 10), Ok(()));
    }

    #[test]
    fn zero_burst_disables_the_limit() {
        assert!(limiter(0).is_none());
    }
}
