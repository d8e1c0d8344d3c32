//! Limits of what happens too often to be counted in the database: in memory,
//! per instance, forgotten at a stop.

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

/// How many addresses each client, or each account, may look up.
pub struct LookupLimiter {
    limiter: DefaultKeyedRateLimiter<String>,
    clock: DefaultClock,
    asked: AtomicU32,
}

impl LookupLimiter {
    /// A limiter of that rate; `None` when it is switched off.
    #[must_use]
    pub fn new(rate: &RateSettings) -> Option<Self> {
        let quota = Quota::with_period(rate.every)?.allow_burst(NonZeroU32::new(rate.burst)?);
        Some(Self {
            limiter: DefaultKeyedRateLimiter::keyed(quota),
            clock: DefaultClock::default(),
            asked: AtomicU32::new(0),
        })
    }

    /// Counts `addresses` of a client, known by its network.
    ///
    /// # Errors
    /// When that is too many: how long to wait.
    pub fn take_from(&self, client: IpAddr, addresses: u32) -> Result<(), Duration> {
        self.take(&client_network(client), addresses)
    }

    /// Counts `addresses` of whoever that is: one limiter has one kind of name.
    ///
    /// # Errors
    /// When that is too many: how long to wait.
    pub fn take(&self, who: &str, addresses: u32) -> Result<(), Duration> {
        if self.asked.fetch_add(1, Ordering::Relaxed) % TIDY_EVERY == TIDY_EVERY - 1 {
            self.limiter.retain_recent();
        }
        let Some(addresses) = NonZeroU32::new(addresses) else {
            return Ok(());
        };
        match self.limiter.check_key_n(&who.to_owned(), addresses) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => Err(until.wait_time_from(self.clock.now())),
            // More than a whole burst; the configuration does not let it happen.
            Err(_too_many) => Err(Duration::from_mins(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(burst: u32) -> Option<LookupLimiter> {
        LookupLimiter::new(&RateSettings {
            burst,
            every: Duration::from_hours(1),
        })
    }

    #[test]
    fn v1l_06_addresses_are_counted_and_not_requests() {
        let limiter = limiter(10).unwrap();
        let (here, there) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        assert_eq!(limiter.take_from(here, 7), Ok(()));
        assert!(
            limiter
                .take_from(here, 4)
                .is_err_and(|wait| wait > Duration::from_mins(50))
        );
        assert_eq!(limiter.take_from(here, 3), Ok(()));
        assert_eq!(limiter.take_from(here, 0), Ok(()));
        assert!(limiter.take_from(here, 1).is_err());
        assert_eq!(limiter.take_from(there, 10), Ok(()));
    }

    #[test]
    fn ops_02_who_is_far_from_the_limit_is_forgotten() {
        let limiter = LookupLimiter::new(&RateSettings {
            burst: 1000,
            every: Duration::from_nanos(1),
        })
        .unwrap();
        for number in 0..TIDY_EVERY {
            limiter.take_from(IpAddr::V4(number.into()), 1).unwrap();
        }
        assert!(limiter.limiter.len() < 100, "{}", limiter.limiter.len());
    }

    #[test]
    fn lkp_18_an_account_has_one_limit_wherever_it_is() {
        let limiter = limiter(10).unwrap();
        assert_eq!(limiter.take("@alice:example.org", 10), Ok(()));
        assert!(limiter.take("@alice:example.org", 1).is_err());
        assert_eq!(limiter.take("@bob:example.org", 10), Ok(()));
    }

    #[test]
    fn a_burst_of_none_switches_it_off() {
        assert!(limiter(0).is_none());
    }
}
