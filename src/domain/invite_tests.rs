//! Which fields of an invitation are valid, and in what form.

use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;
use crate::domain::shown_text::defang;

fn fields(object: Value) -> InviteFields {
    let object: Map<String, Value> = serde_json::from_value(object).unwrap();
    InviteFields::from_request(object.iter().map(|(name, value)| (name.as_str(), value)))
}

/// INV-04, IDN-08
#[test]
fn room_id_checks_only_length_and_controls() {
    for good in [
        "!room:example.org",
        "!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM",
        "$aroom:fake.test",
        "x",
        &"é".repeat(127),
    ] {
        assert!(RoomId::parse(good).is_ok(), "{good}");
    }
    for bad in ["", "!a\n:b", "!a\0", &"x".repeat(256), &"é".repeat(128)] {
        assert!(RoomId::parse(bad).is_err(), "{bad:?}");
    }
}

/// INV-03
#[test]
fn invalid_optional_fields_count_as_absent() {
    let none = fields(json!({
        "room_alias": "", "room_avatar_url": null, "room_name": " \n", "room_type": 7,
        "sender_display_name": {"a": "b"}, "sender_avatar_url": "javascript:alert(1)",
        "room_join_rules": [], WEB_CLIENT: "ftp://a.example", "medium": "email",
        "address": "a@b.example", "access_token": "secret", "sender": "@a:b", "brand": "x",
        "not a name": "x", "": "x",
    }));
    assert_eq!(none, InviteFields::default());
    for bad in ["room", "#room", "x#room:a.example", "#a b\u{200b}:a"] {
        assert_eq!(fields(json!({"room_alias": bad})).get("room_alias"), None);
    }
}

/// INV-02
#[test]
fn valid_and_additional_fields_are_kept() {
    let given = json!({
        "room_alias": "#room:a.example", "room_avatar_url": "mxc://a.example/x",
        "room_name": "Tea", "room_type": "m.space", "sender_display_name": "Bob",
        "sender_avatar_url": "mxc://a.example/y", "room_join_rules": "invite",
        "guest_access_token": "token", "org.example.colour": "blue",
    });
    let kept = fields(given.clone());
    let object = given.as_object().unwrap();
    assert_eq!(kept.iter().count(), object.len());
    assert!(
        object
            .iter()
            .all(|(name, value)| kept.get(name) == value.as_str())
    );
    assert!(kept.is_space());
}

/// INV-05
#[test]
fn web_client_must_be_a_plain_http_url() {
    for (given, kept) in [
        ("https://app.element.io/", Some("https://app.element.io")),
        (
            "http://localhost:8080/riot/",
            Some("http://localhost:8080/riot"),
        ),
        ("javascript:alert(1)", None),
        ("https://", None),
        ("https://user@app.example", None),
        ("https://app.example/?x", None),
        ("https://app.example/#/x", None),
        ("https://a b", None),
        ("/", None),
    ] {
        assert_eq!(web_client(given).as_deref(), kept, "{given}");
    }
}

/// INV-21
#[test]
fn names_are_truncated_by_characters() {
    for (field, given, kept) in [
        ("sender_display_name", "é".repeat(20), "é".repeat(20)),
        (
            "sender_display_name",
            "é".repeat(21),
            format!("{}…", "é".repeat(19)),
        ),
        ("room_name", "x".repeat(30), "x".repeat(30)),
        ("room_name", "x".repeat(31), format!("{}…", "x".repeat(25))),
        (
            "room_name",
            "a\r\n\tb\u{202e}c".to_owned(),
            "a bc".to_owned(),
        ),
        ("further", "x".repeat(501), format!("{}…", "x".repeat(500))),
    ] {
        assert_eq!(
            fields(json!({field: given})).get(field),
            Some(kept.as_str())
        );
    }
    let many: Map<String, Value> = (0..100).map(|n| (format!("f{n}"), json!("x"))).collect();
    assert_eq!(
        fields(Value::Object(many)).iter().count(),
        MAX_UNKNOWN_FIELDS
    );
}

proptest! {
    /// INV-03
    #[test]
    fn kept_values_are_single_lines(name: String, value: String) {
        for name in [name.as_str(), "room_name", "sender_avatar_url", WEB_CLIENT, "room_alias"] {
            for (_, kept) in fields(json!({name: value})).iter() {
                prop_assert!(!kept.chars().any(char::is_control) && !kept.is_empty());
                prop_assert!(!defang(kept).contains("://"));
            }
        }
    }
}
