//! `sign-ed25519` (section 15 of the conformance list), called as clients do.

use std::time::Duration;

use awc::http::Method;
use serde_json::{Value, json};
use sydent::config::RateSettings;
use sydent::domain::ids::KeyId;
use sydent::domain::public_key::PublicKey;
use sydent::domain::{base64, signing};

use crate::harness::{Answer, Api, SERVER_NAME, TestServer, V1, V2, encode, fresh_address};
use crate::store_invite::by_synapse;

const MXID: &str = "@alice:example.org";

/// The contents of an invitation mail, and the public key in the room.
struct StoredInvite {
    token: String,
    private_key: String,
    public_key: PublicKey,
    url: String,
}

async fn invited(server: &TestServer) -> StoredInvite {
    let address = fresh_address("sign");
    let answer = server.api().store_invite(by_synapse(&address)).await.ok();
    let mail = server.mails_sent(&address).await.pop().unwrap();
    let parameters = mail.sign_parameters();
    assert_eq!(answer["token"], parameters["token"].as_str());
    let public_key = answer["public_keys"][1]["public_key"].as_str().unwrap();
    StoredInvite {
        token: parameters["token"].clone(),
        private_key: parameters["private_key"].clone(),
        public_key: PublicKey::from_base64(public_key).unwrap(),
        url: mail.join_link().1["signurl"].clone(),
    }
}

impl StoredInvite {
    /// Checks an answer as a homeserver does.
    #[track_caller]
    fn expect_signed(&self, answer: &Answer, mxid: &str) {
        let signed = answer.ok();
        assert_eq!(
            (&signed["mxid"], &signed["sender"], &signed["token"]),
            (&json!(mxid), &json!("@a:example.org"), &json!(self.token))
        );
        let object = signed.as_object().unwrap();
        assert_eq!(object.len(), 4);
        let id = KeyId::parse("ed25519:0").unwrap();
        assert!(signing::verify(object, SERVER_NAME, &id, &self.public_key));
    }
}

async fn bare_post(api: &Api, path: &str, body: &str) -> Answer {
    api.send(Method::POST, path, &[], body.into()).await
}

/// SGN-01, SGN-02, SGN-03, SGN-05, SGN-06
#[actix_web::test]
async fn every_request_form_is_accepted() {
    let server = TestServer::start(|_| {});
    let invited = invited(&server).await;
    let fields = [
        ("mxid", MXID),
        ("token", invited.token.as_str()),
        ("private_key", invited.private_key.as_str()),
    ];
    let query = encode(&fields);
    let v1 = format!("{V1}/sign-ed25519");
    let api = server.api();
    let v2 = server.account("@b:example.org").await;
    invited.expect_signed(
        &api.sign(MXID, &invited.token, &invited.private_key).await,
        MXID,
    );
    invited.expect_signed(
        &v2.sign(MXID, &invited.token, &invited.private_key).await,
        MXID,
    );
    invited.expect_signed(&api.post_form(&v1, &fields).await, MXID);
    for body in ["", "null"] {
        invited.expect_signed(&bare_post(&api, &format!("{v1}?{query}"), body).await, MXID);
    }
    let answer = api.post(&format!("{v1}?{query}"), Value::Null).await;
    invited.expect_signed(&answer, MXID);
    let path = format!("{V2}/sign-ed25519?{query}");
    let answer = bare_post(&v2, &path, "").await;
    invited.expect_signed(&answer, MXID);
    assert!(answer.header("access-control-allow-origin").is_some());
    bare_post(&api, &path, "")
        .await
        .refused(401, "M_UNAUTHORIZED");
}

/// SGN-05, GEN-32, INV-19
#[actix_web::test]
async fn mailed_url_works_without_v1_and_account() {
    let server = TestServer::start(|_| {});
    let invited = invited(&server).await;
    let same = crate::harness::TestDatabase::existing(&server.database.url);
    let without_v1 = TestServer::start_on(same, |settings| settings.v1.enabled = false);
    let path = invited.url.strip_prefix(crate::harness::BASE_URL).unwrap();
    for server in [&server, &without_v1] {
        // js-sdk encodes the user id, iOS does not.
        for mxid in ["%40alice%3Aexample.org", MXID] {
            let answer = bare_post(&server.api(), &format!("{path}&mxid={mxid}"), "").await;
            invited.expect_signed(&answer, MXID);
        }
        for (mxid, read) in [
            ("@a+b:x.org", "@a+b:x.org"),
            ("@a%2Bb%20c:x.org", "@a+b c:x.org"),
            ("%40:x.org", "@:x.org"),
        ] {
            let answer = bare_post(&server.api(), &format!("{path}&mxid={mxid}"), "").await;
            invited.expect_signed(&answer, read);
        }
    }
}

/// SGN-04, SGN-07, SGN-08, SGN-09
#[actix_web::test]
async fn invalid_requests_are_rejected() {
    let server = TestServer::start(|_| {});
    let invited = invited(&server).await;
    let api = server.api();
    // PostgreSQL accepts no NUL in a query.
    let long = "x".repeat(256);
    for unknown in ["unknown", "", "a\0b", "a b", "é", &long] {
        let answer = api.sign(MXID, unknown, &invited.private_key).await;
        answer.refused(404, "M_UNRECOGNIZED");
    }
    for bad in ["", "x", "c2hvcnQ", "!!!"] {
        let answer = api.sign(MXID, &invited.token, bad).await;
        answer.refused(400, "M_INVALID_PARAM");
    }
    for bad in ["alice", "@alice", ""] {
        let answer = api.sign(bad, &invited.token, &invited.private_key).await;
        answer.refused(400, "M_INVALID_PARAM");
    }
    for missing in ["mxid", "token", "private_key"] {
        let mut body = json!({"mxid": MXID, "token": "x", "private_key": invited.private_key});
        body[missing] = Value::Null;
        let answer = api.post(&format!("{V1}/sign-ed25519"), body).await;
        answer.refused(400, "M_MISSING_PARAMS");
    }
    let padded = format!(
        "{}=",
        invited.private_key.replace('-', "+").replace('_', "/")
    );
    invited.expect_signed(&api.sign(MXID, &invited.token, &padded).await, MXID);
    // Neither the key nor the caller is checked: another key signs as well.
    let other = base64::encode_url_safe(&[7; 32]);
    api.sign("@eve:x.org", &invited.token, &other).await.ok();
}

/// SGN-10
#[actix_web::test]
async fn signatures_per_client_are_limited() {
    let server = TestServer::start(|settings| {
        settings.limits.signatures_per_client = RateSettings {
            burst: 2,
            every: Duration::from_hours(1),
        };
    });
    let api = server.api();
    for _ in 0..2 {
        let answer = api.sign(MXID, "unknown", "x").await;
        answer.refused(400, "M_INVALID_PARAM");
    }
    let answer = api.sign(MXID, "unknown", "x").await;
    answer.refused(429, "M_LIMIT_EXCEEDED");
    assert!(answer.header("retry-after").is_some());
}

/// SGN-11
#[actix_web::test]
async fn signing_neither_binds_nor_consumes() {
    let server = TestServer::start(|_| {});
    let invited = invited(&server).await;
    for _ in 0..2 {
        let answer = server
            .api()
            .sign(MXID, &invited.token, &invited.private_key)
            .await;
        invited.expect_signed(&answer, MXID);
    }
    assert_eq!(server.database.count("associations"), 0);
    assert_eq!(server.database.count("outbox"), 0);
    assert_eq!(server.database.count("invites"), 1);
}
