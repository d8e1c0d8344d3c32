//! The `urlencode` filter as Jinja2 has it.

use minijinja::value::ValueKind;
use minijinja::{Error, Value};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What Python's `quote` leaves alone in a query value.
const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'_')
    .remove(b'.')
    .remove(b'-')
    .remove(b'~');
/// In a path the separator stays too.
const IN_PATH: &AsciiSet = &IN_QUERY.remove(b'/');

/// A string as part of a path; a map, or a list of pairs, as a query.
pub(super) fn urlencode(value: &Value) -> Result<String, Error> {
    let pairs: Vec<String> = match value.kind() {
        ValueKind::Undefined => return Ok(String::new()),
        ValueKind::Map => value
            .try_iter()?
            .map(|name| Ok(pair(&name, &value.get_item(&name)?)))
            .collect::<Result<_, Error>>()?,
        ValueKind::Seq | ValueKind::Iterable => value
            .try_iter()?
            .map(|item| {
                Ok(pair(
                    &item.get_item_by_index(0)?,
                    &item.get_item_by_index(1)?,
                ))
            })
            .collect::<Result<_, Error>>()?,
        _ => return Ok(path(&value.to_string())),
    };
    Ok(pairs.join("&"))
}

/// A text as part of a path, as Python's `quote` writes it.
pub(super) fn path(text: &str) -> String {
    utf8_percent_encode(text, IN_PATH).to_string()
}

fn pair(name: &Value, value: &Value) -> String {
    let quote = |value: &Value| {
        utf8_percent_encode(&value.to_string(), IN_QUERY)
            .to_string()
            .replace("%20", "+")
    };
    format!("{}={}", quote(name), quote(value))
}
