//! Times in settings: a number with a unit, such as `30s` or `1h 30m`.
//!
//! For `#[serde(with = "period")]`, so that the rest of the program sees a
//! plain [`Duration`].

use std::fmt;
use std::time::Duration;

use serde::de::{Error, Visitor};
use serde::{Deserializer, Serializer};

/// A hundred years: longer than anybody means, and far from the end of a
/// 64-bit count of milliseconds.
const LONGEST: Duration = Duration::from_hours(100 * 366 * 24);

/// Reads a time.
///
/// # Errors
/// A sentence when there is no unit, or the time is over a hundred years.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time <= LONGEST => Ok(time),
        Ok(_) | Err(humantime::DurationError::NumberOverflow) => {
            Err("must be at most a hundred years".to_owned())
        }
        Err(_) => Err(format!("must be {WANTED}")),
    }
}

/// See the module.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(source: D) -> Result<Duration, D::Error> {
    source.deserialize_str(Time)
}

struct Time;

impl Visitor<'_> for Time {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(WANTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
        parse(text).map_err(E::custom)
    }
}

const WANTED: &str = "a time with a unit, such as \"500ms\", \"30s\" or \"24h\"";

/// See the module.
pub(super) fn serialize<S: Serializer>(time: &Duration, target: S) -> Result<S::Ok, S::Error> {
    target.collect_str(&humantime::format_duration(*time))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times() {
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
        for (text, sentence) in [
            ("", "with a unit"),
            ("30", "with a unit"),
            ("30 parsecs", "with a unit"),
            ("-5s", "with a unit"),
            ("101 years", "a hundred years"),
            ("99999999999999999999999s", "a hundred years"),
        ] {
            assert!(parse(text).unwrap_err().contains(sentence), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(milliseconds in 0..3_000_000_000_000_u64) {
            let time = Duration::from_millis(milliseconds);
            prop_assert_eq!(parse(&humantime::format_duration(time).to_string()), Ok(time));
        }

        #[test]
        fn any_text_gives_an_answer(text in ".*") {
            let _ = parse(&text);
        }
    }
}
