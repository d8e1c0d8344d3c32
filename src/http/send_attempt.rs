//! `send_attempt`, which clients send as an integer or as a decimal string
//! (SES-12).

use std::fmt;

use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

/// A number that a client increases to have another message sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
pub(super) struct SendAttempt(pub i64);

impl<'de> Deserialize<'de> for SendAttempt {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(SendAttemptVisitor)
    }
}

struct SendAttemptVisitor;

impl Visitor<'_> for SendAttemptVisitor {
    type Value = SendAttempt;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<SendAttempt, E> {
        Ok(SendAttempt(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<SendAttempt, E> {
        i64::try_from(number)
            .map(SendAttempt)
            .map_err(|_too_large| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<SendAttempt, E> {
        let number = is_decimal(text).then(|| text.parse().ok()).flatten();
        number
            .map(SendAttempt)
            .ok_or_else(|| E::invalid_value(Unexpected::Str("…"), &self))
    }
}

fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// SES-12
    #[test]
    fn only_a_sign_and_digits_are_accepted() {
        for good in ["1", "0", "-1", "007"] {
            assert!(is_decimal(good), "{good}");
        }
        for bad in ["", "-", "+1", "1.0", " 1", "1e3", "１"] {
            assert!(!is_decimal(bad), "{bad}");
        }
    }

    #[test]
    fn an_integer_of_64_bits_in_either_form() {
        let read = |value: Value| serde_json::from_value::<SendAttempt>(value).ok();
        for (value, number) in [
            (json!(i64::MAX), i64::MAX),
            (json!("-9223372036854775808"), i64::MIN),
            (json!("007"), 7),
        ] {
            assert_eq!(read(value), Some(SendAttempt(number)));
        }
        for bad in [
            json!(u64::MAX),
            json!("9223372036854775808"),
            json!(1.0),
            json!(true),
            json!([1]),
        ] {
            assert_eq!(read(bad.clone()), None, "{bad}");
        }
    }
}
