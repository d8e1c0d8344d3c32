//! Deserializes requests from JSON values, with errors that clients can read.
//!
//! `serde_json`'s own errors quote the value, which can be a secret or an
//! address, and stop at the first missing field. Strings are moved out of the
//! value, since a lookup has ten thousand of them; its structure stays, so that
//! the caller can name all missing fields afterwards.

use std::fmt;
use std::mem;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, Expected, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::Value;

/// Why a field was refused. Never contains its value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FieldError {
    /// The path of the field, such as `addresses[3]`; empty for the whole.
    pub path: String,
    /// What is wrong, such as `must be a string`.
    pub problem: Problem,
}

/// What is wrong with a field.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// It is not there.
    Missing(&'static str),
    /// It has another JSON type.
    Type(String),
    /// It has the right type and breaks the rules of its own type.
    Format(String),
}

impl FieldError {
    fn new(problem: Problem) -> Self {
        Self {
            path: String::new(),
            problem,
        }
    }

    fn wrong_type(expected: &dyn Expected) -> Self {
        let expected = expected.to_string();
        // serde's words are Rust's, clients know JSON's.
        let expected = match expected.as_str() {
            "a sequence" => "a list",
            "a map" => "an object",
            "a JSON number" => "a number",
            name if name.starts_with("struct ") => "an object",
            other => other,
        };
        Self::new(Problem::Type(format!("must be {expected}")))
    }

    fn within(self, outer: &str) -> Self {
        let path = match self.path.as_str() {
            "" => outer.to_owned(),
            index if index.starts_with('[') => format!("{outer}{index}"),
            inner => format!("{outer}.{inner}"),
        };
        Self { path, ..self }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Problem::Missing(name) => write!(f, "{name} is missing"),
            Problem::Type(reason) | Problem::Format(reason) => {
                write!(f, "{}: {reason}", self.path)
            }
        }
    }
}

impl std::error::Error for FieldError {}

impl de::Error for FieldError {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self::new(Problem::Format(reason.to_string()))
    }

    fn invalid_type(_found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::wrong_type(expected)
    }

    fn invalid_value(_found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::wrong_type(expected)
    }

    fn invalid_length(_length: usize, expected: &dyn Expected) -> Self {
        Self::wrong_type(expected)
    }

    fn missing_field(name: &'static str) -> Self {
        Self::new(Problem::Missing(name))
    }
}

/// Deserializes from a value and moves its strings out.
pub(super) struct ValueDeserializer<'a>(pub &'a mut Value);

impl<'de> Deserializer<'de> for ValueDeserializer<'_> {
    type Error = FieldError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), _, _) => visitor.visit_u64(number),
                (None, Some(number), _) => visitor.visit_i64(number),
                (None, None, number) => visitor.visit_f64(number.unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_string(mem::take(text)),
            Value::Array(list) => {
                let length = list.len();
                let mut items = Items {
                    rest: list.iter_mut(),
                    length,
                };
                let visited = visitor.visit_seq(&mut items)?;
                if items.rest.len() == 0 {
                    Ok(visited)
                } else {
                    Err(FieldError::new(Problem::Type(
                        "must be a shorter list".to_owned(),
                    )))
                }
            }
            Value::Object(object) => {
                let entries = object.iter_mut();
                let entries = entries.map(|(name, value)| (name.as_str(), value));
                visitor.visit_map(Entries::new(entries.collect()))
            }
        }
    }

    /// In the order of the struct's fields, so that the first wrong one of them
    /// is named, and without its unknown fields.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        let Value::Object(object) = self.0 else {
            return self.deserialize_any(visitor);
        };
        let position = |name: &str| fields.iter().position(|field| *field == name);
        let mut known: Vec<_> = object
            .iter_mut()
            .filter_map(|(name, value)| Some((position(name)?, (name.as_str(), value))))
            .collect();
        known.sort_by_key(|(position, _)| *position);
        let known = known.into_iter().map(|(_, entry)| entry);
        visitor.visit_map(Entries::new(known.collect()))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Items<'a> {
    rest: std::slice::IterMut<'a, Value>,
    length: usize,
}

impl<'de> SeqAccess<'de> for &mut Items<'_> {
    type Error = FieldError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, FieldError> {
        let index = self.length.saturating_sub(self.rest.len());
        let Some(value) = self.rest.next() else {
            return Ok(None);
        };
        match seed.deserialize(ValueDeserializer(value)) {
            Ok(item) => Ok(Some(item)),
            Err(error) => Err(error.within(&format!("[{index}]"))),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// The entries of an object; one that is `null` counts as absent.
struct Entries<'a> {
    rest: std::vec::IntoIter<(&'a str, &'a mut Value)>,
    current: Option<(&'a str, &'a mut Value)>,
}

impl<'a> Entries<'a> {
    fn new(entries: Vec<(&'a str, &'a mut Value)>) -> Self {
        Self {
            rest: entries.into_iter(),
            current: None,
        }
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = FieldError;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, FieldError> {
        self.current = self.rest.find(|(_, value)| !value.is_null());
        match &self.current {
            Some((name, _)) => seed.deserialize(StrDeserializer::new(name)).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, FieldError> {
        match self.current.take() {
            Some((name, value)) => seed
                .deserialize(ValueDeserializer(value))
                .map_err(|error| error.within(name)),
            None => Err(de::Error::custom("has no value")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::domain::ids::Mxid;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Inner {
        one: String,
        two: Option<u8>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Outer {
        user: Mxid,
        name: String,
        count: Option<i64>,
        list: Option<Vec<String>>,
        pairs: Option<Vec<(String, String)>>,
        inner: Option<Inner>,
        map: Option<BTreeMap<String, bool>>,
    }

    fn read(mut value: Value) -> Result<Outer, String> {
        Outer::deserialize(ValueDeserializer(&mut value)).map_err(|error| error.to_string())
    }

    #[test]
    fn every_type_is_read_and_null_counts_as_absent() {
        let outer = read(json!({
            "user": "@a:b", "name": "n", "count": -1, "list": ["x", "y"],
            "pairs": [["a", "b"]], "inner": {"one": "1", "two": null, "three": {}},
            "map": {"yes": true, "none": null}, "unknown": [1],
        }));
        let outer = outer.unwrap();
        assert_eq!(outer.user.as_str(), "@a:b");
        assert_eq!(outer.count, Some(-1));
        assert_eq!(outer.list.unwrap(), ["x", "y"]);
        assert_eq!(outer.pairs.unwrap()[0].1, "b");
        assert_eq!(outer.inner.unwrap().two, None);
        assert_eq!(outer.map.unwrap().len(), 1);
        let least = read(json!({"user": "@a:b", "name": "n", "count": null, "list": null}));
        assert_eq!(least.unwrap().list, None);
    }

    #[test]
    fn errors_name_the_field_and_never_its_value() {
        for (field, value, error) in [
            ("name", json!(77), "name: must be a string"),
            ("name", json!(["hunter2"]), "name: must be a string"),
            ("user", json!({"hunter2": 1}), "user: must be a string"),
            (
                "user",
                json!("hunter2"),
                "user: must be a Matrix user id such as @alice:example.org",
            ),
            ("list", json!("hunter2"), "list: must be a list"),
            ("list", json!(["a", 77]), "list[1]: must be a string"),
            ("pairs", json!([["a", 77]]), "pairs[0][1]: must be a string"),
            (
                "pairs",
                json!([["a", "b", "hunter2"]]),
                "pairs[0]: must be a shorter list",
            ),
            ("inner", json!("hunter2"), "inner: must be an object"),
            ("inner", json!({"one": 77}), "inner.one: must be a string"),
            ("inner", json!({"two": 1}), "one is missing"),
            ("map", json!([]), "map: must be an object"),
            ("name", json!(null), "name is missing"),
        ] {
            let mut object = json!({"user": "@a:b", "name": "n"});
            object[field] = value;
            assert_eq!(read(object).unwrap_err(), error);
        }
        // Of several, the first in the order of the struct.
        let several = read(json!({"name": 1, "user": 2})).unwrap_err();
        assert_eq!(several, "user: must be a string");
    }

    #[test]
    fn structure_is_kept_without_long_strings() {
        let mut value = json!({"user": "@a:b", "name": "n", "list": ["x"], "inner": {"one": "1"}});
        let before = value["list"][0].as_str().unwrap().as_ptr();
        let outer = Outer::deserialize(ValueDeserializer(&mut value)).unwrap();
        assert_eq!(outer.list.unwrap()[0].as_ptr(), before, "it is a copy");
        let left = json!({"user": "", "name": "", "list": [""], "inner": {"one": ""}});
        assert_eq!(value, left);
    }
}
