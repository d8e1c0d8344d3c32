//! Ping and versions (section 3).

use awc::http::Method;
use serde_json::json;

use sydent::config::Settings;

use crate::harness::{TestServer, V1, V2, fresh_address};

/// VER-04, VER-05
#[actix_web::test]
async fn ping_returns_an_empty_object() {
    let server = TestServer::start(|_| {});
    for path in [V2, V1] {
        let answer = server.api().get(path).await;
        assert_eq!(answer.ok(), json!({}), "{path}");
        answer.has_cors_headers();
    }
}

/// VER-06
#[actix_web::test]
async fn ping_works_without_database_and_mail() {
    let server = TestServer::start(|settings| settings.email.smtp.port = Some(1));
    for table in [
        "validation_sessions",
        "associations",
        "ephemeral_keys",
        "outbox",
    ] {
        server.database.execute(&format!("DROP TABLE {table}"));
    }
    for path in [V2, V1, "/_matrix/identity/versions"] {
        server.api().get(path).await.ok();
    }
}

/// VER-01, VER-02
#[actix_web::test]
async fn all_versions_are_listed_and_old_ones_with_v1() {
    let list = async |server: &TestServer| {
        let answer = server.api().get("/_matrix/identity/versions").await.ok();
        let versions = answer["versions"].as_array().unwrap().clone();
        versions
            .iter()
            .map(|version| version.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let of_v1 = ["r0.1.0", "r0.2.0", "r0.2.1", "r0.3.0"].map(str::to_owned);
    let of_v2: Vec<_> = (1..=19).map(|minor| format!("v1.{minor}")).collect();
    let with_v1 = TestServer::start(|_| {});
    assert_eq!(list(&with_v1).await, [&of_v1[..], &of_v2].concat());
    for switch in [
        |settings: &mut Settings| settings.v1.enabled = false,
        |settings: &mut Settings| settings.v1.bind = false,
        |settings: &mut Settings| settings.v1.lookup = false,
    ] {
        assert_eq!(list(&TestServer::start(switch)).await, of_v2);
    }
}

/// What a version requires beyond the routes that it defines.
/// VER-03
#[actix_web::test]
async fn claimed_versions_are_implemented() {
    let server = TestServer::start(|_| {});
    let api = server.account("@alice:example.org").await;
    // v1.6
    api.get(&format!("{V2}/nothing"))
        .await
        .refused(404, "M_UNRECOGNIZED");
    api.send(Method::PUT, &format!("{V2}/lookup"), &[], Vec::new())
        .await
        .refused(405, "M_UNRECOGNIZED");
    // v1.15: a key in either alphabet.
    for key in [
        "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI",
        "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI%3D",
    ] {
        let valid = api
            .get(&format!("{V2}/pubkey/isvalid?public_key={key}"))
            .await;
        assert_eq!(valid.ok(), json!({"valid": true}));
    }
    // v1.18
    let (sid, _) = server.request_mail(&fresh_address("claim"), "secret").await;
    api.submit_token(&sid, "secret", "wrong")
        .await
        .refused(400, "M_TOKEN_INCORRECT");
}
