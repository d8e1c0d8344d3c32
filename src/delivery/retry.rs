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
    /// The delay after try number `tries` (the first is 1): it doubles from try
    /// to try up to the longest. `jitter` (0 to 1) shortens it by up to a
    /// quarter, so that messages that failed together are not tried together.
    #[must_use]
    pub fn delay_ms(self, tries: i32, jitter: f64) -> i64 {
        let doublings = tries.saturating_sub(1).clamp(0, 30);
        let delay = self
            .first_ms
            .saturating_mul(1 << doublings)
            .min(self.max_ms);
        (delay - fraction(delay / 4, jitter)).max(self.first_ms)
    }

    /// The delay while a client waits until `answer_until`: short, but no try
    /// starts that would hardly end in time. The client would be told that the
    /// message is on its way although every try had failed.
    #[must_use]
    pub fn delay_while_waiting_ms(self, now: i64, answer_until: i64) -> i64 {
        // One delay, and twice as long for the try to fail.
        let ends = now.saturating_add(self.first_ms.saturating_mul(3));
        if ends <= answer_until {
            return self.first_ms;
        }
        answer_until
            .saturating_sub(now)
            .saturating_add(self.first_ms)
            .clamp(self.first_ms, self.max_ms.max(self.first_ms))
    }

    /// The delay after try number `tries` whose outcome is uncertain: with the
    /// defaults 5 s, then 20 s. The provider or relay gets time to recover, since
    /// each further try may deliver the message once more. `jitter` (0 to 1)
    /// lengthens it by up to a twentieth.
    #[must_use]
    pub fn delay_after_uncertain_ms(self, tries: i32, jitter: f64) -> i64 {
        let growth = u32::try_from(tries.saturating_sub(1)).unwrap_or(0);
        let delay = self
            .first_ms
            .saturating_mul(UNCERTAIN_FACTOR)
            .saturating_mul(UNCERTAIN_GROWTH.saturating_pow(growth))
            .min(self.max_ms);
        delay
            .saturating_add(fraction(delay / 20, jitter))
            .min(self.max_ms)
            .max(self.first_ms)
    }
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
            assert_eq!(POLICY.delay_while_waiting_ms(now, 1600), expected);
        }
    }

    #[test]
    fn delays_double_up_to_the_longest() {
        for (tries, expected) in [
            (1, 500),
            (2, 1000),
            (3, 2000),
            (11, 512_000),
            (12, 900_000),
            (1000, 900_000),
        ] {
            assert_eq!(POLICY.delay_ms(tries, 0.0), expected);
        }
        assert_eq!(POLICY.delay_ms(12, 1.0), 675_000);
    }

    #[test]
    fn delays_after_uncertain_outcomes_grow() {
        for (tries, expected) in [(1, 5000), (2, 20_000), (3, 80_000), (100, 900_000)] {
            assert_eq!(POLICY.delay_after_uncertain_ms(tries, 0.0), expected);
        }
        assert_eq!(POLICY.delay_after_uncertain_ms(1, 1.0), 5250);
    }

    proptest! {
        #[test]
        fn delays_stay_within_first_and_longest(
            tries: i32, now: i64, until: i64, jitter in 0.0..1.0_f64,
        ) {
            for delay in [
                POLICY.delay_ms(tries, jitter),
                POLICY.delay_while_waiting_ms(now, until),
                POLICY.delay_after_uncertain_ms(tries, jitter),
            ] {
                prop_assert!((500..=900_000).contains(&delay), "{delay}");
            }
        }
    }
}
