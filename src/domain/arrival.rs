//! When a peer's statement counts as made.

use std::time::Duration;

use super::time::duration_ms;

/// When a statement arrives, and how far ahead its time may be then (INT-07).
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// When, ms.
    pub at: i64,
    /// How far apart the clocks of a mesh may be.
    pub max_clock_skew: Duration,
}

/// How far ahead a time may be beyond the difference of the clocks, ms: a server dates
/// its statement after all others that it knows.
const MARGIN_MS: i64 = 60_000;

impl Arrival {
    /// When a statement counts that its peer has made at `ts`, ms. Up to the
    /// difference of honest clocks it is `ts`, so that all servers order the statements
    /// alike. A time that is further ahead would win over everything that is said until
    /// then; the time of arrival counts instead.
    #[must_use]
    pub fn counts_at(self, ts: i64) -> i64 {
        if ts > self.latest() { self.at } else { ts }
    }

    /// The latest time that counts itself, ms.
    #[must_use]
    pub fn latest(self) -> i64 {
        let skew = duration_ms(self.max_clock_skew).saturating_add(MARGIN_MS);
        self.at.saturating_add(skew)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// INT-07
    #[test]
    fn times_ahead_count_from_their_arrival() {
        let arrival = |minutes| Arrival {
            at: 1_000_000,
            max_clock_skew: Duration::from_mins(minutes),
        };
        for (minutes, ahead, counts) in [
            (0, 0, true),
            (0, 60_000, true),
            (0, 60_001, false),
            (5, 360_000, true),
            (5, 360_001, false),
            (5, -3_600_000, true),
            (5, i64::MAX - 1_000_000, false),
        ] {
            let ts = 1_000_000 + ahead;
            let expected = if counts { ts } else { 1_000_000 };
            assert_eq!(
                arrival(minutes).counts_at(ts),
                expected,
                "{minutes} {ahead}"
            );
        }
    }
}
