//! Rate limits: a burst, then one event per interval.
//!
//! This is the virtual scheduling form of the generic cell rate algorithm. For
//! each counter only one time is stored, `paid_until`: each event adds one
//! interval to it.

use std::net::IpAddr;

use sha2::{Digest as _, Sha256};

use super::base64;

/// A rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many events may happen at once; at least 1.
    pub burst: u32,
    /// Milliseconds after which one more event is allowed; at least 1.
    pub every_ms: i64,
}

impl Rate {
    /// The latest `paid_until` that is within the limit at `now`.
    #[must_use]
    pub fn horizon(self, now: i64) -> i64 {
        now.saturating_add(self.every_ms.saturating_mul(i64::from(self.burst)))
    }

    /// Milliseconds until one more event is within the limit, for a counter that
    /// has reached it.
    #[must_use]
    pub fn wait_ms(self, paid_until: i64, now: i64) -> i64 {
        paid_until
            .saturating_add(self.every_ms)
            .saturating_sub(self.horizon(now))
            .max(1)
    }
}

/// The network that counts as one client: an IPv4 address, or the /64 of an IPv6
/// address, since a client usually controls all of it.
#[must_use]
pub fn client_network(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => (u128::from(ip) >> 64).to_string(),
    }
}

/// The key of a counter: a scope and a hash, so the counters store neither
/// addresses nor IP addresses.
#[must_use]
pub fn counter_key(scope: &str, who: &str) -> String {
    let digest = Sha256::digest(format!("{scope} {who}").as_bytes());
    format!("{scope}:{}", base64::encode_url_safe(digest.as_slice()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        burst: 3,
        every_ms: 100,
    };

    #[test]
    fn allows_a_burst_and_then_one_per_interval() {
        let mut paid_until: i64 = 0;
        let mut take = |now: i64| {
            let next = paid_until.max(now) + RATE.every_ms;
            if next <= RATE.horizon(now) {
                paid_until = next;
                Ok(())
            } else {
                Err(RATE.wait_ms(paid_until, now))
            }
        };
        assert_eq!([take(1000), take(1000), take(1000)], [Ok(()); 3]);
        assert_eq!(take(1000), Err(100));
        assert_eq!(take(1060), Err(40));
        assert_eq!(take(1100), Ok(()));
        assert_eq!(take(1100), Err(100));
    }

    #[test]
    fn limiter_key_is_hashed() {
        let key = counter_key("email-to", "alice@example.com");
        assert!(key.starts_with("email-to:") && !key.contains("alice"));
    }
}
