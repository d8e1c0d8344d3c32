//! Rate limits in memory, so that each instance has its own, and a restart resets them: of
//! requests that are too frequent to count in the database, and as a first gate in front of
//! limits that all instances share.

pub(crate) mod all;
pub(crate) mod binds;
pub(crate) mod calls;
pub(crate) mod ledger;
pub(crate) mod sms_budget;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

use crate::config::RateSettings;
use crate::domain::counter::Refusal;
use crate::domain::rate::{NETWORK_CLIENTS, Network, networks};

/// After this many checks, cells far from the limit are removed, so that many
/// clients do not fill the memory (OPS-02).
const CLEANUP_INTERVAL: u32 = 10_000;

/// The maximum number of individual cells, about 4 MiB. While it is reached, new
/// keys share cells: strangers can invent any number of homeserver names
/// (OPS-02).
const MAX_CELLS: usize = 100_000;

/// The number of cells that are shared then.
const SHARED_CELLS: u64 = 4096;

/// The sizes of networks that are counted for one client.
const SIZES: usize = 3;

/// The refused larger networks that are remembered; about 500 KiB.
const MAX_REFUSED: usize = 10_000;

/// A rate limit for each of many keys: clients, users or homeservers.
pub struct Limiter {
    /// The setting, for the log.
    name: &'static str,
    /// The limits of single keys, and of the larger networks of clients.
    sizes: [Cells; SIZES],
    /// Until when the larger networks are refused. Meanwhile they get no cells for the
    /// smaller ones in them, which are so many that they would fill the memory.
    refused: Mutex<HashMap<u64, Refused>>,
    hasher: RandomState,
    clock: DefaultClock,
}

/// An amount that a network cannot have until then, and so no larger one.
#[derive(Debug, Clone, Copy)]
struct Refused {
    amount: u32,
    until: Instant,
}

/// The counters of keys with the same limit.
struct Cells {
    // By hash, which takes less memory than the key. The hash is seeded, so
    // clients cannot choose keys that collide.
    cells: DefaultKeyedRateLimiter<u64>,
    checks: AtomicU32,
}

impl Limiter {
    /// Creates the limiter of a setting; `None` if the rate is disabled by a burst of 0.
    #[must_use]
    pub fn new(name: &'static str, rate: &RateSettings) -> Option<Self> {
        let [first, second, third] = NETWORK_CLIENTS;
        Some(Self {
            name,
            sizes: [
                Cells::new(rate, first)?,
                Cells::new(rate, second)?,
                Cells::new(rate, third)?,
            ],
            refused: Mutex::default(),
            hasher: RandomState::new(),
            clock: DefaultClock::default(),
        })
    }

    /// Counts `amount` for the IP address of a client, and for the larger networks that
    /// it is in. A client without an address is not limited.
    ///
    /// # Errors
    /// The limit is exceeded.
    pub fn take_for_client(&self, client: Option<IpAddr>, amount: u32) -> Result<(), Refusal> {
        self.take_for_client_and(client, "", amount)
    }

    /// Counts `amount` for a client together with something else.
    ///
    /// # Errors
    /// The limit is exceeded.
    pub fn take_for_client_and(
        &self,
        client: Option<IpAddr>,
        other: &str,
        amount: u32,
    ) -> Result<(), Refusal> {
        // From the smallest on: a client beyond its own limit does not use up what others
        // in its network need.
        let networks = client.map(networks).unwrap_or_default();
        let key = |network: &Network| {
            self.hasher
                .hash_one((network.name.as_str(), network.clients, other))
        };
        let keys: Vec<u64> = networks.iter().map(key).collect();
        let larger = keys.get(1..).unwrap_or_default();
        if let Some(wait) = self.refused_for(larger, amount) {
            return Err(Refusal::new(self.name, ms(wait)));
        }
        for (cells, hash) in self.sizes.iter().zip(&keys) {
            if let Err(wait_ms) = cells.take(*hash, amount, &self.clock) {
                if larger.contains(hash) {
                    self.refuse(*hash, amount, wait_ms);
                }
                return Err(Refusal::new(self.name, wait_ms));
            }
        }
        Ok(())
    }

    /// For how long one of these networks is still refused the amount.
    fn refused_for(&self, networks: &[u64], amount: u32) -> Option<Duration> {
        if networks.is_empty() {
            return None;
        }
        let now = Instant::now();
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let known = networks.iter().filter_map(|network| refused.get(network));
        let until = known.filter(|refused| refused.amount <= amount);
        let until = until.map(|refused| refused.until).max()?;
        let wait = until.saturating_duration_since(now);
        (!wait.is_zero()).then_some(wait)
    }

    fn refuse(&self, network: u64, amount: u32, wait_ms: i64) {
        let now = Instant::now();
        let wait = Duration::from_millis(u64::try_from(wait_ms).unwrap_or_default());
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() >= MAX_REFUSED {
            refused.retain(|_, refused| refused.until > now);
        }
        if refused.len() < MAX_REFUSED
            && let Some(until) = now.checked_add(wait)
        {
            refused.insert(network, Refused { amount, until });
        }
    }

    /// Counts `amount` for a key.
    ///
    /// # Errors
    /// The limit is exceeded.
    pub fn take(&self, key: &str, amount: u32) -> Result<(), Refusal> {
        let [single, ..] = &self.sizes;
        single
            .take(self.hasher.hash_one(key), amount, &self.clock)
            .map_err(|wait_ms| Refusal::new(self.name, wait_ms))
    }
}

impl Cells {
    /// The limit of so many clients together.
    fn new(rate: &RateSettings, clients: u32) -> Option<Self> {
        let burst = NonZeroU32::new(rate.burst.saturating_mul(clients))?;
        let every = rate.every.checked_div(clients)?;
        let quota = Quota::with_period(every.max(Duration::from_nanos(1)))?.allow_burst(burst);
        Some(Self {
            cells: DefaultKeyedRateLimiter::keyed(quota),
            checks: AtomicU32::new(0),
        })
    }

    /// Counts `amount`, or returns the time to wait in milliseconds, at least 1.
    fn take(&self, hash: u64, amount: u32, clock: &DefaultClock) -> Result<(), i64> {
        let checks = self.checks.fetch_add(1, Ordering::Relaxed);
        if checks % CLEANUP_INTERVAL == CLEANUP_INTERVAL - 1 {
            self.cells.retain_recent();
            self.cells.shrink_to_fit();
        }
        let Some(amount) = NonZeroU32::new(amount) else {
            return Ok(());
        };
        match self.cells.check_key_n(&self.cell(hash), amount) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => Err(ms(until.wait_time_from(clock.now()))),
            // Larger than the burst, which the configuration rules out.
            Err(_insufficient_capacity) => Err(ms(Duration::from_mins(1))),
        }
    }

    fn cell(&self, hash: u64) -> u64 {
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
        Limiter::new(
            "a",
            &RateSettings {
                burst,
                every: Duration::from_hours(1),
            },
        )
    }

    /// V1L-06
    #[test]
    fn addresses_are_counted_and_not_requests() {
        let limiter = limiter(10).unwrap();
        let take = |client: &str, amount| limiter.take_for_client(client.parse().ok(), amount);
        let (here, there) = ("192.0.2.1", "192.0.2.2");
        assert_eq!(take(here, 7), Ok(()));
        assert!(take(here, 4).is_err_and(|refusal| refusal.wait_ms > 50 * 60_000));
        assert_eq!(take(here, 3), Ok(()));
        assert_eq!(take(here, 0), Ok(()));
        assert!(take(here, 1).is_err());
        assert_eq!(take(there, 10), Ok(()));
        assert_eq!(take("no address", 11), Ok(()));
    }

    /// OPS-02
    #[test]
    fn keys_far_from_the_limit_are_forgotten() {
        let limiter = Limiter::new(
            "a",
            &RateSettings {
                burst: 1000,
                every: Duration::from_nanos(1),
            },
        )
        .unwrap();
        for number in 0..CLEANUP_INTERVAL {
            limiter.take(&number.to_string(), 1).unwrap();
        }
        assert!(
            limiter.sizes[0].cells.len() < 100,
            "{}",
            limiter.sizes[0].cells.len()
        );
    }

    /// OPS-02
    #[test]
    fn excess_keys_share_a_fixed_number_of_cells() {
        let limiter = limiter(1).unwrap();
        let rejected = (0..MAX_CELLS + 50_000)
            .filter(|number| limiter.take(&number.to_string(), 1).is_err())
            .count();
        let max = MAX_CELLS + usize::try_from(SHARED_CELLS).unwrap();
        assert!(
            limiter.sizes[0].cells.len() <= max,
            "{}",
            limiter.sizes[0].cells.len()
        );
        assert!(rejected > 40_000, "{rejected}");
    }

    /// OPS-02
    #[test]
    fn refused_networks_get_no_more_cells() {
        let limiter = limiter(1).unwrap();
        let take = |host: u16, amount| {
            let client = format!("2001:db8:0:{host:x}::1").parse().ok();
            limiter.take_for_client(client, amount)
        };
        let taken = (0..1000).filter(|host| take(*host, 1).is_ok());
        assert_eq!(taken.count(), 4, "a /48 counts for four clients");
        let cells = limiter.sizes[0].cells.len();
        assert!(cells <= 16, "{cells}");
        assert!(take(2000, 2).is_err_and(|refusal| refusal.wait_ms > 1000));
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

    /// OPS-15
    #[test]
    fn larger_networks_have_growing_limits() {
        let limiter = limiter(2).unwrap();
        let take = |client: &str| limiter.take_for_client(client.parse().ok(), 1).is_ok();
        let many = |prefix: &str| {
            (0..40)
                .filter(|host| take(&format!("{prefix}{host:x}::1")))
                .count()
        };
        assert_eq!((0..10).filter(|_| take("2001:db8:1:2::1")).count(), 2);
        // The /56 with that network in it, another one, and a third in the same /48.
        assert_eq!(many("2001:db8:1:"), 2);
        assert_eq!(many("2001:db8:1:1"), 4);
        assert_eq!(many("2001:db8:1:2"), 0);
        assert_eq!(many("2001:db8:2:"), 4);
        assert!(take("192.0.2.1") && take("192.0.2.2"));
    }

    #[test]
    fn zero_burst_disables_the_limit() {
        assert!(limiter(0).is_none());
    }
}
