//! Points in time, as they are stored and sent.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch. Sums and differences saturate.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixMillis(i64);

impl UnixMillis {
    /// Before every point in time that the server deals with.
    pub const EPOCH: Self = Self(0);

    /// So many milliseconds after the epoch.
    #[must_use]
    pub const fn new(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_i64(self) -> i64 {
        self.0
    }

    /// So much later.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(duration_ms(time)))
    }

    /// So much earlier.
    #[must_use]
    pub fn before(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(duration_ms(time)))
    }

    /// Its day in UTC, such as `2026-11-28`; `None` if the year has more than four digits.
    #[must_use]
    pub fn utc_day(self) -> Option<String> {
        let second = self.0.div_euclid(1000);
        let time = ::time::OffsetDateTime::from_unix_timestamp(second).ok()?;
        Some(time.date().to_string())
    }

    /// How long ago `earlier` was; zero when it is later than this.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// The end of the day, in UTC.
#[must_use]
pub fn end_of_day(now: UnixMillis) -> UnixMillis {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    UnixMillis(
        now.0
            .div_euclid(DAY_MS)
            .saturating_add(1)
            .saturating_mul(DAY_MS),
    )
}

impl From<i64> for UnixMillis {
    fn from(millis: i64) -> Self {
        Self(millis)
    }
}

impl From<UnixMillis> for i64 {
    fn from(time: UnixMillis) -> Self {
        time.0
    }
}

impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A duration in milliseconds.
#[must_use]
pub fn duration_ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn day_is_that_of_utc() {
        let day = |ms| UnixMillis::new(ms).utc_day();
        assert_eq!(day(1_795_910_399_999).as_deref(), Some("2026-11-28"));
        assert_eq!(day(1_795_910_400_000).as_deref(), Some("2026-11-29"));
        assert_eq!(day(i64::MAX), None);
    }

    #[test]
    fn sums_and_differences_saturate() {
        let (day, now) = (Duration::from_hours(24), UnixMillis::new(1_700_000_000_000));
        assert_eq!(now.after(day).as_i64(), 1_700_086_400_000);
        assert_eq!(now.after(day).since(now), day);
        assert_eq!(now.since(now.after(day)), Duration::ZERO);
        assert_eq!(now.after(Duration::MAX).as_i64(), i64::MAX);
        assert_eq!(UnixMillis::new(i64::MIN).before(day).as_i64(), i64::MIN);
    }
}
