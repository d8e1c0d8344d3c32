//! Public keys (section 6).

use serde_json::json;
use sydent::clock::Clock;
use sydent::domain::base64;
use sydent::domain::ids::KeyId;
use sydent::domain::public_key::PublicKey;
use sydent::domain::signing::{self, KeyPair};

use crate::harness::{Answer, KEY_FILE, SERVER_NAME, TestServer, V1, V2, encode};

/// The public half of the key that test servers sign with.
const PUBLIC_KEY: &str = "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI";

fn line(version: &str, seed: u8) -> String {
    format!("ed25519 {version} {}\n", base64::encode(&[seed; 32]))
}

fn public(line: &str) -> PublicKey {
    KeyPair::parse_line(line.trim()).unwrap().public()
}

/// A server with this key file.
fn with_keys(lines: &str) -> TestServer {
    TestServer::start(|settings| {
        let file = settings.server.signing_key_file.as_ref().unwrap();
        std::fs::write(file, lines).unwrap();
    })
}

fn insert_ephemeral(server: &TestServer, key: PublicKey) {
    let (key, now) = (key.to_base64(), Clock::system().now().as_i64());
    let row =
        format!("INSERT INTO ephemeral_keys (public_key, created_at) VALUES ('{key}', {now})");
    server.database.execute(&row);
}

/// Sends a key, percent-encoded, to one of the two validity routes.
async fn check(server: &TestServer, route: &str, key: &str) -> Answer {
    let query = encode(&[("public_key", key)]);
    server.api().get(&format!("{route}?{query}")).await
}

fn both(end: &str) -> [String; 2] {
    [V2, V1].map(|version| format!("{version}/pubkey/{end}"))
}

/// PUB-01, PUB-11
#[actix_web::test]
async fn key_is_returned_by_its_id() {
    let server = TestServer::start(|_| {});
    for id in ["ed25519:0", "ed25519%3A0", "ed25519%3a%30"] {
        for path in both(id) {
            let key = server.api().get(&path).await.ok();
            assert_eq!(key, json!({"public_key": PUBLIC_KEY}), "{path}");
        }
    }
}

/// PUB-02, IDN-10
#[actix_web::test]
async fn unknown_key_id_is_404() {
    let server = TestServer::start(|_| {});
    let long = "x".repeat(10_000);
    for id in [
        "ed25519:1",
        "ed25519:",
        "ed25519",
        "0",
        ":0",
        "ed25519:00",
        "ed25519:0:0",
        "ED25519:0",
        "curve25519:0",
        "ed25519:0%00",
        "ed25519:0%20",
        "%20ed25519:0",
        "ed25519:%2F0",
        "ed25519:%ff",
        "ed25519%253A0",
        "..",
        &long,
    ] {
        for path in both(id) {
            server.api().get(&path).await.refused(404, "M_NOT_FOUND");
        }
    }
    for path in both("") {
        server.api().get(&path).await.refused(404, "M_UNRECOGNIZED");
    }
}

/// PUB-01, PUB-03, CRY-10
#[actix_web::test]
async fn retired_keys_are_valid_and_first_key_signs() {
    let (active, retired) = (line("b_2", 2), line("a_1", 1));
    let server = with_keys(&format!("{active}# retired in spring\n\n{retired}"));
    for (id, line) in [("ed25519:b_2", &active), ("ed25519:a_1", &retired)] {
        let key = public(line).to_base64();
        for path in both(id) {
            assert_eq!(
                server.api().get(&path).await.ok(),
                json!({"public_key": key})
            );
        }
        for route in both("isvalid") {
            assert_eq!(
                check(&server, &route, &key).await.ok(),
                json!({"valid": true})
            );
        }
    }
    let bound = server
        .internal()
        .internal_bind("email", "a@example.com", "@a:example.org")
        .await
        .ok();
    let bound = bound.as_object().unwrap();
    assert!(signing::verify(
        bound,
        SERVER_NAME,
        &KeyId::parse("ed25519:b_2").unwrap(),
        &public(&active)
    ));
    assert_eq!(
        bound["signatures"][SERVER_NAME].as_object().unwrap().len(),
        1
    );
}

/// PUB-01
#[actix_web::test]
async fn key_id_has_the_version_of_the_key_file() {
    let server = with_keys(&KEY_FILE.replace("ed25519 0", "ed25519 a_xyz"));
    let key = server
        .api()
        .get(&format!("{V2}/pubkey/ed25519:a_xyz"))
        .await
        .ok();
    assert_eq!(key, json!({"public_key": PUBLIC_KEY}));
    server
        .api()
        .get(&format!("{V2}/pubkey/ed25519:0"))
        .await
        .refused(404, "M_NOT_FOUND");
}

/// PUB-03, PUB-04, PUB-10, PUB-11
#[actix_web::test]
async fn each_route_accepts_only_its_own_keys() {
    let server = TestServer::start(|_| {});
    let ephemeral = PublicKey::from_bytes([9; 32]);
    insert_ephemeral(&server, ephemeral);
    for (key, long_term, short_term) in [
        (PUBLIC_KEY.to_owned(), true, false),
        (ephemeral.to_base64(), false, true),
        (base64::encode(&[8; 32]), false, false),
    ] {
        for (route, expected) in [("isvalid", long_term), ("ephemeral/isvalid", short_term)] {
            for path in both(route) {
                let valid = check(&server, &path, &key).await.ok();
                assert_eq!(valid, json!({"valid": expected}), "{path} {key}");
            }
        }
    }
}

/// PUB-05
#[actix_web::test]
async fn missing_key_is_an_error_malformed_is_invalid() {
    let server = TestServer::start(|_| {});
    for path in both("isvalid").into_iter().chain(both("ephemeral/isvalid")) {
        for query in ["", "?", "?key=x"] {
            let answer = server.api().get(&format!("{path}{query}")).await;
            answer.refused(400, "M_MISSING_PARAMS");
        }
        for key in [
            "",
            "AAAA",
            "!",
            "\0",
            "é",
            "+-",
            PUBLIC_KEY.trim_start_matches('X'),
            &"A".repeat(50_000),
        ] {
            assert_eq!(
                check(&server, &path, key).await.ok(),
                json!({"valid": false}),
                "{key}"
            );
        }
    }
}

/// PUB-06, PUB-07
#[actix_web::test]
async fn key_is_valid_in_every_encoding() {
    // A key whose base64 has both characters in which the alphabets differ.
    let spelt_twice = |seed: &u8| {
        let text = public(&line("0", *seed)).to_base64();
        text.contains('+') && text.contains('/')
    };
    let seed = (0..=255).find(spelt_twice).unwrap();
    let key = public(&line("0", seed));
    let server = with_keys(&line("0", seed));
    let ephemeral = [0xfb, 0xef, 0xff].repeat(11);
    let ephemeral = PublicKey::from_bytes(ephemeral[..32].try_into().unwrap());
    insert_ephemeral(&server, ephemeral);

    for (route, key) in [("isvalid", key), ("ephemeral/isvalid", ephemeral)] {
        let (standard, url_safe) = (key.to_base64(), base64::encode_url_safe(key.as_bytes()));
        assert!(standard.contains('+') && standard.contains('/') && url_safe.contains('_'));
        for path in both(route) {
            for text in [
                standard.clone(),
                url_safe.clone(),
                format!("{standard}="),
                format!("{url_safe}="),
            ] {
                assert_eq!(
                    check(&server, &path, &text).await.ok(),
                    json!({"valid": true}),
                    "{text}"
                );
            }
            // As it appears in the event, without any encoding.
            for text in [&standard, &url_safe, &standard.replace('+', "%20")] {
                let answer = server.api().get(&format!("{path}?public_key={text}")).await;
                assert_eq!(answer.ok(), json!({"valid": true}), "{text}");
            }
        }
    }
}
