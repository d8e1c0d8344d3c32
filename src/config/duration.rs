//! Durations in settings: numbers with units, such as `30s` or `1h 30m`.
//!
//! For `#[serde(with = "duration")]`.

use std::fmt;
use std::time::Duration;

use serde::de::{Error, Visitor};
use serde::{Deserializer, Serializer};

/// A hundred years: such a sum with a timestamp in milliseconds cannot overflow 64 bits.
const MAX: Duration = Duration::from_hours(100 * 366 * 24);

/// Parses a duration.
///
/// # Errors
/// When there is no unit, or the duration is longer than a hundred years.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= MAX => Ok(duration),
        Ok(_) | Err(humantime::DurationError::NumberOverflow) => {
            Err("must be at most a hundred years".to_owned())
        }
        Err(_) => Err(format!("must be {EXPECTED}")),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(source: D) -> Result<Duration, D::Error> {
    source.deserialize_str(DurationVisitor)
}

struct DurationVisitor;

impl Visitor<'_> for DurationVisitor {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
        parse(text).map_err(E::custom)
    }
}

const EXPECTED: &str = "a time with a unit, such as \"500ms\", \"30s\" or \"24h\"";

pub(super) fn serialize<S: Serializer>(duration: &Duration, target: S) -> Result<S::Ok, S::Error> {
    target.collect_str(&written(*duration))
}

/// Days are not made to months, which have fractions of a day.
fn written(duration: Duration) -> String {
    const DAY: Duration = Duration::from_hours(24);
    let days = duration.as_secs() / DAY.as_secs();
    if days > 1 && Duration::from_secs(days * DAY.as_secs()) == duration {
        return format!("{days}days");
    }
    humantime::format_duration(duration).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parses_durations() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("24h", 86_400_000),
            ("5d", 432_000_000),
            ("1h 30m", 5_400_000),
        ] {
            assert_eq!(
                parse(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        for (text, message) in [
            ("", "with a unit"),
            ("30", "with a unit"),
            ("30 parsecs", "with a unit"),
            ("-5s", "with a unit"),
            ("101 years", "a hundred years"),
            ("99999999999999999999999s", "a hundred years"),
        ] {
            assert!(parse(text).unwrap_err().contains(message), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(milliseconds in 0..3_000_000_000_000_u64) {
            let time = Duration::from_millis(milliseconds);
            prop_assert_eq!(parse(&written(time)), Ok(time));
        }

        #[test]
        fn days_are_written_as_days(days in 2..30_000_u64) {
            let time = Duration::from_hours(24 * days);
            prop_assert_eq!(written(time), format!("{days}days"));
            prop_assert_eq!(parse(&written(time)), Ok(time));
        }

        #[test]
        fn any_text_gives_an_answer(text in ".*") {
            let _ = parse(&text);
        }
    }
}
