//! The content of queued messages as an export shows it.

use serde_json::{Value, json};

/// The fields that are secrets.
const SECRET_FIELDS: [&str; 5] = [
    "token",
    "client_secret",
    "private_key",
    "sid",
    "guest_access_token",
];

/// The content of a queued message without its secrets. What is no JSON, such as that of
/// another version, is in the field `unreadable`.
#[must_use]
pub fn without_secrets(content: &str) -> Value {
    match serde_json::from_str(content) {
        Ok(mut content) => {
            remove_secrets(&mut content);
            content
        }
        Err(_unreadable) => json!({ "unreadable": mask_secrets(content) }),
    }
}

fn remove_secrets(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !SECRET_FIELDS.contains(&name.as_str()));
            fields.values_mut().for_each(remove_secrets);
        }
        Value::Array(values) => values.iter_mut().for_each(remove_secrets),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The text with everything after the name of a secret masked, up to the next field.
fn mask_secrets(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    for (index, part) in text.split(',').enumerate() {
        if index > 0 {
            masked.push(',');
        }
        let names = SECRET_FIELDS.iter().filter_map(|name| {
            let end = part.find(name)? + name.len();
            part.get(..end)
        });
        match names.min_by_key(|before| before.len()) {
            Some(before) => {
                masked.push_str(before);
                masked.push_str("***");
            }
            None => masked.push_str(part),
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PRS-01
    #[test]
    fn content_of_a_message_has_no_secrets() {
        let content = json!({"address": "a@b.example", "token": "1", "fields":
            {"room_name": "x", "guest_access_token": "2"}, "list": [{"private_key": "3"}]});
        let expected =
            json!({"address": "a@b.example", "fields": {"room_name": "x"}, "list": [{}]});
        assert_eq!(without_secrets(&content.to_string()), expected);
    }

    /// PRS-01
    #[test]
    fn unreadable_content_is_shown_without_secrets() {
        let content =
            r#"{"address":"a@b.example","token":"S1","client_secret" : "S2","x":1,"sid":"S3"#;
        let shown = without_secrets(content);
        let text = shown["unreadable"].as_str().unwrap();
        assert!(
            text.contains("a@b.example") && text.contains("\"x\":1"),
            "{text}"
        );
        assert!(!text.contains(['S']), "{text}");
    }
}
