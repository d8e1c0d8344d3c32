//! `docs/person.schema.json`, which describes the output of `sydent person export`.

use serde_json::{Map, Value, json};
use sydent::domain::person::PersonExport;
use utoipa::{PartialSchema as _, ToSchema as _};

use crate::harness::repository;

const FILE: &str = "docs/person.schema.json";

/// The schema that the types say.
fn expected() -> String {
    let mut types = Vec::new();
    PersonExport::schemas(&mut types);
    let definitions: Map<String, Value> = types
        .into_iter()
        .map(|(name, schema)| (name, serde_json::to_value(schema).unwrap()))
        .collect();
    let mut document = serde_json::to_value(PersonExport::schema()).unwrap();
    let fields = document.as_object_mut().unwrap();
    let dialect = json!("https://json-schema.org/draft/2020-12/schema");
    fields.insert("$schema".to_owned(), dialect);
    fields.insert("$defs".to_owned(), Value::Object(definitions));
    let text = serde_json::to_string_pretty(&document).unwrap() + "\n";
    text.replace("#/components/schemas/", "#/$defs/")
}

/// PRS-01
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the environment says whether to write the file"
)]
fn schema_of_the_export_is_up_to_date() {
    let expected = expected();
    if std::env::var("UPDATE").is_ok_and(|value| value == "1") {
        std::fs::write(repository(FILE), &expected).unwrap();
    }
    let file = std::fs::read_to_string(repository(FILE)).unwrap_or_default();
    assert_eq!(
        file, expected,
        "run UPDATE=1 cargo test --test it schema_of"
    );
}

/// Expects that a value is valid by the schema in the repository.
pub fn expect_valid(value: &Value) {
    let text = std::fs::read_to_string(repository(FILE)).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    check(value, &schema, &schema, "");
}

fn check(value: &Value, rule: &Value, schema: &Value, path: &str) {
    if let Some(name) = rule["$ref"].as_str() {
        let name = name.strip_prefix("#/$defs/").unwrap();
        return check(value, &schema["$defs"][name], schema, path);
    }
    let one = [rule["type"].clone()];
    let types = rule["type"]
        .as_array()
        .map_or(one.as_slice(), Vec::as_slice);
    let is_of_type = |name: &Value| match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        other => panic!("{path}: the type {other:?}"),
    };
    assert!(types.iter().any(is_of_type), "{path}: {value} by {rule}");
    if let (Some(fields), Some(known)) = (value.as_object(), rule["properties"].as_object()) {
        for name in rule["required"].as_array().into_iter().flatten() {
            let name = name.as_str().unwrap();
            assert!(fields.contains_key(name), "{path}: {name} is missing");
        }
        for (name, value) in fields {
            let rule = known.get(name);
            let rule = rule.unwrap_or_else(|| panic!("{path}: {name} is not in the schema"));
            check(value, rule, schema, &format!("{path}.{name}"));
        }
    }
    for item in value.as_array().into_iter().flatten() {
        check(item, &rule["items"], schema, &format!("{path}[]"));
    }
}
