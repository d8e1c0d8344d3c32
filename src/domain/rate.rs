//! How often something may happen: a burst, then one per interval.
//!
//! What is kept of each counted party is one moment, the one until which all
//! that happened is paid for at one per interval (the virtual scheduling form of
//! the generic cell rate algorithm).

use std::net::IpAddr;

use sha2::{Digest as _, Sha256};

use super::base64;

/// A burst, then one per interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many at once; at least 1.
    pub burst: u32,
    /// Milliseconds after which one more is free; at least 1.
    pub every_ms: i64,
}

impl Rate {
    /// The furthest `paid_until` that is still within the rate at `now`.
    #[must_use]
    pub fn horizon(self, now: i64) -> i64 {
        now.saturating_add(self.every_ms.saturating_mul(i64::from(self.burst)))
    }

    /// Milliseconds until one more is within the rate, for a party that is at
    /// its limit and paid until `paid_until`.
    #[must_use]
    pub fn wait_ms(self, paid_until: i64, now: i64) -> i64 {
        paid_until
            .saturating_add(self.every_ms)
            .saturating_sub(self.horizon(now))
            .max(1)
    }
}

/// What counts as one client: an IPv4 address, or a network of 64 bits of IPv6,
/// which one client has as a whole.
#[must_use]
pub fn client_network(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => (u128::from(ip) >> 64).to_string(),
    }
}

/// Who is counted: a scope and a hash, since neither addresses nor IPs need to
/// be kept for counting.
#[must_use]
pub fn counted(scope: &str, who: &str) -> String {
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
    fn a_burst_then_one_per_interval() {
        let mut paid_until: i64 = 0;
        let mut ask = |now: i64| {
            let next = paid_until.max(now) + RATE.every_ms;
            let fine = next <= RATE.horizon(now);
            if fine {
                paid_until = next;
                Ok(())
            } else {
                Err(RATE.wait_ms(paid_until, now))
            }
        };
        assert_eq!([ask(1000), ask(1000), ask(1000)], [Ok(()); 3]);
        assert_eq!(ask(1000), Err(100));
        assert_eq!(ask(1060), Err(40));
        assert_eq!(ask(1100), Ok(()));
        assert_eq!(ask(1100), Err(100));
    }

    #[test]
    fn who_is_counted_is_hashed() {
        let counted = counted("email-to", "alice@example.com");
        assert!(counted.starts_with("email-to:") && !counted.contains("alice"));
    }
}
