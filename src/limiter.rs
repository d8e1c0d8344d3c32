//! Limits of what happens too often to be counted in the database: in memory,
//! per instance, forgotten at a stop.

pub mod calls;

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

use crate::config::RateSettings;
use crate::domain::rate::client_network;

/// After so many questions, who is far from the limit is forgotten, so that
/// many clients do not fill the memory (OPS-02).
const TIDY_EVERY: u32 = 10_000;

/// So many are counted one by one, about 4 MiB of them. Who comes while they are
/// that many shares a cell with others: strangers can make up names of
/// homeservers as they like (OPS-02).
const MOST: usize = 100_000;

/// The cells that are shared then.
const SHARED: u64 = 4096;

/// How much each of many may do, whoever they are: clients, users, homeservers.
pub struct Limiter {
    // By a hash that nobody can foresee, which is smaller than a name.
    cells: DefaultKeyedRateLimiter<u64>,
    hasher: RandomState,
    clock: DefaultClock,
    asked: AtomicU32,
}

impl Limiter {
    /// A limiter of that rate; `None` when it is switched off.
    #[must_use]
    pub fn new(rate: &RateSettings) -> Option<Self> {
        let quota = Quota::with_period(rate.every)?.allow_burst(NonZeroU32::new(rate.burst)?);
        Some(Self {
            cells: DefaultKeyedRateLimiter::keyed(quota),
            hasher: RandomState::new(),
            clock: DefaultClock::default(),
            asked: AtomicU32::new(0),
        })
    }

    /// Counts `amount` for a client, known by its IP address; one that has none
    /// is not limited.
    ///
    /// # Errors
    /// When that is too much: how long to wait, ms, at least 1.
    pub fn take_for_client(&self, client: Option<IpAddr>, amount: u32) -> Result<(), i64> {
        client.map_or(Ok(()), |client| self.take(&client_network(client), amount))
    }

    /// Counts `amount` for somebody, known by that name.
    ///
    /// # Errors
    /// When that is too much: how long to wait, ms, at least 1.
    pub fn take(&self, who: &str, amount: u32) -> Result<(), i64> {
        if self.asked.fetch_add(1, Ordering::Relaxed) % TIDY_EVERY == TIDY_EVERY - 1 {
            self.cells.retain_recent();
            self.cells.shrink_to_fit();
        }
        let Some(amount) = NonZeroU32::new(amount) else {
            return Ok(());
        };
        match self.cells.check_key_n(&self.cell_of(who), amount) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => Err(ms(until.wait_time_from(self.clock.now()))),
            // More than a whole burst; the configuration does not let it happen.
            Err(_too_many) => Err(ms(Duration::from_mins(1))),
        }
    }

    fn cell_of(&self, who: &str) -> u64 {
        let hash = self.hasher.hash_one(who);
        if self.cells.len() < MOST {
            hash
        } else {
            hash % SHARED
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

    #[test]
    fn v1l_06_addresses_are_counted_and_not_requests() {
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

    #[test]
    fn ops_02_who_is_far_from_the_limit_is_forgotten() {
        let limiter = Limiter::new(&RateSettings {
            burst: 1000,
            every: Duration::from_nanos(1),
        })
        .unwrap();
        for number in 0..TIDY_EVERY {
            limiter.take(&number.to_string(), 1).unwrap();
        }
        assert!(limiter.cells.len() < 100, "{}", limiter.cells.len());
    }

    #[test]
    fn ops_02_more_than_can_be_counted_one_by_one_share_what_there_is() {
        let limiter = limiter(1).unwrap();
        let refused = (0..MOST + 50_000)
            .filter(|number| limiter.take(&number.to_string(), 1).is_err())
            .count();
        let most = MOST + usize::try_from(SHARED).unwrap();
        assert!(limiter.cells.len() <= most, "{}", limiter.cells.len());
        assert!(refused > 40_000, "{refused}");
    }

    #[test]
    fn lkp_18_an_account_has_one_limit_wherever_it_is() {
        let limiter = limiter(10).unwrap();
        let (alice, bob) = ("@alice:example.org", "@bob:example.org");
        assert_eq!(limiter.take(alice, 10), Ok(()));
        assert!(limiter.take(alice, 1).is_err());
        assert_eq!(limiter.take(bob, 10), Ok(()));
    }

    #[test]
    fn a_burst_of_none_switches_it_off() {
        assert!(limiter(0).is_none());
    }
}
