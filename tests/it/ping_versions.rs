//! Ping and versions (section 3).

use awc::http::Method;
use serde_json::json;

use crate::harness::{TestServer, V1, V2};

#[actix_web::test]
async fn ver_04_ver_05_the_ping_is_an_empty_object() {
    let server = TestServer::start(|_| {});
    for path in [V2, V1] {
        let answer = server.api().get(path).await;
        assert_eq!(answer.ok(), json!({}), "{path}");
        answer.is_open_to_browsers();
    }
}

#[actix_web::test]
async fn ver_06_the_ping_needs_no_database_and_no_mail() {
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

/// A version is claimed when all of its endpoints are served. None is: every
/// version since v1.1 has accounts, and the `r0` ones have phones and invites.
#[actix_web::test]
async fn ver_01_ver_02_ver_03_no_version_is_claimed_while_endpoints_are_missing() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    let answer = api.get("/_matrix/identity/versions").await;
    assert_eq!(answer.ok(), json!({"versions": []}));
    for missing in [
        format!("{V2}/account/register"),
        format!("{V1}/store-invite"),
        format!("{V1}/validate/msisdn/requestToken"),
    ] {
        let answer = api.send(Method::POST, &missing, &[], b"{}".to_vec()).await;
        answer.refused(404, "M_UNRECOGNIZED");
    }
}
