//! Query strings and form bodies: UTF-8, and no name twice (GEN-05, GEN-24).

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::error::Error;

/// Reads `name=value&…`, in which `+` is a blank.
///
/// # Errors
/// `400 M_INVALID_PARAM` when a name occurs twice or something is not UTF-8.
pub(super) fn read(text: &str) -> Result<Map<String, Value>, Error> {
    read_literal_plus(&text.replace('+', " "))
}

/// Reads `name=value&…`, in which `+` is itself and only `%20` is a blank.
///
/// # Errors
/// As [`read`].
pub(super) fn read_literal_plus(text: &str) -> Result<Map<String, Value>, Error> {
    let mut fields = Map::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name)?;
        let value = decode(value)?;
        if fields.contains_key(&name) {
            return Err(Error::invalid_param("query", "a parameter occurs twice"));
        }
        fields.insert(name, Value::String(value));
    }
    Ok(fields)
}

/// The first value of a name that is not empty, whatever else is in the text.
pub(super) fn first(text: &str, name: &str) -> Option<String> {
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(other, _)| decode(other).is_ok_and(|other| other == name))
        .find_map(|(_, value)| decode(value).ok().filter(|value| !value.is_empty()))
}

fn decode(text: &str) -> Result<String, Error> {
    match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_not_utf8) => Err(Error::invalid_param("query", "a parameter is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::linear_tests::expect_linear;

    /// GEN-24, OPS-02
    #[test]
    fn queries_take_linear_time() {
        let names = |count: usize| {
            let names: Vec<_> = (0..count).map(|n| format!("a{n}=%41+")).collect();
            names.join("&")
        };
        expect_linear("a query of many names", names, |text| {
            let _ = (read(&text), first(&text, "brand"));
        });
        for piece in ["&", "=", "%", "%41", "+", "a=&"] {
            expect_linear(
                "a query",
                |count| piece.repeat(count),
                |text| {
                    let _ = (read(&text), first(&text, "a"));
                },
            );
        }
    }

    #[test]
    fn fields_are_decoded() {
        let fields = read("a=1&b=x%20y+z&c&&d=%2B").unwrap();
        assert_eq!(
            Value::Object(fields),
            serde_json::json!({"a": "1", "b": "x y z", "c": "", "d": "+"})
        );
        let fields = read_literal_plus("b=x%20y+z&d=%2B").unwrap();
        assert_eq!(
            Value::Object(fields),
            serde_json::json!({"b": "x y+z", "d": "+"})
        );
    }

    #[test]
    fn first_value_is_found_among_others() {
        for (text, found) in [
            ("brand=x", Some("x")),
            ("a=%ff&brand=&br%61nd=x%20y&brand=z", Some("x y")),
            ("brand", None),
            ("brand=%ff", None),
            ("Brand=x&a=brand", None),
        ] {
            assert_eq!(first(text, "brand").as_deref(), found, "{text}");
        }
    }

    /// GEN-05, GEN-24
    #[test]
    fn bad_utf8_and_repeated_names_are_rejected() {
        for bad in ["a=%ff", "%ff=1", "sid=1&sid=2", "a=1&%61=2"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn read_never_panics(text: String) {
            let _ = read(&text);
        }
    }
}
