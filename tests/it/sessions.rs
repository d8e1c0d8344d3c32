//! Validation sessions: their ids, secrets and tokens, and guesses at them
//! (section 8 of the conformance list). Their mails are tested in
//! `send_attempts`, their expiry in `session_ends`.

use std::collections::HashSet;

use serde_json::json;

use crate::harness::{TestServer, V1, encode, fresh_address};

/// SES-01
#[actix_web::test]
async fn client_secret_grammar_on_every_route() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    let address = fresh_address("grammar");
    let long = "x".repeat(256);
    for bad in ["", "sec\n", "\nsec", "a b", "a/b", "a\0", "é", "ｓ", &long] {
        for answer in [
            api.request_token(&address, bad, 1).await,
            api.submit_token("sid", bad, "token").await,
            api.get_validated("sid", bad).await,
            api.bind("sid", bad, "@a:example.org").await,
        ] {
            answer.refused(400, "M_INVALID_PARAM");
        }
        let query = encode(&[("sid", "sid"), ("client_secret", bad), ("token", "t")]);
        let page = api
            .get(&format!("{V1}/validate/email/submitToken?{query}"))
            .await;
        assert_eq!(page.status, 400, "{bad:?}");
    }
    assert!(server.mails_sent(&address).await.is_empty());

    for good in ["a", "AZ.az=09_-", &"x".repeat(255)] {
        let (sid, mail) = server.request_mail(&fresh_address("grammar"), good).await;
        api.submit_token(&sid, good, &mail.token()).await.ok();
        api.get_validated(&sid, good).await.ok();
        api.bind(&sid, good, "@a:example.org").await.ok();
    }
}

/// SES-02
#[actix_web::test]
async fn sid_grammar() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    for bad in ["", "1\n", "a b", "é", &"x".repeat(256)] {
        for answer in [
            api.submit_token(bad, "secret", "token").await,
            api.get_validated(bad, "secret").await,
            api.bind(bad, "secret", "@a:example.org").await,
        ] {
            answer.refused(400, "M_INVALID_PARAM");
        }
    }
}

/// SES-02, SES-03, SES-05, SEC-07
#[actix_web::test]
async fn sids_and_tokens_are_random() {
    let server = TestServer::start(|_| {});
    let (mut seen, mut beginnings) = (HashSet::new(), HashSet::new());
    for _ in 0..8 {
        let (sid, mail) = server
            .request_mail(&fresh_address("random"), "secret")
            .await;
        for secret in [sid, mail.token()] {
            // 22 characters out of 62 are 130 bits.
            assert!(secret.len() >= 22, "{secret}");
            assert!(secret.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            beginnings.insert(secret.chars().take(6).collect::<String>());
            seen.insert(secret);
        }
    }
    assert_eq!((seen.len(), beginnings.len()), (16, 16));
}

/// SES-04, SES-06, SEC-21
#[actix_web::test]
async fn only_the_exact_token_is_accepted() {
    let server = TestServer::start(|settings| settings.validation.max_wrong_tokens = 100);
    let api = server.api();
    let (sid, mail) = server.request_mail(&fresh_address("exact"), "secret").await;
    let token = mail.token();
    for wrong in [
        token.to_lowercase(),
        token.to_uppercase(),
        format!(" {token}"),
        format!("{token} "),
        format!("{token}\n"),
        format!("{token}x"),
        token.chars().skip(1).collect(),
        "%".to_owned(),
        "' OR '1'='1".to_owned(),
        "\0".to_owned(),
        "é".repeat(255),
    ] {
        api.submit_token(&sid, "secret", &wrong)
            .await
            .refused(400, "M_TOKEN_INCORRECT");
    }
    for invalid in [String::new(), "é".repeat(256)] {
        api.submit_token(&sid, "secret", &invalid)
            .await
            .refused(400, "M_INVALID_PARAM");
    }
    api.submit_token(&sid, "secret", &token).await.ok();
}

/// SES-17
#[actix_web::test]
async fn validation_alone_publishes_nothing() {
    let server = TestServer::start(|_| {});
    let session = server.validate(&fresh_address("quiet")).await;
    let api = server.api();
    assert_eq!(api.lookup("email", &session.address).await.ok(), json!({}));
    assert_eq!(
        api.bulk_lookup(json!([["email", session.address]]))
            .await
            .ok(),
        json!({"threepids": []})
    );
    assert_eq!(server.database.count("associations"), 0);
}

/// SES-18
#[actix_web::test]
async fn token_may_be_submitted_again() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    let (sid, mail) = server.request_mail(&fresh_address("twice"), "secret").await;
    for _ in 0..3 {
        let answer = api.submit_token(&sid, "secret", &mail.token()).await;
        assert_eq!(answer.ok(), json!({"success": true}));
        assert_eq!(api.open_link(&mail.link()).await.status, 200);
    }
    // A wrong token afterwards is refused, and the session stays validated.
    for _ in 0..20 {
        api.submit_token(&sid, "secret", "wrong")
            .await
            .refused(400, "M_TOKEN_INCORRECT");
    }
    api.get_validated(&sid, "secret").await.ok();
}

/// SES-19, SEC-16
#[actix_web::test]
async fn ten_wrong_tokens_end_a_session() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    let address = fresh_address("guess");
    let (sid, mail) = server.request_mail(&address, "secret").await;
    // Guesses without the client secret are not counted.
    for _ in 0..15 {
        api.submit_token(&sid, "other", "wrong")
            .await
            .refused(400, "M_INVALID_PARAM");
    }
    let by_link = mail.link().replace(&mail.token(), "wrong");
    for _ in 0..4 {
        assert_eq!(api.open_link(&by_link).await.status, 400);
        api.submit_token(&sid, "secret", "wrong")
            .await
            .refused(400, "M_TOKEN_INCORRECT");
    }
    // Requesting the mail again allows no further guesses.
    api.request_token(&address, "secret", 2).await.ok();
    for _ in 0..2 {
        api.submit_token(&sid, "secret", "wrong")
            .await
            .refused(400, "M_TOKEN_INCORRECT");
    }
    for token in ["wrong", &mail.token()] {
        for answer in [
            api.submit_token(&sid, "secret", token).await,
            api.get_validated(&sid, "secret").await,
            api.bind(&sid, "secret", "@a:example.org").await,
        ] {
            answer.refused(400, "M_SESSION_EXPIRED");
        }
    }
    assert_eq!(api.open_link(&mail.link()).await.status, 400);

    let fresh = api.request_token(&address, "secret", 2).await.ok();
    assert_ne!(fresh["sid"], json!(sid));
    let token = server.mails_sent(&address).await.pop().unwrap().token();
    api.submit_token(fresh["sid"].as_str().unwrap(), "secret", &token)
        .await
        .ok();
}

/// SES-21, EML-16
#[actix_web::test]
async fn wrong_secret_and_unknown_sid_give_same_error() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    let (pending, mail) = server.request_mail(&fresh_address("probe"), "secret").await;
    let session = server.validate(&fresh_address("probe")).await;
    for known in [&pending, &session.sid] {
        for (wrong_secret, unknown_sid) in [
            (
                api.get_validated(known, "other").await,
                api.get_validated("nonesuch", "other").await,
            ),
            (
                api.bind(known, "other", "@a:example.org").await,
                api.bind("nonesuch", "other", "@a:example.org").await,
            ),
            (
                api.submit_token(known, "other", &mail.token()).await,
                api.submit_token("nonesuch", "other", &mail.token()).await,
            ),
        ] {
            assert_eq!(
                (wrong_secret.status, wrong_secret.json()),
                (unknown_sid.status, unknown_sid.json())
            );
        }
    }
    let unknown = api.get_validated("nonesuch", "secret").await;
    unknown.refused(404, "M_NO_VALID_SESSION");
    let unknown = api.bind("nonesuch", "secret", "@a:example.org").await;
    unknown.refused(404, "M_NO_VALID_SESSION");
    let unknown = api.submit_token("nonesuch", "secret", "token").await;
    unknown.refused(400, "M_INVALID_PARAM");
}
