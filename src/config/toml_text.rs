//! Writes values and keys as TOML.

use toml::{Table, Value};

/// A text as a TOML string, quoted.
pub(crate) fn string(text: &str) -> String {
    value(&Value::from(text))
}

/// A value as TOML. A text with line breaks takes several lines.
pub(crate) fn value(value: &Value) -> String {
    value.to_string()
}

/// A key, quoted if necessary.
pub(crate) fn key(name: &str) -> String {
    // The toml crate quotes keys only as part of a table.
    let table = Table::from_iter([(name.to_owned(), Value::Boolean(true))]);
    let text = table.to_string();
    let key = text.trim_end().strip_suffix("= true").unwrap_or(&text);
    key.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_and_strings_are_quoted_if_necessary() {
        for (name, written) in [
            ("example", "example"),
            ("other.example.org", "\"other.example.org\""),
            ("", "\"\""),
        ] {
            assert_eq!(key(name), written);
        }
        assert_eq!(string("a"), "\"a\"");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(name in "(?s).*", text in "(?s).*") {
            let table: Table = format!("{} = {}", key(&name), string(&text)).parse().unwrap();
            prop_assert_eq!(table.get(&name), Some(&Value::from(text)));
        }
    }
}
