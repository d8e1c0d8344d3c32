//! When a message that was not delivered is tried again.

/// The delays between tries, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// The first delay, and every delay while a client waits.
    pub first_ms: i64,
    /// The longest delay.
    pub max_ms: i64,
}

impl RetryPolicy {
    /// The delay after try number `tries` (the first is 1): it doubles from try to try
    /// up to the longest. `jitter` (0 to 1) spreads it, so that messages that failed
    /// together are not tried together.
    #[must_use]
    pub fn delay_ms(self, tries: i32, jitter: f64) -> i64 {
        let doublings = tries.saturating_sub(1).clamp(0, 30);
        self.spread(self.first_ms.saturating_mul(1 << doublings), jitter)
    }

    /// The delay while a client waits until `answer_until`: short, but no try
    /// starts that would hardly end in time. The client would be told that the
    /// message is on its way although every try had failed.
    #[must_use]
    pub fn delay_while_waiting_ms(self, now: i64, answer_until: i64, jitter: f64) -> i64 {
        let delay = self.spread(self.first_ms, jitter);
        // Twice the first delay for the try to fail.
        let ends = now
            .saturating_add(delay)
            .saturating_add(self.first_ms.saturating_mul(2));
        if ends <= answer_until {
            return delay;
        }
        answer_until
            .saturating_sub(now)
            .saturating_add(delay)
            .clamp(self.first_ms, self.longest())
    }

    /// The delay after try number `tries` whose outcome is uncertain: with the
    /// defaults 5 s, then 20 s, and up to half as long again with `jitter` (0 to 1).
    /// The provider or relay gets time to recover, since each further try may deliver
    /// the message once more.
    #[must_use]
    pub fn delay_after_uncertain_ms(self, tries: i32, jitter: f64) -> i64 {
        let growth = u32::try_from(tries.saturating_sub(1)).unwrap_or(0);
        let delay = self
            .first_ms
            .saturating_mul(UNCERTAIN_FACTOR)
            .saturating_mul(UNCERTAIN_GROWTH.saturating_pow(growth));
        self.spread(delay, jitter)
    }

    /// Lengthens a delay by up to half of it, or shortens the longest delay.
    fn spread(self, delay: i64, jitter: f64) -> i64 {
        let shortest = delay.min(self.longest() / 3 * 2).max(self.first_ms);
        spread_ms(shortest, jitter).min(self.longest())
    }

    fn longest(self) -> i64 {
        self.max_ms.max(self.first_ms)
    }
}

/// A delay that is longer by up to half of it: `jitter` is from 0 to 1.
#[must_use]
pub fn spread_ms(delay: i64, jitter: f64) -> i64 {
    delay.saturating_add(fraction(delay / 2, jitter))
}

/// A part of a time: `jitter` is from 0 to 1.
fn fraction(time: i64, jitter: f64) -> i64 {
    let time = i32::try_from(time).unwrap_or(i32::MAX);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most an i32 by construction"
    )]
    let part = (f64::from(time) * jitter.clamp(0.0, 1.0)).round() as i64;
    part
}

/// How much longer than the first delay the shortest one is after an uncertain
/// outcome, and how fast these delays grow.
const UNCERTAIN_FACTOR: i64 = 10;
const UNCERTAIN_GROWTH: i64 = 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: RetryPolicy = RetryPolicy {
        first_ms: 500,
        max_ms: 900_000,
    };

    #[test]
    fn delays_are_short_while_a_client_waits() {
        for (now, expected) in [(100, 500), (101, 1999), (1599, 501)] {
            assert_eq!(POLICY.delay_while_waiting_ms(now, 1600, 0.0), expected);
        }
        for (now, expected) in [(100, 2250), (0, 2350), (-150, 750)] {
            assert_eq!(POLICY.delay_while_waiting_ms(now, 1600, 1.0), expected);
        }
    }

    #[test]
    fn delays_double_up_to_the_longest() {
        for (tries, shortest, longest) in [
            (1, 500, 750),
            (2, 1000, 1500),
            (3, 2000, 3000),
            (11, 512_000, 768_000),
            (12, 600_000, 900_000),
            (1000, 600_000, 900_000),
        ] {
            assert_eq!(POLICY.delay_ms(tries, 0.0), shortest);
            assert_eq!(POLICY.delay_ms(tries, 1.0), longest);
        }
    }

    #[test]
    fn delays_after_uncertain_outcomes_grow() {
        for (tries, shortest, longest) in [
            (1, 5000, 7500),
            (2, 20_000, 30_000),
            (3, 80_000, 120_000),
            (100, 600_000, 900_000),
        ] {
            assert_eq!(POLICY.delay_after_uncertain_ms(tries, 0.0), shortest);
            assert_eq!(POLICY.delay_after_uncertain_ms(tries, 1.0), longest);
        }
    }

    proptest! {
        #[test]
        fn delays_stay_within_first_and_longest(
            tries: i32, now: i64, until: i64, jitter in 0.0..1.0_f64,
        ) {
            for delay in [
                POLICY.delay_ms(tries, jitter),
                POLICY.delay_while_waiting_ms(now, until, jitter),
                POLICY.delay_after_uncertain_ms(tries, jitter),
            ] {
                prop_assert!((500..=900_000).contains(&delay), "{delay}");
            }
        }

        /// Of a thousand messages that failed together, few are tried in the same
        /// twentieth of the delay.
        #[test]
        fn no_delay_is_the_same_for_many(tries in 1..50_i32) {
            let delays: [fn(i32, f64) -> i64; 3] = [
                |tries, jitter| POLICY.delay_ms(tries, jitter),
                |tries, jitter| POLICY.delay_after_uncertain_ms(tries, jitter),
                |_, jitter| POLICY.delay_while_waiting_ms(0, 60_000, jitter),
            ];
            for delay in delays {
                let (first, last) = (delay(tries, 0.0), delay(tries, 1.0));
                prop_assert!(last - first >= first / 2 - 1, "{first} to {last}");
                let middle = delay(tries, 0.5) - first;
                prop_assert!((middle * 2 - (last - first)).abs() <= 2);
            }
        }
    }
}
