//! The `urlencode` filter of Jinja2.

use minijinja::value::ValueKind;
use minijinja::{Error, Value};
use percent_encoding::{AsciiSet, utf8_percent_encode};

use crate::delivery::percent;

/// Python's `quote` leaves the separator of paths as it is.
const IN_PATH: &AsciiSet = &percent::RESERVED.remove(b'/');

/// Encodes a string as part of a path; a map, or a list of pairs, as a query.
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

/// Encodes a text as part of a path, as Python's `quote` does.
pub(super) fn path(text: &str) -> String {
    utf8_percent_encode(text, IN_PATH).to_string()
}

fn pair(name: &Value, value: &Value) -> String {
    let quote = |value: &Value| percent::encode(&value.to_string()).replace("%20", "+");
    format!("{}={}", quote(name), quote(value))
}
