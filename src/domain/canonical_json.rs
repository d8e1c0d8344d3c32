//! Canonical JSON (Matrix specification, appendices, "Canonical JSON").

use serde_json::{Map, Number, Value};

use super::Invalid;

/// The largest integer that canonical JSON allows.
const MAX_INTEGER: i64 = (1 << 53) - 1;

/// Encodes a JSON value in its canonical form: keys sorted by code point, no
/// white space, shortest escapes.
///
/// # Errors
/// The value contains a number that is not an integer within ±(2^53 − 1).
pub fn encode(value: &Value) -> Result<String, Invalid> {
    let mut out = String::new();
    write_value(value, &mut out)?;
    Ok(out)
}

/// Encodes an object, as [`encode`] does.
///
/// # Errors
/// As [`encode`].
pub fn encode_object(object: &Map<String, Value>) -> Result<String, Invalid> {
    let mut out = String::new();
    write_object(object, &mut out)?;
    Ok(out)
}

fn write_value(value: &Value, out: &mut String) -> Result<(), Invalid> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => out.push_str(&integer(number)?.to_string()),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(item, out)?;
            }
            out.push(']');
        }
        Value::Object(object) => write_object(object, out)?,
    }
    Ok(())
}

fn write_object(object: &Map<String, Value>, out: &mut String) -> Result<(), Invalid> {
    // The order of a serde_json map depends on a feature that any crate in the
    // dependency tree can enable. The byte order of UTF-8 is the order of code
    // points.
    let mut entries: Vec<_> = object.iter().collect();
    entries.sort_unstable_by(|left, right| left.0.cmp(right.0));
    out.push('{');
    for (index, (key, value)) in entries.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(key, out);
        out.push(':');
        write_value(value, out)?;
    }
    out.push('}');
    Ok(())
}

fn integer(number: &Number) -> Result<i64, Invalid> {
    number
        .as_i64()
        .or_else(|| integral_float(number.as_f64()?))
        .filter(|integer| (-MAX_INTEGER..=MAX_INTEGER).contains(integer))
        .ok_or(Invalid("numbers must be integers within ±(2^53 − 1)"))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "within ±(2^53 − 1) every integral f64 is an i64, and the range is checked first"
)]
fn integral_float(number: f64) -> Option<i64> {
    let is_integral = number.fract() == 0.0 && number.abs() <= MAX_INTEGER as f64;
    is_integral.then_some(number as i64)
}

fn write_string(text: &str, out: &mut String) {
    use std::fmt::Write as _;
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{08}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{0c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> Result<String, Invalid> {
        encode(&serde_json::from_str(text).unwrap())
    }

    /// CRY-01
    #[test]
    fn encodes_the_specification_vectors() {
        for (input, expected) in [
            ("{}", "{}"),
            (r#"{"one": 1, "two": "Two"}"#, r#"{"one":1,"two":"Two"}"#),
            (r#"{"b":"2","a":"1"}"#, r#"{"a":"1","b":"2"}"#),
            (
                r#"{"auth":{"success":true,"mxid":"@john.doe:example.com","profile":{"display_name":"John Doe","three_pids":[{"medium":"email","address":"john.doe@example.org"},{"medium":"msisdn","address":"123456789"}]}}}"#,
                r#"{"auth":{"mxid":"@john.doe:example.com","profile":{"display_name":"John Doe","three_pids":[{"address":"john.doe@example.org","medium":"email"},{"address":"123456789","medium":"msisdn"}]},"success":true}}"#,
            ),
            (r#"{"a": "日本語"}"#, r#"{"a":"日本語"}"#),
            (r#"{"本": 2, "日": 1}"#, r#"{"日":1,"本":2}"#),
            (r#"{"a": "\u65E5"}"#, r#"{"a":"日"}"#),
            (r#"{"a": null}"#, r#"{"a":null}"#),
            (r#"{"a": -0, "b": 1e10}"#, r#"{"a":0,"b":10000000000}"#),
            (
                r#"{"a":"\u0001\b\t\n\f\r\"\\/\u2028\u007f\u001f"}"#,
                "{\"a\":\"\\u0001\\b\\t\\n\\f\\r\\\"\\\\/\u{2028}\u{7f}\\u001f\"}",
            ),
        ] {
            assert_eq!(canonical(input).as_deref(), Ok(expected));
        }
    }

    /// CRY-02
    #[test]
    fn keys_sort_by_code_point() {
        assert_eq!(
            canonical("{\"\u{1f600}\":1,\"\u{ff5e}\":2}").as_deref(),
            Ok("{\"\u{ff5e}\":2,\"\u{1f600}\":1}")
        );
    }

    /// CRY-03
    #[test]
    fn non_canonical_numbers_are_rejected() {
        for bad in [
            "1.5",
            "9007199254740992",
            "-9007199254740992",
            "1e300",
            "18446744073709551615",
        ] {
            assert!(canonical(bad).is_err(), "{bad}");
        }
        assert_eq!(
            canonical("9007199254740991").as_deref(),
            Ok("9007199254740991")
        );
        assert_eq!(canonical("2.0").as_deref(), Ok("2"));
    }

    proptest! {
        #[test]
        fn encoding_parses_back_and_is_stable(text: String, number in -1_000_000_i64..1_000_000) {
            let value = serde_json::json!({ "t": text, "n": number, (text.clone()): [number] });
            let once = encode(&value).unwrap();
            let read: Value = serde_json::from_str(&once).unwrap();
            prop_assert_eq!(&read, &value);
            prop_assert_eq!(encode(&read).unwrap(), once);
        }
    }
}
