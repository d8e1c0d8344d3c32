//! Where a request has its arguments, as types that a handler names.

use actix_web::HttpRequest;
use actix_web::http::header;
use serde_json::{Map, Value};

use super::access::Access;
use super::query;
use crate::error::Error;

/// In the query string.
#[derive(Debug)]
pub struct Query;

/// In the body: a JSON object whatever its Content-Type is (GEN-04); on v1 JSON,
/// a form or the query string (GEN-29).
#[derive(Debug)]
pub struct Body;

/// As [`Body`]; on v2 also as a form, which is deprecated (GEN-30).
#[derive(Debug)]
pub struct FormBody;

/// As [`Body`]; on v2 also in the query string with an empty body (SGN-06). Some
/// clients append a user id to the mailed link without encoding its `+`, so a
/// `+` in this query string is no blank.
#[derive(Debug)]
pub struct BodyOrQuery;

/// Where a request has its arguments.
pub trait Arguments: 'static {
    /// The content types that the documentation names; none for the query
    /// string.
    const CONTENT_TYPES: &'static [&'static str];

    /// Whether all arguments are in a JSON body.
    #[must_use]
    fn are_json<A: Access>(_request: &HttpRequest, _body: &[u8]) -> bool {
        false
    }

    /// Reads the arguments by name.
    ///
    /// # Errors
    /// `400 M_BAD_JSON` for a body that is not a JSON object; `400
    /// M_INVALID_PARAM` for a form or query string that is not UTF-8 or has a
    /// name twice.
    fn read<A: Access>(request: &HttpRequest, body: &[u8]) -> Result<Map<String, Value>, Error>;
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

impl Arguments for Query {
    const CONTENT_TYPES: &'static [&'static str] = &[];

    fn read<A: Access>(request: &HttpRequest, _body: &[u8]) -> Result<Map<String, Value>, Error> {
        query::read(request.query_string())
    }
}

impl Arguments for Body {
    const CONTENT_TYPES: &'static [&'static str] = &[JSON];

    fn are_json<A: Access>(request: &HttpRequest, body: &[u8]) -> bool {
        let is_json = || content_type(request).starts_with(JSON) && !is_null(body);
        !A::ANY_FORM || (request.query_string().is_empty() && is_json())
    }

    fn read<A: Access>(request: &HttpRequest, body: &[u8]) -> Result<Map<String, Value>, Error> {
        if A::ANY_FORM {
            let fields = query::read(request.query_string())?;
            with_body(fields, request, body)
        } else {
            json_object(body)
        }
    }
}

impl Arguments for FormBody {
    const CONTENT_TYPES: &'static [&'static str] = &[JSON, FORM];

    fn read<A: Access>(request: &HttpRequest, body: &[u8]) -> Result<Map<String, Value>, Error> {
        // Some clients send JSON with the content type of a form.
        let is_json = body.trim_ascii_start().starts_with(b"{");
        if !A::ANY_FORM && content_type(request) == FORM && !is_json {
            return form(body);
        }
        Body::read::<A>(request, body)
    }
}

impl Arguments for BodyOrQuery {
    const CONTENT_TYPES: &'static [&'static str] = &[JSON];

    fn read<A: Access>(request: &HttpRequest, body: &[u8]) -> Result<Map<String, Value>, Error> {
        let mut fields = query::read_literal_plus(request.query_string())?;
        if !A::ANY_FORM && !is_null(body) {
            fields.extend(json_object(body)?);
            return Ok(fields);
        }
        with_body(fields, request, body)
    }
}

/// The fields of the query string and, over them, a JSON object or a form, by the
/// Content-Type.
fn with_body(
    mut fields: Map<String, Value>,
    request: &HttpRequest,
    body: &[u8],
) -> Result<Map<String, Value>, Error> {
    let content_type = content_type(request);
    if content_type.starts_with(JSON) {
        if !is_null(body) {
            fields.extend(json_object(body)?);
        }
    } else if content_type == FORM {
        fields.extend(form(body)?);
    }
    Ok(fields)
}

fn form(body: &[u8]) -> Result<Map<String, Value>, Error> {
    match std::str::from_utf8(body) {
        Ok(text) => query::read(text),
        Err(_not_utf8) => Err(Error::invalid_param("body", "must be UTF-8")),
    }
}

/// Whether a body is empty or a JSON `null`.
fn is_null(body: &[u8]) -> bool {
    body.trim_ascii().is_empty() || body.trim_ascii() == b"null"
}

/// A JSON object. Of equal names the last counts (GEN-23).
///
/// # Errors
/// `400 M_BAD_JSON` for anything else.
pub(super) fn json_object(body: &[u8]) -> Result<Map<String, Value>, Error> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Error::bad_json("The request body must be a JSON object")),
        Err(_not_json) => Err(Error::bad_json("The request body is not valid JSON")),
    }
}

/// Refuses a JSON body of more values than a look-up may have: as a tree of values it
/// takes up to a hundred times its length.
///
/// # Errors
/// `400 M_BAD_JSON`
pub(super) fn expect_values(body: &[u8], max: usize) -> Result<(), Error> {
    let mut values = 0_usize;
    let mut rest = body;
    loop {
        let (outside, after) = split_at_byte(rest, memchr::memchr(b'"', rest));
        let starts_value = |byte: &&u8| matches!(byte, b',' | b'[' | b'{');
        values += outside.iter().filter(starts_value).count();
        match after {
            Some(string) => rest = after_string(string),
            None => break,
        }
    }
    if values > max {
        return Err(Error::bad_json("The request body has too many values"));
    }
    Ok(())
}

/// What follows the end of a JSON string.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        let is_end = rest.get(at) == Some(&b'"');
        let skipped = at + if is_end { 1 } else { 2 };
        rest = rest.get(skipped..).unwrap_or_default();
        if is_end {
            return rest;
        }
    }
    &[]
}

/// What is before that byte, and what is after it; all of it without one.
fn split_at_byte(bytes: &[u8], at: Option<usize>) -> (&[u8], Option<&[u8]>) {
    match at.and_then(|at| bytes.split_at_checked(at)) {
        Some((before, after)) => (before, after.get(1..)),
        None => (bytes, None),
    }
}

/// The content type of a body in lower case, without parameters.
#[must_use]
pub(super) fn content_type(request: &HttpRequest) -> String {
    let header = request.headers().get(header::CONTENT_TYPE);
    let header = header.and_then(|value| value.to_str().ok());
    let without_parameters = header.unwrap_or_default().split(';').next();
    without_parameters
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear_tests::expect_linear;

    /// GEN-21
    #[test]
    fn values_are_counted_outside_of_strings() {
        let count = |body: &str| {
            let is_within = |max| expect_values(body.as_bytes(), max).is_ok();
            (0..100).find(|max| is_within(*max))
        };
        for (body, values) in [
            ("", 0),
            (r#"{"a":1}"#, 1),
            (r#"{"a":["b","c"],"d":{}}"#, 5),
            (r#"{"a":"[,{\",[\\"}"#, 1),
            (r#"{"\\":[0,0]}"#, 3),
            // Cut short, within a string or an escape.
            (r#"["a,[","#, 2),
            (r#"["a,["#, 1),
            (r#"["a,[\"#, 1),
        ] {
            assert_eq!(count(body), Some(values), "{body}");
        }
    }

    /// GEN-21
    #[test]
    fn bodies_take_linear_time() {
        let names = |count: usize| {
            let fields = (0..count).map(|number| format!(r#""name{number}":{number}"#));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        };
        expect_linear("a body of many names", names, |body| {
            json_object(body.as_bytes()).unwrap();
        });
        for piece in [
            r#""a":1,"#,
            r#""a":"\u00e9\"x","#,
            r#""a":[[],{},""],"#,
            r#""a":1e5,"#,
        ] {
            expect_linear(
                &format!("a body of {piece}"),
                |count| format!(r#"{{{}"z":0}}"#, piece.repeat(count)),
                |body| {
                    json_object(body.as_bytes()).unwrap();
                },
            );
        }
    }
}
