//! Bulk lookups.

use serde_json::{Value, json};

use super::bind;
use crate::harness::{TestServer, V1};

/// V1L-04
#[actix_web::test]
async fn returns_submitted_spelling_and_omits_unknown() {
    let server = TestServer::start(|_| {});
    bind(
        &server,
        "email",
        "strauss@example.com",
        "@alice:example.org",
    )
    .await;
    bind(&server, "msisdn", "447700900001", "@bob:example.org").await;
    let found = server
        .api()
        .bulk_lookup(json!([
            ["email", "nobody@example.com"],
            ["email", "Strauß@Example.com"],
            ["msisdn", "447700900001"],
            ["email", "STRAUSS@example.com"],
            ["email", "447700900001"],
            ["msisdn", "strauss@example.com"],
            ["email", "strauss@example.com"],
        ]))
        .await
        .ok();
    let expected = json!({"threepids": [
        ["email", "Strauß@Example.com", "@alice:example.org"],
        ["msisdn", "447700900001", "@bob:example.org"],
        ["email", "STRAUSS@example.com", "@alice:example.org"],
        ["email", "strauss@example.com", "@alice:example.org"],
    ]});
    assert_eq!(found, expected);
    let empty = server.api().bulk_lookup(json!([])).await.ok();
    assert_eq!(empty, json!({"threepids": []}));
}

/// V1L-05
#[actix_web::test]
async fn malformed_threepid_lists_are_rejected() {
    let server = TestServer::start(|_| {});
    let good = json!(["email", "a@example.com"]);
    for entry in [
        json!("email"),
        json!(1),
        json!(null),
        json!({}),
        json!([]),
        json!(["email"]),
        json!(["email", "a@example.com", "x"]),
        json!(["email", 1]),
        json!([null, "a"]),
        json!(["email", ["a@example.com"]]),
        json!([{}, {}]),
        json!([true, "a"]),
    ] {
        let answer = server.api().bulk_lookup(json!([good, entry])).await;
        answer.refused(400, "M_INVALID_PARAM");
    }
    for threepids in [
        json!("x"),
        json!(1),
        json!({"email": "a@example.com"}),
        json!(false),
    ] {
        server
            .api()
            .bulk_lookup(threepids)
            .await
            .refused(400, "M_INVALID_PARAM");
    }
    server
        .api()
        .bulk_lookup(Value::Null)
        .await
        .refused(400, "M_MISSING_PARAMS");
    let form = [("threepids", r#"[["email","a@example.com"]]"#)];
    let answer = server
        .api()
        .post_form(&format!("{V1}/bulk_lookup"), &form)
        .await;
    answer.refused(400, "M_INVALID_PARAM");
}

fn many(count: usize) -> Value {
    (0..count)
        .map(|n| json!(["email", format!("user-number-{n}@example.com")]))
        .collect()
}

/// V1L-06, GEN-21
#[actix_web::test]
async fn bulk_lookup_is_limited_to_10000_addresses() {
    let server = TestServer::start(|_| {});
    bind(
        &server,
        "email",
        "user-number-9999@example.com",
        "@last:example.org",
    )
    .await;
    let found = server.api().bulk_lookup(many(10_000)).await.ok();
    let expected =
        json!({"threepids": [["email", "user-number-9999@example.com", "@last:example.org"]]});
    assert_eq!(found, expected);
    server
        .api()
        .bulk_lookup(many(10_001))
        .await
        .refused(400, "M_TOO_LARGE");
}

/// V1L-06
#[actix_web::test]
async fn limit_may_exceed_the_parameters_of_one_query() {
    let server = TestServer::start(|settings| {
        settings.lookup.max_addresses = 100_000;
        let limits = &mut settings.limits;
        limits.lookup_per_client.burst = 0;
        limits.lookup_per_account.burst = 0;
        limits.new_addresses_per_client.burst = 0;
        limits.new_addresses_per_homeserver.burst = 0;
        limits.new_addresses_per_account.burst = 0;
        settings.http.max_body_bytes = 8 << 20;
    });
    for n in [0, 69_999] {
        bind(
            &server,
            "email",
            &format!("user-number-{n}@example.com"),
            "@a:example.org",
        )
        .await;
    }
    let found = server.api().bulk_lookup(many(70_000)).await.ok();
    assert_eq!(found["threepids"].as_array().unwrap().len(), 2);
}
