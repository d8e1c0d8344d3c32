//! The arguments of a request, however they come: JSON, form or query string.
//!
//! Where a route has its arguments is said in [`super::call`], for the routes
//! that v1 and v2 share.

use std::fmt;
use std::ops::Deref;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpRequest};
use serde_json::{Map, Value};

use super::token::app_of;
use super::{body, query};
use crate::domain::Invalid;
use crate::error::Error;

/// Named arguments that are read one by one. Their values may be secrets and
/// addresses, and whoever asks may choose any names: `Debug` shows neither.
#[derive(Default)]
pub struct Fields(Map<String, Value>);

impl Fields {
    /// Demands that all of `names` are there; `null` counts as absent.
    ///
    /// # Errors
    /// 400 `M_MISSING_PARAMS`, naming every one that is missing.
    pub fn require(&self, names: &[&str]) -> Result<(), Error> {
        let missing: Vec<&str> = names
            .iter()
            .copied()
            .filter(|name| self.value(name).is_none())
            .collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(Error::missing_params(&missing))
        }
    }

    /// All of them, as they came.
    #[must_use]
    pub fn all(&self) -> &Map<String, Value> {
        &self.0
    }

    /// A value that is there and not `null`.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A string.
    ///
    /// # Errors
    /// 400 when it is missing or of another type.
    pub fn text(&self, name: &str) -> Result<&str, Error> {
        self.optional_text(name)?
            .ok_or_else(|| Error::missing_params(&[name]))
    }

    /// A string, if it is there.
    ///
    /// # Errors
    /// 400 when it is of another type.
    pub fn optional_text(&self, name: &str) -> Result<Option<&str>, Error> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Error::invalid_param(name, "must be a string")),
        }
    }

    /// Everything that is there, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// A string that follows a grammar.
    ///
    /// # Errors
    /// 400 when it is missing, of another type, or does not follow it.
    pub fn parse<T>(
        &self,
        name: &str,
        grammar: impl Fn(&str) -> Result<T, Invalid>,
    ) -> Result<T, Error> {
        grammar(self.text(name)?).map_err(|why| Error::invalid_param(name, why))
    }
}

impl From<Map<String, Value>> for Fields {
    fn from(fields: Map<String, Value>) -> Self {
        Self(fields)
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fields({} …)", self.0.len())
    }
}

macro_rules! extractor {
    ($(#[$doc:meta])* $name:ident, $read:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name(Fields);

        impl Deref for $name {
            type Target = Fields;

            fn deref(&self) -> &Fields {
                &self.0
            }
        }

        impl FromRequest for $name {
            type Error = Error;
            type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

            fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
                let (request, payload) = (request.clone(), payload.take());
                Box::pin(async move {
                    let app = app_of(&request)?;
                    let body = body::read(app, payload).await?;
                    let read: fn(&HttpRequest, &Bytes) -> Result<Map<String, Value>, Error> = $read;
                    read(&request, &body).map(|fields| Self(Fields(fields)))
                })
            }
        }
    };
}

extractor!(
    /// The query string.
    QueryArgs,
    |request, _body| query::read(request.query_string())
);

extractor!(
    /// A JSON object as the body, whatever its Content-Type says (GEN-04).
    JsonArgs,
    |_request, body| json_object(body)
);

/// v1: the query string and, over it, a JSON object or a form, as the
/// Content-Type says (GEN-29).
pub(super) fn query_and_body(
    request: &HttpRequest,
    body: &[u8],
) -> Result<Map<String, Value>, Error> {
    let mut fields = query::read(request.query_string())?;
    let content_type = body::content_type(request);
    if content_type.starts_with("application/json") {
        if !is_null(body) {
            fields.extend(json_object(body)?);
        }
    } else if content_type == "application/x-www-form-urlencoded" {
        fields.extend(form(body)?);
    }
    Ok(fields)
}

/// A form as the body.
pub(super) fn form(body: &[u8]) -> Result<Map<String, Value>, Error> {
    let text = std::str::from_utf8(body)
        .map_err(|_not_utf8| Error::invalid_param("body", "is not UTF-8"))?;
    query::read(text)
}

/// Whether there is no body, or one that says so.
pub(super) fn is_null(body: &[u8]) -> bool {
    body.trim_ascii().is_empty() || body.trim_ascii() == b"null"
}

/// A JSON object as the body.
pub(super) fn json_object(body: &[u8]) -> Result<Map<String, Value>, Error> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Error::bad_json("The request body must be a JSON object")),
        Err(_not_json) => Err(Error::bad_json("The request body is not valid JSON")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_23_arguments_do_not_show_themselves() {
        let body = br#"{"token": "hunter2", "alice@example.com": [["hunter2"]]}"#;
        let fields = || Fields(json_object(body).unwrap());
        for shown in [
            format!("{:?}", fields()),
            format!("{:?}", QueryArgs(fields())),
            format!("{:?}", JsonArgs(fields())),
        ] {
            assert!(shown.contains("Fields(2 …)"), "{shown}");
            assert!(
                !shown.contains("hunter2") && !shown.contains("alice"),
                "{shown}"
            );
        }
    }
}
