//! Which peers and which bodies are refused.

use serde_json::{Value, json};

use super::{push_accepted, start, start_with};
use crate::harness::{Answer, PUSH, Peer, TestCa, TestServer};

async fn post(server: &TestServer, peer: &Peer, kind: &str, body: impl AsRef<[u8]>) -> Answer {
    let answer = peer.post(server, PUSH, kind, body.as_ref()).await;
    answer.expect("an answer")
}

/// INT-03
#[actix_web::test]
async fn peer_without_a_valid_certificate_is_refused() {
    let (server, peer) = start();
    let push = json!({"sgAssocs": {}}).to_string();
    for stranger in [
        Peer::new("peer.test").without_certificate(),
        Peer::new("peer.test").certified_by(&TestCa::new()),
        // Their certificates are valid, and not those of a peer.
        Peer::new("stranger.test"),
        Peer::new("PEER.TEST"),
        Peer::new("id.example.test"),
    ] {
        let answer = stranger
            .post(&server, PUSH, "application/json", push.as_bytes())
            .await;
        assert!(answer.is_none(), "{answer:?}");
    }
    let metrics = server.operations().get("/metrics").await.text();
    let counted = "sydent_replication_received_total{peer=\"\",outcome=\"unknown\"} 3";
    assert!(metrics.contains(counted), "{metrics}");
    // A known peer is still accepted.
    push_accepted(&server, &peer, json!({})).await;
}

/// INT-03
#[actix_web::test]
async fn only_http_1_is_offered() {
    let (server, peer) = start();
    let agreed = async |offered: &[&str]| {
        let stream = peer.connect_offering(&server, offered).await?;
        let protocol = stream.get_ref().1.alpn_protocol().unwrap_or_default();
        Some(String::from_utf8(protocol.to_vec()).unwrap())
    };
    assert_eq!(agreed(&["h2"]).await, None);
    assert_eq!(
        agreed(&["h2", "http/1.1"]).await.as_deref(),
        Some("http/1.1")
    );
    assert_eq!(agreed(&[]).await.as_deref(), Some(""));
}

/// INT-03
#[actix_web::test]
async fn body_must_be_declared_as_json() {
    let (server, peer) = start();
    for kind in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let answer = post(&server, &peer, kind, "{\"sgAssocs\": {}}").await;
        answer.refused(400, "M_NOT_JSON");
    }
    let kind = "application/json; charset=utf-8";
    post(&server, &peer, kind, "{\"sgAssocs\": {}}").await.ok();
    for body in [
        "",
        "{",
        "[]",
        "{}",
        "null",
        "\u{0}",
        "{\"sgAssocs\": null}",
        "{\"sgAssocs\": []}",
        "{\"sgAssocs\": \"{}\"}",
        "{\"sgAssocs\": {\"a\": {}}}",
        "{\"sgAssocs\": {\"-1\": {}}}",
        "{\"sgAssocs\": {\"1.5\": {}}}",
        "{\"sgAssocs\": {\"\": {}}}",
    ] {
        let answer = post(&server, &peer, "application/json", body).await;
        answer.refused(400, "M_BAD_JSON");
    }
    let not_utf8 = b"{\"sgAssocs\": {\"1\": \"\xff\"}}";
    let answer = post(&server, &peer, "application/json", not_utf8).await;
    answer.refused(400, "M_BAD_JSON");
}

/// INT-03
#[actix_web::test]
async fn push_is_limited_in_size_and_count() {
    let (server, peer) = start_with(|settings| settings.http.max_body_bytes = 1024);
    let large = format!("{{\"sgAssocs\": {{\"1\": \"{}\"}}}}", "x".repeat(1 << 20));
    let answer = post(&server, &peer, "application/json", large).await;
    answer.refused(413, "M_TOO_LARGE");
    let many: serde_json::Map<String, Value> = (0..501)
        .map(|number| (number.to_string(), Value::Null))
        .collect();
    let answer = peer.push(&server, many.into()).await;
    answer.refused(400, "M_TOO_LARGE");
    // The body limit for clients does not apply to peers.
    let now = server.now();
    let hundred: serde_json::Map<String, Value> = (0..100)
        .map(|number| {
            let address = format!("{}-{number}@example.com", "long".repeat(10));
            (
                number.to_string(),
                peer.bound(&address, "@alice:example.org", now),
            )
        })
        .collect();
    push_accepted(&server, &peer, hundred.into()).await;
    assert_eq!(server.database.count("associations"), 100);
}

/// INT-03
#[actix_web::test]
async fn any_value_in_any_field_is_harmless() {
    let (server, peer) = start();
    let good = peer.bound("a@example.com", "@alice:example.org", server.now());
    let values = crate::fuzz::json_values();
    let readable = values.iter().filter_map(|text| {
        let value: Value = serde_json::from_str(text).ok()?;
        (text.len() < 400_000).then_some(value)
    });
    for value in readable {
        for field in good.as_object().unwrap().keys() {
            let mut object = good.clone();
            object[field] = value.clone();
            // A value without a canonical JSON form cannot be signed.
            let mut bare = object.as_object().unwrap().clone();
            bare.remove("signatures");
            let can_be_signed = sydent::domain::canonical_json::encode_object(&bare).is_ok();
            if can_be_signed && field != "signatures" {
                object = peer.signed(Value::Object(bare));
            }
            let answer = peer.push(&server, json!({ "1": object })).await;
            assert!(
                [200, 400].contains(&answer.status),
                "{field}: {}",
                answer.text()
            );
            if answer.status == 400 {
                let body = answer.refused(400, "M_VERIFICATION_FAILED");
                assert_eq!(body["failed_ids"], json!(["1"]));
            }
        }
    }
    let metrics = server.operations().get("/metrics").await.text();
    assert!(!metrics.contains("sydent_actor_panics_total{"), "{metrics}");
}

/// INT-03
#[actix_web::test]
async fn listener_serves_only_the_push_route() {
    let (server, peer) = start();
    for path in [
        "/_matrix/identity/v2",
        "/_matrix/identity/internal/bind",
        "/metrics",
        "/_matrix/identity/replicate/v1/push/",
    ] {
        let answer = peer.post(&server, path, "application/json", b"{}").await;
        answer.unwrap().refused(404, "M_UNRECOGNIZED");
    }
    for api in [server.api(), server.internal(), server.operations()] {
        let answer = api.post(PUSH, json!({"sgAssocs": {}})).await;
        answer.refused(404, "M_UNRECOGNIZED");
    }
    let plain = crate::harness::Api::new(format!("http://{}", server.addresses.replication[0]));
    let request = format!("GET {PUSH} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(plain.raw(request.as_bytes()).await.is_none());
    push_accepted(&server, &peer, json!({})).await;
}
