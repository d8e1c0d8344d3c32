//! When a validation session expires, and when it is deleted (SES-07, SES-08,
//! SES-14, SES-28, OPS-05).

use sydent::actor::sessions::PurgeSessions;

use crate::harness::{Api, TestServer, fresh_address};

const HOUR: i64 = 60 * 60 * 1000;
const DAY: i64 = 24 * HOUR;

/// Expects that every route that needs the session reports that it has expired.
async fn expect_expired(api: &Api, sid: &str, token: &str) {
    for answer in [
        api.submit_token(sid, "secret", token).await,
        api.get_validated(sid, "secret").await,
        api.bind(sid, "secret", "@a:example.org").await,
    ] {
        answer.refused(400, "M_SESSION_EXPIRED");
    }
}

/// SES-07, SES-08, OPS-05
#[actix_web::test]
async fn validation_renews_the_24_hour_lifetime() {
    let server = TestServer::start_with_clock(|_| {});
    let api = server.api();
    let (sid, mail) = server.request_mail(&fresh_address("day"), "secret").await;
    server.advance(DAY);
    api.submit_token(&sid, "secret", &mail.token()).await.ok();
    server.advance(DAY);
    api.submit_token(&sid, "secret", &mail.token()).await.ok();
    api.get_validated(&sid, "secret").await.ok();
    api.bind(&sid, "secret", "@a:example.org").await.ok();
    server.advance(1);
    expect_expired(&api, &sid, &mail.token()).await;
    assert_eq!(api.open_link(&mail.link()).await.status, 400);
}

/// SES-07, SES-08, VAL-04, EML-17
#[actix_web::test]
async fn expired_session_wins_over_not_validated() {
    let server = TestServer::start_with_clock(|_| {});
    let api = server.api();
    let (sid, mail) = server.request_mail(&fresh_address("late"), "secret").await;
    server.advance(DAY);
    for answer in [
        api.get_validated(&sid, "secret").await,
        api.bind(&sid, "secret", "@a:example.org").await,
    ] {
        answer.refused(400, "M_SESSION_NOT_VALIDATED");
    }
    server.advance(1);
    expect_expired(&api, &sid, &mail.token()).await;
    let answer = api.submit_token(&sid, "secret", "wrong").await;
    assert_eq!(answer.refused(400, "M_SESSION_EXPIRED")["success"], false);
}

/// SES-07, VAL-07
#[actix_web::test]
async fn requests_and_reads_do_not_extend_a_session() {
    let server = TestServer::start_with_clock(|settings| {
        settings.limits.email_per_address.burst = 0;
    });
    let api = server.api();
    let (address, other) = (fresh_address("asked"), fresh_address("read"));
    let (requested, requested_mail) = server.request_mail(&address, "secret").await;
    let (read, read_mail) = server.request_mail(&other, "secret").await;
    api.submit_token(&read, "secret", &read_mail.token())
        .await
        .ok();
    for attempt in 2..=24 {
        server.advance(HOUR);
        let again = api.request_token(&address, "secret", attempt).await.ok();
        assert_eq!(again["sid"], requested);
        api.get_validated(&read, "secret").await.ok();
        api.bind(&read, "secret", "@a:example.org").await.ok();
        api.submit_token(&read, "secret", &read_mail.token())
            .await
            .ok();
    }
    server.advance(HOUR + 1);
    expect_expired(&api, &requested, &requested_mail.token()).await;
    expect_expired(&api, &read, &read_mail.token()).await;
}

/// SES-14
#[actix_web::test]
async fn request_after_expiry_starts_a_new_session() {
    for validated in [false, true] {
        let server = TestServer::start_with_clock(|_| {});
        let api = server.api();
        let address = fresh_address("again");
        let (sid, mail) = server.request_mail(&address, "secret").await;
        if validated {
            api.submit_token(&sid, "secret", &mail.token()).await.ok();
        }
        server.advance(DAY + 1);
        let fresh = api.request_token(&address, "secret", 1).await.ok();
        let fresh = fresh["sid"].as_str().unwrap();
        let mails = server.mails_sent(&address).await;
        assert_ne!(fresh, sid);
        assert_eq!(mails.len(), 2);
        assert_ne!(mails[1].token(), mail.token());
        expect_expired(&api, &sid, &mail.token()).await;
        api.get_validated(fresh, "secret")
            .await
            .refused(400, "M_SESSION_NOT_VALIDATED");
        api.submit_token(fresh, "secret", &mails[1].token())
            .await
            .ok();
    }
}

/// SES-08, SES-28
#[actix_web::test]
async fn expired_sessions_are_purged_after_days() {
    let server = TestServer::start_with_clock(|_| {});
    let api = server.api();
    let (pending, mail) = server.request_mail(&fresh_address("old"), "secret").await;
    server.advance(HOUR);
    let validated = server.validate(&fresh_address("old")).await;

    // The periodic cleanup.
    let purge = async || {
        let validation = &server.app.config.validation;
        let kept = validation.session_lifetime + server.app.config.retention.expired_sessions;
        let now = server.now();
        let before = now - i64::try_from(kept.as_millis()).unwrap();
        let purged = server.app.sessions.send(PurgeSessions { before }).await;
        purged.unwrap()
    };
    server.advance(6 * DAY - HOUR);
    assert_eq!(purge().await, 0);
    expect_expired(&api, &pending, &mail.token()).await;

    server.advance(1);
    assert_eq!(purge().await, 1);
    api.get_validated(&pending, "secret")
        .await
        .refused(404, "M_NO_VALID_SESSION");
    api.bind(&pending, "secret", "@a:example.org")
        .await
        .refused(404, "M_NO_VALID_SESSION");
    api.submit_token(&pending, "secret", &mail.token())
        .await
        .refused(400, "M_INVALID_PARAM");

    expect_expired(&api, &validated.sid, "any").await;
    server.advance(HOUR);
    assert_eq!(purge().await, 1);
    assert_eq!(server.database.count("validation_sessions"), 0);
}

/// SES-07
#[actix_web::test]
async fn lifetime_is_configurable() {
    let minute = std::time::Duration::from_mins(1);
    let server = TestServer::start_with_clock(|settings| {
        settings.validation.session_lifetime = minute;
    });
    let (sid, mail) = server.request_mail(&fresh_address("brief"), "secret").await;
    assert!(mail.text().contains("valid for 1 minute"));
    server.advance(60_001);
    expect_expired(&server.api(), &sid, &mail.token()).await;
}
