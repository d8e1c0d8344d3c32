//! Which changes of peers are valid, and what is kept of them.

use serde_json::json;

use super::*;
use crate::domain::ids::KeyId;
use crate::domain::signing::KeyPair;

fn peer() -> ServerName {
    ServerName::parse("peer.example").unwrap()
}

fn pair() -> KeyPair {
    KeyPair::from_seed(KeyId::parse("ed25519:0").unwrap(), &[5; 32])
}

fn read(value: Value) -> Result<PeerChange, Rejection> {
    PeerChange::verify(value, &peer(), &pair().public())
}

fn good() -> Value {
    json!({
        "medium": "email", "address": "Alice@Example.com", "mxid": "@alice:example.org",
        "ts": 5, "not_before": 6, "not_after": 7,
    })
}

fn signed(change: &[(&str, Value)]) -> Value {
    let Value::Object(mut object) = good() else {
        panic!("an object")
    };
    for (name, value) in change {
        object.insert((*name).to_owned(), value.clone());
    }
    pair().sign(&peer(), &mut object).unwrap();
    Value::Object(object)
}

/// INT-03
#[test]
fn changes_are_ordered_as_numbers() {
    let ids = |value: Value| -> Result<Vec<String>, Invalid> {
        let Value::Object(object) = value else {
            panic!("an object")
        };
        Ok(sort_by_id(object)?
            .into_iter()
            .map(|entry| entry.id)
            .collect())
    };
    let ordered = ids(json!({"10": 1, "9": 2, "0": 3, "100": 4})).unwrap();
    assert_eq!(ordered, ["0", "9", "10", "100"]);
    let equal = ids(json!({"10": 1, "010": 2, "9": 3, "0010": 4})).unwrap();
    assert_eq!(equal, ["9", "0010", "010", "10"]);
    let sorted = sort_by_id(json!({"1": "alice"}).as_object().unwrap().clone()).unwrap();
    assert_eq!(
        format!("{sorted:?}"),
        "[WithId { id: \"1\", number: 1, .. }]"
    );
    for wrong in ["", "-1", "+1", "1.0", " 1", "a", "9223372036854775808"] {
        assert!(ids(json!({wrong: 1})).is_err(), "{wrong}");
    }
}

/// INT-03
#[test]
fn reads_bindings_and_removals() {
    let Ok(PeerChange::Bound {
        association,
        signed: text,
    }) = read(signed(&[]))
    else {
        panic!("it is bound")
    };
    assert_eq!(association.threepid.address(), "alice@example.com");
    assert_eq!(association.mxid.as_str(), "@alice:example.org");
    let times = (
        association.ts,
        association.not_before,
        association.not_after,
    );
    assert_eq!(times, (5, 6, 7));
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), signed(&[]));

    for historical in ["@:hs", "@Old Name:example.org", "@a\n:hs"] {
        let change = read(signed(&[("mxid", json!(historical))]));
        let Ok(PeerChange::Bound { association, .. }) = change else {
            panic!("it is bound")
        };
        assert_eq!(association.mxid.as_str(), historical);
    }

    let null = || Value::Null;
    let removal = signed(&[
        ("mxid", null()),
        ("not_before", null()),
        ("not_after", null()),
    ]);
    let removed = read(removal).unwrap();
    assert!(matches!(removed, PeerChange::Removed { ts: 5, .. }));
    assert_eq!(removed.threepid().unwrap().address(), "alice@example.com");
    assert!(!format!("{removed:?}").contains("alice"));
}

/// INT-03
#[test]
fn unsigned_content_is_not_kept() {
    let mut more = signed(&[("more", json!("signed too"))]);
    more["unsigned"] = json!({"a": 1});
    more["signatures"]["other.example"] = json!({"ed25519:0": "x"});
    let Ok(PeerChange::Bound { signed: text, .. }) = read(more) else {
        panic!("it is bound")
    };
    let kept: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(kept, signed(&[("more", json!("signed too"))]));
}

/// INT-03
#[test]
fn invites_of_others_are_not_kept() {
    let token = json!([{"token": "secret", "mxid": "@eve:example.org"}]);
    let Ok(PeerChange::Bound { signed: text, .. }) = read(signed(&[("invites", token)])) else {
        panic!("it is bound")
    };
    let mut kept: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(kept["signatures"], json!({}));
    kept.as_object_mut().unwrap().remove("signatures");
    assert_eq!(kept, good());
}

/// INT-03
#[test]
fn restated_answers_are_no_statements() {
    let change = read(signed(&[(RESTATES, json!(true))])).unwrap();
    assert_eq!(change, PeerChange::Restated);
    assert!(change.statement(&peer(), 1).is_none());
    let change = read(signed(&[(RESTATES, json!(false))])).unwrap();
    assert_eq!(change.statement(&peer(), 1).unwrap().ts, 5);
}

/// INT-03
#[test]
fn what_cannot_be_signed_is_invalid() {
    let mut odd = good();
    odd["ts"] = json!(1_u64 << 60);
    assert!(matches!(read(odd), Err(Rejection::Invalid(_))));
    assert_eq!(read(good()), Err(Rejection::Unsigned));
}

/// INT-03
#[test]
fn invalid_changes_are_rejected() {
    for (name, value) in [
        ("medium", json!("twitter")),
        ("medium", json!(1)),
        ("address", json!("nobody")),
        ("address", json!(["a@b.example"])),
        ("mxid", json!("alice")),
        ("mxid", json!(false)),
        ("ts", json!("5")),
        ("ts", json!(null)),
        ("ts", json!(-1)),
        ("not_before", json!(null)),
        ("not_after", json!(true)),
    ] {
        assert!(
            read(signed(&[(name, value.clone())])).is_err(),
            "{name} {value}"
        );
    }
    let mut unsigned = signed(&[]);
    unsigned["ts"] = json!(8);
    for wrong in [good(), unsigned, json!(null), json!([]), json!("a")] {
        assert!(read(wrong).is_err());
    }
    let mut without = good();
    without.as_object_mut().unwrap().remove("mxid");
    pair()
        .sign(&peer(), without.as_object_mut().unwrap())
        .unwrap();
    assert!(read(without).is_err());
}
