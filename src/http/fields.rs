//! The fields of a request, before and after they are read into its struct.

use std::fmt;
use std::sync::Arc;

use actix_web::web::Bytes;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use super::args::json_object;
use super::deserialize::{Problem, ValueDeserializer};
use crate::config::Config;
use crate::error::Error;
use crate::permits::Room;

/// A request of the API. Its schema says which fields are required, both in the
/// documentation and when a request is read.
pub trait Request: DeserializeOwned + ToSchema {
    /// Whether the query string can name the brand, also of a `POST` (EML-12).
    const HAS_BRAND: bool = false;

    /// Whether a JSON body is read into the struct at once: for requests with long lists,
    /// whose values would take several times the room of the body. `LoggedPerson` then
    /// finds nothing in its fields.
    const IS_LONG: bool = false;

    /// The largest body in bytes, if it can be larger than `http.max_body_bytes`.
    #[must_use]
    fn max_body_bytes(_config: &Config) -> usize {
        0
    }

    /// The response to a field that has the right JSON type and a value that
    /// its own type refuses.
    #[must_use]
    fn invalid(field: &str, reason: &str) -> Error {
        Error::invalid_param(field, reason)
    }
}

/// Fields by name, as they came. Values can be secrets and addresses, and
/// clients choose the names: `Debug` shows neither.
pub struct Fields(Given);

enum Given {
    Values(Value),
    /// A body that is probably a JSON object, and the room that it takes.
    Json(Bytes, Arc<Room>),
}

impl Default for Fields {
    fn default() -> Self {
        Self(Given::Values(Value::Null))
    }
}

impl Fields {
    /// The fields of a JSON body.
    #[must_use]
    pub(super) fn json(body: Bytes, room: Arc<Room>) -> Self {
        Self(Given::Json(body, room))
    }

    /// The length of a JSON body that is not parsed yet.
    #[must_use]
    pub(super) fn unparsed_bytes(&self) -> usize {
        match &self.0 {
            Given::Values(_) => 0,
            Given::Json(body, _) => body.len(),
        }
    }

    /// Reads the struct of a request.
    ///
    /// # Errors
    /// `400 M_MISSING_PARAMS`, naming all required fields that are missing or
    /// null (GEN-08); otherwise `400 M_INVALID_PARAM` for the first field of a
    /// wrong type or format (GEN-09), or [`Request::invalid`].
    pub fn parse<T: Request>(self) -> Result<T, Error> {
        let mut values = match self.0 {
            Given::Values(values) => values,
            Given::Json(body, _room) => {
                if let Some(request) = read_at_once(&body) {
                    return Ok(request);
                }
                // Finds the error, or reads what JSON allows and the struct does not, such
                // as a name twice.
                Value::Object(json_object(&body)?)
            }
        };
        T::deserialize(ValueDeserializer(&mut values)).map_err(|error| {
            let missing = missing_fields(&T::schema(), &values);
            let missing: Vec<&str> = missing.iter().map(String::as_str).collect();
            match error.problem {
                _ if !missing.is_empty() => Error::missing_params(&missing),
                Problem::Missing(name) => Error::missing_params(&[name]),
                Problem::Type(reason) => Error::invalid_param(&error.path, reason),
                Problem::Format(reason) => T::invalid(&error.path, &reason),
            }
        })
    }

    /// A field that is a string.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.object()?.get(name)?.as_str()
    }

    /// All fields, unknown ones included.
    #[must_use]
    pub fn object(&self) -> Option<&Map<String, Value>> {
        match &self.0 {
            Given::Values(values) => values.as_object(),
            Given::Json(..) => None,
        }
    }
}

/// Reads a struct without the values between. `None` if it has fields that the struct has
/// not: those are skipped without a look at what is in them.
fn read_at_once<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    // An array could be read into a struct as well.
    if !body.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let mut has_others = false;
    let request = serde_ignored::deserialize(&mut json, |_field| has_others = true).ok()?;
    (!has_others && json.end().is_ok()).then_some(request)
}

impl From<Map<String, Value>> for Fields {
    fn from(fields: Map<String, Value>) -> Self {
        Self(Given::Values(Value::Object(fields)))
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.object().map_or(0, Map::len);
        write!(f, "Fields({count} …)")
    }
}

/// The required fields of a schema that a value lacks, or those that its objects
/// lack if it has all itself.
fn missing_fields(schema: &RefOr<Schema>, value: &Value) -> Vec<String> {
    let (RefOr::T(Schema::Object(schema)), Some(object)) = (schema, value.as_object()) else {
        return Vec::new();
    };
    let is_missing = |name: &&String| object.get(*name).is_none_or(Value::is_null);
    let missing: Vec<String> = schema.required.iter().filter(is_missing).cloned().collect();
    if !missing.is_empty() {
        return missing;
    }
    let inner = schema.properties.iter().filter_map(|(name, schema)| {
        let value = object.get(name)?;
        Some(missing_fields(schema, value))
    });
    inner.flatten().collect()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, ToSchema)]
    #[expect(dead_code, reason = "only the errors are looked at")]
    struct Inner {
        medium: String,
        address: String,
    }

    #[derive(Debug, Deserialize, ToSchema)]
    #[expect(dead_code, reason = "only the errors are looked at")]
    struct Outer {
        sid: String,
        client_secret: String,
        next_link: Option<String>,
        #[schema(inline)]
        threepid: Inner,
    }

    impl Request for Outer {}

    fn error(value: Value) -> String {
        let Value::Object(object) = value else {
            panic!("not an object")
        };
        let error = Fields::from(object).parse::<Outer>().unwrap_err();
        error.message().to_owned()
    }

    #[test]
    fn missing_fields_are_named_before_wrong_ones() {
        let threepid = json!({"medium": "email", "address": "a"});
        for (value, message) in [
            (
                json!({}),
                "Missing parameters: sid, client_secret, threepid",
            ),
            (
                json!({"sid": 1, "client_secret": null, "threepid": threepid}),
                "Missing parameters: client_secret",
            ),
            (
                json!({"sid": 1, "client_secret": "s", "threepid": {"medium": null}}),
                "Missing parameters: medium, address",
            ),
            (
                json!({"sid": "s", "client_secret": "s", "threepid": "hunter2"}),
                "threepid: must be an object",
            ),
            (
                json!({"sid": "s", "client_secret": "s", "next_link": 1, "threepid": threepid}),
                "next_link: must be a string",
            ),
        ] {
            assert_eq!(error(value), message);
        }
    }

    /// SEC-23
    #[test]
    fn debug_hides_the_arguments() {
        let object = json!({"token": "hunter2", "alice@example.com": [["hunter2"]]});
        let shown = format!("{:?}", Fields(Given::Values(object)));
        assert_eq!(shown, "Fields(2 …)");
    }
}
