//! Rate limits: a burst, then one event per interval.
//!
//! This is the virtual scheduling form of the generic cell rate algorithm. For
//! each counter only one time is stored, `paid_until`: each event adds one
//! interval to it.

use std::net::IpAddr;

use ipnet::IpNet;

/// How far the clock of an instance may be from that of the database, ms. It counts by the
/// clock of the database then, and by its own beyond that.
pub const CLOCK_SKEW_MS: i64 = 60_000;

/// What counts as the present for counters that instances share: the time of the database,
/// so that an instance whose clock is ahead neither locks out the clients of the others nor
/// allows more. Its own time only if the two are so far apart that one of them is wrong: the
/// clock of the database may be, and the limits are not to depend on it alone.
#[must_use]
pub fn shared_present(own: i64, database: i64) -> i64 {
    if own.abs_diff(database) <= CLOCK_SKEW_MS.unsigned_abs() {
        database
    } else {
        own
    }
}

/// What one more event does to a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charged {
    /// It is within the limit, and moves `paid_until` there.
    Within(i64),
    /// It will be within the limit in so many milliseconds.
    Reached(i64),
}

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
        now.saturating_add(self.time_for(self.burst))
    }

    /// What one more event does.
    #[must_use]
    pub fn charge(self, paid_until: i64, now: i64) -> Charged {
        let wanted = paid_until.max(now).saturating_add(self.every_ms);
        if wanted <= self.horizon(now) {
            Charged::Within(wanted)
        } else {
            Charged::Reached(self.wait_ms(paid_until, now))
        }
    }

    /// A counter that is beyond the horizon, because the clock was set back or the limit
    /// was lowered, brought back to the horizon: nobody is to be blocked for longer because
    /// of that. Other counters stay as they are.
    #[must_use]
    pub fn corrected(self, paid_until: i64, now: i64) -> i64 {
        paid_until.min(self.horizon(now))
    }

    /// Milliseconds until one more event is within the limit, for a counter that
    /// has reached it.
    #[must_use]
    pub fn wait_ms(self, paid_until: i64, now: i64) -> i64 {
        self.wait_for_ms(1, paid_until, now)
    }

    /// The same for so many events.
    #[must_use]
    pub fn wait_for_ms(self, events: u32, paid_until: i64, now: i64) -> i64 {
        paid_until
            .saturating_add(self.time_for(events))
            .saturating_sub(self.horizon(now))
            .max(1)
    }

    /// How far so many events move a counter ahead, ms.
    #[must_use]
    pub fn time_for(self, events: u32) -> i64 {
        self.every_ms.saturating_mul(i64::from(events))
    }

    /// How many events are within the limit at `now`.
    #[must_use]
    pub fn available(self, paid_until: i64, now: i64) -> u32 {
        let room = self.horizon(now).saturating_sub(paid_until.max(now));
        let events = room.checked_div(self.every_ms).unwrap_or_default();
        u32::try_from(events.max(0)).unwrap_or(u32::MAX)
    }

    /// The limit of so many clients together. Rounded, so that the interval is not
    /// shorter than theirs.
    #[must_use]
    pub fn times(self, clients: u32) -> Self {
        let every_ms = self
            .every_ms
            .unsigned_abs()
            .div_ceil(u64::from(clients.max(1)));
        Self {
            burst: self.burst.saturating_mul(clients),
            every_ms: i64::try_from(every_ms).unwrap_or(i64::MAX).max(1),
        }
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

/// Whether a client is in one of these networks.
#[must_use]
pub fn is_within(client: Option<IpAddr>, networks: &[IpNet]) -> bool {
    client.is_some_and(|ip| {
        let ip = ip.to_canonical();
        networks.iter().any(|network| network.contains(&ip))
    })
}

/// A network that a client may control all of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// How many clients it counts for.
    pub clients: u32,
}

impl Network {
    /// Something that counts for one.
    #[must_use]
    pub fn single(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            clients: 1,
        }
    }
}

/// For how many clients the networks of [`networks`] count.
pub const NETWORK_CLIENTS: [u32; 3] = [1, 2, 4];

/// The networks that a client may control, from the smallest on. Providers give a /64 to
/// one customer and a /56 or /48 to another, so that the larger ones count for a few
/// clients, not for as many as they have room for.
#[must_use]
pub fn networks(ip: IpAddr) -> Vec<Network> {
    let [first, second, third] = NETWORK_CLIENTS;
    let network = |name, clients| Network { name, clients };
    let smallest = network(client_network(ip), first);
    let IpAddr::V6(ip) = ip.to_canonical() else {
        return vec![smallest];
    };
    let prefix = |bits: u32| format!("{}/{bits}", u128::from(ip) >> (128 - bits));
    vec![
        smallest,
        network(prefix(56), second),
        network(prefix(48), third),
    ]
}

/// For how many clients a homeserver counts that passes on the requests of its users.
const DELEGATING_CLIENTS: u32 = 8;

/// The networks whose parts of a shared amount a client uses. A homeserver that passes on
/// the requests of its users counts for several clients.
#[must_use]
pub fn sharers(ip: IpAddr, delegating: &[IpNet]) -> Vec<Network> {
    if is_within(Some(ip), delegating) {
        return vec![Network {
            name: client_network(ip),
            clients: DELEGATING_CLIENTS,
        }];
    }
    networks(ip)
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
        let mut take = |now: i64| match RATE.charge(paid_until, now) {
            Charged::Within(next) => {
                paid_until = next;
                Ok(())
            }
            Charged::Reached(wait_ms) => Err(wait_ms),
        };
        assert_eq!([take(1000), take(1000), take(1000)], [Ok(()); 3]);
        assert_eq!(take(1000), Err(100));
        assert_eq!(take(1060), Err(40));
        assert_eq!(take(1100), Ok(()));
        assert_eq!(take(1100), Err(100));
    }

    /// Two instances in turn, the clock of the second ahead by `ahead`, for 20 s: how much
    /// each allows of one limit.
    fn allowed_by(ahead: i64) -> [i32; 2] {
        let rate = Rate {
            burst: 10,
            every_ms: 1000,
        };
        let (mut paid_until, mut allowed) = (0, [0; 2]);
        for request in 0..200 {
            let database = 1_000_000 + request * 100;
            let second = request % 2 == 1;
            let own = if second { database + ahead } else { database };
            let now = shared_present(own, database);
            paid_until = rate.corrected(paid_until, now);
            if let Charged::Within(next) = rate.charge(paid_until, now) {
                paid_until = next;
                allowed[usize::from(second)] += 1;
            }
        }
        allowed
    }

    /// ACC-14, BND-01
    #[test]
    fn clock_that_is_ahead_changes_no_limit() {
        for ahead in [5000, CLOCK_SKEW_MS, -CLOCK_SKEW_MS] {
            assert_eq!(allowed_by(ahead), allowed_by(0), "{ahead}");
        }
        assert_eq!(allowed_by(0).iter().sum::<i32>(), 29);
    }

    #[test]
    fn wrong_clock_of_the_database_does_not_count() {
        let own = 1_000_000;
        for apart in [CLOCK_SKEW_MS, -CLOCK_SKEW_MS] {
            assert_eq!(shared_present(own, own + apart), own + apart);
            let further = own + apart + apart.signum();
            assert_eq!(shared_present(own, further), own);
        }
    }

    #[test]
    fn clock_that_was_set_back_blocks_briefly() {
        let horizon = RATE.horizon(1000);
        assert_eq!(RATE.corrected(horizon - 1, 1000), horizon - 1);
        for beyond in [horizon + 1, i64::MAX] {
            assert_eq!(RATE.corrected(beyond, 1000), horizon);
        }
        assert_eq!(RATE.charge(horizon, 1000), Charged::Reached(100));
    }

    #[test]
    fn several_events_are_counted_at_once() {
        assert_eq!(RATE.available(0, 1000), 3);
        assert_eq!(RATE.available(1150, 1000), 1);
        assert_eq!(RATE.available(1301, 1000), 0);
        assert_eq!(RATE.wait_for_ms(2, 1150, 1000), 50);
        assert_eq!(
            RATE.times(3),
            Rate {
                burst: 9,
                every_ms: 34
            }
        );
    }

    #[test]
    fn ipv6_client_is_in_three_networks() {
        let names = |ip: &str| -> Vec<String> {
            let networks = networks(ip.parse().unwrap());
            networks.into_iter().map(|network| network.name).collect()
        };
        assert_eq!(names("192.0.2.1"), ["192.0.2.1"]);
        assert_eq!(names("::ffff:192.0.2.1"), ["192.0.2.1"]);
        let first = names("2001:db8:1:2::1");
        let same = |other: &str| {
            let other = names(other);
            first.iter().zip(&other).filter(|(a, b)| a == b).count()
        };
        assert_eq!(first.len(), 3);
        for (other, expected) in [
            ("2001:db8:1:2:ffff::", 3),
            ("2001:db8:1:ff::1", 2),
            ("2001:db8:1:ffff::1", 1),
            ("2001:db8:2::1", 0),
        ] {
            assert_eq!(same(other), expected, "{other}");
        }
    }
}
