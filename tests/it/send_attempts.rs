//! Which requestToken continues a session, and which sends a mail (SES-09,
//! SES-10, SES-12, SES-13, SES-15).

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::harness::{Mail, TestServer, fresh_address};

/// SES-09
#[actix_web::test]
async fn address_and_secret_have_one_session() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    let address = fresh_address("one");
    let sid = async |address: &str, secret: &str| {
        let answer = api.request_token(address, secret, 1).await.ok();
        answer["sid"].as_str().unwrap().to_owned()
    };
    let first = sid(&address, "secret").await;
    for same in [
        address.clone(),
        address.to_uppercase(),
        address.replace("one", "ONE"),
    ] {
        assert_eq!(sid(&same, "secret").await, first);
    }
    assert_ne!(sid(&address, "other").await, first);
    assert_ne!(sid(&address, "Secret").await, first);
    assert_ne!(sid(&fresh_address("one"), "secret").await, first);
}

/// SES-10
#[actix_web::test]
async fn only_a_greater_attempt_sends() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    let address = fresh_address("attempts");
    let mut sids = HashSet::new();
    for (attempt, mails) in [
        (json!(1), 1),
        (json!(1), 1),
        (json!(0), 1),
        (json!(2), 2),
        (json!("2"), 2),
        (json!(1), 2),
        (json!("10"), 3),
        (json!(9), 3),
    ] {
        let answer = api.request_token(&address, "secret", attempt.clone()).await;
        sids.insert(answer.ok()["sid"].to_string());
        assert_eq!(server.mails_sent(&address).await.len(), mails, "{attempt}");
    }
    assert_eq!(sids.len(), 1);

    // Attempts are counted per address and secret.
    api.request_token(&address, "other", 1).await.ok();
    let mails = server.mails_sent(&address).await;
    let tokens: Vec<_> = mails.iter().map(Mail::token).collect();
    assert_eq!(tokens.len(), 4);
    assert_eq!(tokens.iter().collect::<HashSet<_>>().len(), 4);
    // The first mail still contains a right token when it is opened late.
    let sid = mails[0].parameter("sid");
    for mail in &mails[..3] {
        assert_eq!(mail.parameter("sid"), sid);
        let answer = api.submit_token(&sid, "secret", &mail.token()).await;
        assert_eq!(answer.ok(), json!({"success": true}));
    }
    api.submit_token(&sid, "secret", &tokens[3])
        .await
        .refused(400, "M_TOKEN_INCORRECT");
}

/// SES-12, SES-13
#[actix_web::test]
async fn send_attempt_grammar() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    for good in [
        json!(1),
        json!("1"),
        json!(0),
        json!("0"),
        json!(-1),
        json!("-7"),
        json!("007"),
        json!(i64::MIN),
        json!(i64::MAX.to_string()),
    ] {
        let address = fresh_address("attempt");
        api.request_token(&address, "secret", good.clone())
            .await
            .ok();
        // The first request of a session sends a mail, whatever its number.
        assert_eq!(server.mails_sent(&address).await.len(), 1, "{good}");
    }
    let address = fresh_address("attempt");
    for bad in [
        json!(2.7),
        json!(1.0),
        json!(true),
        json!([1]),
        json!({"n": 1}),
        json!(""),
        json!("-"),
        json!("+1"),
        json!(" 1"),
        json!("1\n"),
        json!("1.0"),
        json!("1e3"),
        json!("0x1"),
        json!("１"),
        json!(i64::MAX.unsigned_abs() + 1),
        json!("9223372036854775808"),
    ] {
        api.request_token(&address, "secret", bad)
            .await
            .refused(400, "M_INVALID_PARAM");
    }
    api.request_token(&address, "secret", Value::Null)
        .await
        .refused(400, "M_MISSING_PARAMS");
    assert!(server.mails_sent(&address).await.is_empty());
}

/// SES-15
#[actix_web::test]
async fn new_attempt_after_validation_starts_a_session() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    let session = server.validate(&fresh_address("again")).await;
    let request = async |attempt: i64| {
        let answer = api
            .request_token(&session.address, &session.client_secret, attempt)
            .await;
        answer.ok()["sid"].as_str().unwrap().to_owned()
    };
    assert_eq!(request(1).await, session.sid);
    assert_eq!(server.mails_sent(&session.address).await.len(), 1);

    let fresh = request(2).await;
    assert_ne!(fresh, session.sid);
    let mails = server.mails_sent(&session.address).await;
    assert_eq!(mails.len(), 2);
    assert_ne!(mails[0].token(), mails[1].token());
    api.get_validated(&fresh, "secret")
        .await
        .refused(400, "M_SESSION_NOT_VALIDATED");
    api.submit_token(&fresh, "secret", &mails[0].token())
        .await
        .refused(400, "M_TOKEN_INCORRECT");
    // The validated session stays validated.
    api.get_validated(&session.sid, "secret").await.ok();
}
