//! Which differences count as corrected, and which as different.

use serde_json::json;

use super::*;
use crate::domain::association::Association;
use crate::domain::ids::{Mxid, ServerName};
use crate::domain::signing::KeyPair;

const OURS: &str = "id.example.test";

fn key(seed: u8) -> KeyPair {
    KeyPair::from_seed(KeyId::parse("ed25519:0").unwrap(), &[seed; 32])
}

fn public() -> PublicKey {
    key(1).public()
}

fn ok(body: Value) -> Answer {
    Answer { status: 200, body }
}

fn refused(status: u16) -> Answer {
    let body = json!({});
    Answer { status, body }
}

fn plain(address: &str, mxid: &str) -> Value {
    json!({
        "medium": "email", "address": address, "mxid": mxid, "ts": 5, "not_before": 5,
        "not_after": 9,
    })
}

fn by(mut object: Value, name: &str, seed: u8) -> Value {
    let name = ServerName::parse(name).unwrap();
    key(seed)
        .sign(&name, object.as_object_mut().unwrap())
        .unwrap();
    object
}

fn statement(address: &str, mxid: &str) -> Value {
    by(plain(address, mxid), OURS, 1)
}

fn bound(address: &str, mxid: &str) -> Expected {
    Expected::Bound(Association {
        threepid: ThreePid::parse("email", address).unwrap(),
        mxid: Mxid::parse(mxid).unwrap(),
        ts: 5,
        not_before: 5,
        not_after: 9,
    })
}

fn verdict(old: &Value, new: &Value, expected: &Expected) -> Verdict {
    compare_signed(&ok(old.clone()), &ok(new.clone()), expected, &public())
}

const ALICE: &str = "@alice:hs.test";
const BOB: &str = "@bob:hs.test";

#[test]
fn associations_must_be_equal_or_the_newest() {
    let expected = bound("a@b.test", ALICE);
    let (right, upper) = (statement("a@b.test", ALICE), statement("A@b.test", ALICE));
    let other = statement("a@b.test", BOB);
    let nobody = json!({});
    for (old, new, verdict_of) in [
        (&right, &right, Verdict::Equal),
        (&nobody, &nobody, Verdict::Equal),
        (&upper, &upper, Verdict::Equal),
        (&other, &other, Verdict::Equal),
        (&upper, &right, Verdict::Corrected(Correction::Folded)),
        (&other, &right, Verdict::Corrected(Correction::Newest)),
        (&nobody, &right, Verdict::Corrected(Correction::Found)),
    ] {
        assert_eq!(verdict(old, new, &expected), verdict_of, "{old} {new}");
    }
    for (old, new) in [(&right, &other), (&nobody, &other), (&right, &nobody)] {
        let Verdict::Different(_) = verdict(old, new, &expected) else {
            panic!("{old} {new}");
        };
    }
    for (expected, correction) in [
        (Expected::Removed, Correction::Removed),
        (Expected::NotImported, Correction::NotImported),
    ] {
        let gone = Verdict::Corrected(correction);
        assert_eq!(verdict(&right, &nobody, &expected), gone);
        assert_eq!(compare_users(&[ALICE], None, &expected), gone);
    }
}

#[test]
fn signatures_must_be_valid_and_complete() {
    let expected = bound("a@b.test", ALICE);
    let bare = plain("a@b.test", ALICE);
    let right = statement("a@b.test", ALICE);
    let forged = by(bare.clone(), OURS, 2);
    let unsigned = Verdict::Different(SIGNATURE);
    for bad in [&bare, &forged, &by(bare.clone(), "other.test", 2)] {
        assert_eq!(verdict(&right, bad, &expected), unsigned);
        assert_eq!(verdict(&json!({}), bad, &expected), unsigned);
        // An invalid signature may be replaced by a valid one.
        assert_eq!(verdict(&forged, &right, &expected), Verdict::Equal);
    }
    // A replicated association has the signatures of both servers (V1L-03).
    let theirs = by(bare.clone(), "other.test", 2);
    let both = by(theirs.clone(), OURS, 1);
    assert_eq!(verdict(&both, &both, &expected), Verdict::Equal);
    assert_eq!(verdict(&both, &theirs, &expected), unsigned);
    assert_eq!(verdict(&both, &right, &expected), unsigned);
    let renamed = by(bare, "renamed.test", 1);
    assert_eq!(verdict(&right, &renamed, &expected), unsigned);
}

#[test]
fn users_must_be_equal_or_the_newest() {
    let expected = bound("a@b.test", ALICE);
    for (old, new, verdict) in [
        (&[][..], None, Verdict::Equal),
        (&[ALICE, ALICE], Some(ALICE), Verdict::Equal),
        (&[BOB], Some(BOB), Verdict::Equal),
        (&[], Some(ALICE), Verdict::Corrected(Correction::Found)),
        (&[BOB], Some(ALICE), Verdict::Corrected(Correction::Newest)),
        (
            &[ALICE, BOB],
            Some(ALICE),
            Verdict::Corrected(Correction::Newest),
        ),
        (&[], Some(BOB), Verdict::Different(ONLY_NEW_FINDS)),
    ] {
        assert_eq!(compare_users(old, new, &expected), verdict);
    }
    for (old, new) in [
        (&[ALICE][..], Some(BOB)),
        (&[ALICE, BOB], Some(BOB)),
        (&[ALICE], None),
    ] {
        let verdict = compare_users(old, new, &expected);
        assert!(matches!(verdict, Verdict::Different(_)));
    }
}

#[test]
fn keys_and_peppers_must_be_equal() {
    let with = |seed: u8| ok(json!({ "public_key": key(seed).public().to_base64() }));
    let by_id = |old, new| compare_key(&old, &new, &public());
    assert_eq!(by_id(with(1), with(1)), Verdict::Equal);
    let under_its_id = Verdict::Corrected(Correction::KeyId);
    assert_eq!(by_id(refused(404), with(1)), under_its_id);
    for (old, new) in [
        (with(1), with(2)),
        (with(1), refused(404)),
        (with(2), with(1)),
    ] {
        assert!(matches!(by_id(old, new), Verdict::Different(_)));
    }

    let details = |pepper: &str, algorithms: &[&str]| {
        ok(json!({ "lookup_pepper": pepper, "algorithms": algorithms }))
    };
    let old = details("a", &["sha256", "none"]);
    let turned = details("a", &["none", "sha256"]);
    assert_eq!(compare_hash_details(&old, &turned, true), Verdict::Equal);
    let other = details("b", &["none", "sha256"]);
    assert!(matches!(
        compare_hash_details(&old, &other, true),
        Verdict::Different(_)
    ));
    let made = Verdict::Corrected(Correction::Pepper);
    assert_eq!(compare_hash_details(&old, &other, false), made);
    let fewer = details("a", &["sha256"]);
    assert!(matches!(
        compare_hash_details(&old, &fewer, true),
        Verdict::Different(_)
    ));
}

#[test]
fn equal_refusals_match_and_failures_never() {
    assert_eq!(
        compare_exactly(&refused(403), &refused(403)),
        Verdict::Equal
    );
    for (old, new) in [
        (401, 403),
        (200, 403),
        (403, 200),
        (500, 500),
        (200, 500),
        (502, 200),
    ] {
        let verdict = compare_exactly(&refused(old), &refused(new));
        assert!(matches!(verdict, Verdict::Different(_)), "{old} {new}");
        let bulk = compare_signed(&refused(old), &refused(new), &Expected::Unbound, &public());
        assert_eq!(bulk, verdict);
    }
    assert_eq!(
        compare_rejections(&refused(404), &refused(403)),
        Verdict::Equal
    );
    assert_eq!(
        compare_rejections(&refused(404), &refused(200)),
        Verdict::Different(ONLY_NEW_SUCCEEDS)
    );
}

#[test]
fn sydent_responses_are_parsed() {
    let body = json!({"threepids": [
        ["email", "A@b.test", ALICE], ["email", "a@b.test", BOB], ["email"], 3,
    ]});
    let users = users_in_bulk(&body);
    let found = &users[&("email".to_owned(), "a@b.test".to_owned())];
    assert_eq!((users.len(), found.as_slice()), (1, &[ALICE, BOB][..]));
    let body = json!({"mappings": {"x": ALICE, "y": 3}});
    assert_eq!(users_in_mappings(&body), HashMap::from([("x", ALICE)]));
    assert!(users_in_bulk(&json!(null)).is_empty() && users_in_mappings(&json!([])).is_empty());
}
