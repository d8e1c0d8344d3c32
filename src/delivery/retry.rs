//! When a message that was not handed over is tried again.

/// The pauses between tries, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// The first pause, and every pause while a client waits.
    pub first_ms: i64,
    /// The longest pause.
    pub max_ms: i64,
}

/// The pause after try number `tries` (the first is 1).
///
/// While a client waits for the outcome the pauses are short, and no try begins
/// that would hardly end before the client is answered: it would be promised a
/// message of which every try failed. Afterwards the pauses double up to the
/// longest. `jitter` (0 to 1) shortens a long pause by up to a
/// quarter, so that what failed together is not tried together.
#[must_use]
pub fn pause_ms(pauses: RetryPolicy, tries: i32, now: i64, answer_until: i64, jitter: f64) -> i64 {
    if now < answer_until {
        let time_to_fail = pauses.first_ms.saturating_mul(2);
        let ends = now
            .saturating_add(pauses.first_ms)
            .saturating_add(time_to_fail);
        if ends <= answer_until {
            return pauses.first_ms;
        }
        return answer_until
            .saturating_sub(now)
            .saturating_add(pauses.first_ms)
            .min(pauses.max_ms);
    }
    let doublings = tries.saturating_sub(1).clamp(0, 30);
    let pause = pauses
        .first_ms
        .saturating_mul(1 << doublings)
        .min(pauses.max_ms);
    let off =
        (f64::from(i32::try_from(pause / 4).unwrap_or(i32::MAX)) * jitter.clamp(0.0, 1.0)).round();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most a quarter of an i32 by construction"
    )]
    let off = off as i64;
    (pause - off).max(pauses.first_ms)
}

/// How much longer than the first pause the shortest one is after an uncertain
/// outcome, and how fast these pauses grow.
const UNCERTAIN_FACTOR: i64 = 10;
const UNCERTAIN_GROWTH: i64 = 4;

/// The pause after try number `tries` (the first is 1) whose outcome is
/// uncertain: with the defaults 5 s, then 20 s. The provider or relay gets time
/// to recover, since each further try may deliver the message once more.
#[must_use]
pub fn uncertain_pause_ms(pauses: RetryPolicy, tries: i32) -> i64 {
    let growth = u32::try_from(tries.saturating_sub(1)).unwrap_or(0);
    pauses
        .first_ms
        .saturating_mul(UNCERTAIN_FACTOR)
        .saturating_mul(UNCERTAIN_GROWTH.saturating_pow(growth))
        .min(pauses.max_ms)
        .max(pauses.first_ms)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAUSES: RetryPolicy = RetryPolicy {
        first_ms: 500,
        max_ms: 900_000,
    };

    #[test]
    fn short_while_a_client_waits_then_doubling_up_to_the_longest() {
        assert_eq!(pause_ms(PAUSES, 9, 100, 1600, 0.0), 500);
        assert_eq!(pause_ms(PAUSES, 9, 101, 1600, 0.0), 1999);
        assert_eq!(pause_ms(PAUSES, 9, 1599, 1600, 0.0), 501);
        for (tries, expected) in [
            (1, 500),
            (2, 1000),
            (3, 2000),
            (11, 512_000),
            (12, 900_000),
            (1000, 900_000),
        ] {
            assert_eq!(pause_ms(PAUSES, tries, 100, 100, 0.0), expected);
        }
        assert_eq!(pause_ms(PAUSES, 12, 100, 100, 1.0), 675_000);
    }

    #[test]
    fn pauses_after_uncertain_outcomes_grow() {
        for (tries, expected) in [(1, 5000), (2, 20_000), (3, 80_000), (100, 900_000)] {
            assert_eq!(uncertain_pause_ms(PAUSES, tries), expected);
        }
    }

    proptest! {
        #[test]
        fn a_pause_is_never_shorter_than_the_first_nor_longer_than_the_longest(
            tries: i32, now: i64, until: i64, jitter in 0.0..1.0_f64,
        ) {
            let pause = pause_ms(PAUSES, tries, now, until, jitter);
            prop_assert!((500..=900_000).contains(&pause));
        }
    }
}
