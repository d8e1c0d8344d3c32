//! `send_attempt`, which clients send as an integer or as a string of one.

use serde_json::Value;

use super::args::Fields;
use crate::error::Error;

/// Reads `send_attempt` (SES-12).
///
/// # Errors
/// 400 when it is missing or not a 64-bit integer.
pub fn read(fields: &Fields) -> Result<i64, Error> {
    let value = fields
        .value("send_attempt")
        .ok_or_else(|| Error::missing_params(&["send_attempt"]))?;
    let found = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) if is_decimal(text) => text.parse().ok(),
        _ => None,
    };
    found.ok_or_else(|| Error::invalid_param("send_attempt", "must be an integer"))
}

fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ses_12_only_the_sign_and_digits() {
        for good in ["1", "0", "-1", "007"] {
            assert!(is_decimal(good), "{good}");
        }
        for bad in ["", "-", "+1", "1.0", " 1", "1e3", "１"] {
            assert!(!is_decimal(bad), "{bad}");
        }
    }
}
