//! Messages that were refused after their client heard that they are on their way.

use std::time::Duration;

use serde_json::json;
use sydent::config::{ProviderKind, RateSettings};

use crate::harness::{
    Reply, SmsProvider, SmtpServer, TestServer, Tls, fresh_address, fresh_msisdn, wait_until,
};

const TWO: RateSettings = RateSettings {
    burst: 2,
    every: Duration::from_hours(1),
};

async fn until_dropped(server: &TestServer) {
    wait_until("the message is dropped", || {
        server.database.count("outbox") == 0
    })
    .await;
}

/// MSI-15, SES-17, SES-19
#[actix_web::test]
async fn refused_sms_allows_no_more_guesses() {
    let provider = SmsProvider::start(ProviderKind::Gateway);
    let refusal = Reply::Status(422, String::new());
    provider.behave(Reply::Late(Duration::from_secs(2), Box::new(refusal)));
    let server = TestServer::start(|settings| {
        provider.configure(settings);
        settings.delivery.answer_within = Duration::from_secs(1);
        settings.limits.sms_per_number = TWO;
    });
    let (api, number) = (server.api(), format!("+{}", fresh_msisdn()));
    for secret in ["one", "two"] {
        let sid = api.request_sms("GB", &number, secret, 1).await.ok();
        let sid = sid["sid"].as_str().unwrap();
        until_dropped(&server).await;
        let guess = api.submit_sms(sid, secret, "000000").await;
        guess.refused(400, "M_SESSION_EXPIRED");
        let proof = api.get_validated(sid, secret).await;
        proof.refused(400, "M_SESSION_EXPIRED");
    }
    let third = api.request_sms("GB", &number, "three", 1).await;
    third.refused(429, "M_LIMIT_EXCEEDED");
    let again = api.request_sms("GB", &number, "one", 2).await;
    again.refused(429, "M_LIMIT_EXCEEDED");
}

/// EML-25, SES-17
#[actix_web::test]
async fn refused_mail_ends_its_session() {
    let relay = SmtpServer::start(Tls::None, "localhost", &[]);
    let late = json!({"delay_ms": 2000, "data": "550 5.7.1 not wanted"});
    relay.behave(&late);
    let server = TestServer::start(|settings| {
        relay.configure(settings);
        settings.delivery.answer_within = Duration::from_secs(1);
        settings.limits.email_per_address = TWO;
    });
    let (api, address) = (server.api(), fresh_address("promised"));
    let sid = api.request_token(&address, "secret", 1).await.ok()["sid"].clone();
    until_dropped(&server).await;
    let guess = api
        .submit_token(sid.as_str().unwrap(), "secret", "guess")
        .await;
    guess.refused(400, "M_SESSION_EXPIRED");
    // The same request starts another session, and is charged.
    relay.behave(&json!({}));
    let again = api.request_token(&address, "secret", 1).await.ok();
    assert_ne!(again["sid"], sid);
    relay.mail_to(&address).await;
    let third = api.request_token(&address, "other", 1).await;
    third.refused(429, "M_LIMIT_EXCEEDED");
}

/// SES-17
#[actix_web::test]
async fn code_of_an_earlier_mail_stays_valid() {
    let relay = SmtpServer::start(Tls::None, "localhost", &[]);
    let server = TestServer::start(|settings| {
        relay.configure(settings);
        settings.delivery.answer_within = Duration::from_secs(1);
    });
    let (api, address) = (server.api(), fresh_address("earlier"));
    let sid = api.request_token(&address, "secret", 1).await.ok()["sid"].clone();
    let mail = relay.mail_to(&address).await;
    relay.behave(&json!({"delay_ms": 2000, "data": "550 5.7.1 not wanted"}));
    api.request_token(&address, "secret", 2).await.ok();
    until_dropped(&server).await;
    let (sid, token) = (sid.as_str().unwrap(), mail.token());
    api.submit_token(sid, "secret", &token).await.ok();
}
