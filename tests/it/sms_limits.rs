//! How many SMS are sent, and mails on behalf of an account (MSI-15, EML-25).

use std::time::Duration;

use sydent::config::{LimitSettings, ProviderKind, RateSettings};

use crate::harness::{
    Answer, Api, Reply, SMS_PASSWORD, SmsProvider, TestDatabase, TestProcess, TestServer,
    fresh_address, fresh_msisdn,
};
use crate::sms_delivery::configure_process;

fn two() -> RateSettings {
    RateSettings {
        burst: 2,
        every: Duration::from_mins(1),
    }
}

fn server(provider: &SmsProvider, change: impl FnOnce(&mut LimitSettings)) -> TestServer {
    TestServer::start_with_clock(|settings| {
        provider.configure(settings);
        change(&mut settings.limits);
    })
}

async fn send_sms(api: &Api, secret: &str) -> Answer {
    let number = format!("+{}", fresh_msisdn());
    api.request_sms("GB", &number, secret, 1).await
}

#[track_caller]
fn expect_limited(answer: &Answer) {
    let body = answer.refused(429, "M_LIMIT_EXCEEDED");
    assert_eq!(body["retry_after_ms"], 60_000);
    assert_eq!(answer.header("retry-after"), Some("60"));
}

/// MSI-15
#[actix_web::test]
async fn sms_per_number_are_limited_for_all_clients() {
    let provider = SmsProvider::start(ProviderKind::OpenMarket);
    let server = server(&provider, |limits| limits.sms_per_number = two());
    let api = server.api();
    for secret in ["one", "two"] {
        api.request_sms("GB", "07700900001", secret, 1).await.ok();
    }
    let third = api.request_sms("US", "+44 7700 900001", "three", 1).await;
    expect_limited(&third);
    send_sms(&api, "three").await.ok();
    assert_eq!(server.database.count("validation_sessions"), 3);
    server.advance(60_000);
    api.request_sms("GB", "07700900001", "three", 1).await.ok();
}

/// MSI-15
#[actix_web::test]
async fn sms_per_calling_code_are_limited() {
    let provider = SmsProvider::start(ProviderKind::OpenMarket);
    let server = server(&provider, |limits| limits.sms_per_calling_code = two());
    let api = server.api();
    for _ in 0..2 {
        send_sms(&api, "secret").await.ok();
    }
    expect_limited(&send_sms(&api, "secret").await);
    api.request_sms("US", "8005552067", "secret", 1).await.ok();
}

/// MSI-15
#[actix_web::test]
async fn sms_per_client_are_limited() {
    let provider = SmsProvider::start(ProviderKind::OpenMarket);
    let server = server(&provider, |limits| limits.sms_per_client = two());
    let api = server.api();
    for _ in 0..2 {
        send_sms(&api, "secret").await.ok();
    }
    expect_limited(&send_sms(&api, "secret").await);
    // Mails are counted separately.
    api.request_token(&fresh_address("apart"), "secret", 1)
        .await
        .ok();
}

/// MSI-15, EML-25
#[actix_web::test]
async fn account_has_its_own_limits() {
    let provider = SmsProvider::start(ProviderKind::OpenMarket);
    let server = server(&provider, |limits| {
        limits.sms_per_account = two();
        limits.email_per_account = two();
    });
    let first = server.account("@a:example.org").await;
    let again = server.account("@a:example.org").await;
    let other = server.account("@b:example.org").await;
    let send_mail = async |api: &Api| {
        let address = fresh_address("account");
        api.request_token(&address, "secret", 1).await
    };
    for api in [&first, &again] {
        send_sms(api, "secret").await.ok();
        send_mail(api).await.ok();
    }
    expect_limited(&send_sms(&first, "secret").await);
    expect_limited(&send_mail(&again).await);
    send_sms(&other, "secret").await.ok();
    send_mail(&other).await.ok();
}

/// MSI-15
#[actix_web::test]
async fn only_sent_sms_are_counted() {
    let provider = SmsProvider::start(ProviderKind::OpenMarket);
    let server = server(&provider, |limits| limits.sms_per_number = two());
    let api = server.api();
    provider.behave(Reply::Status(400, String::new()));
    for _ in 0..5 {
        let refused = api.request_sms("GB", "07700900001", "secret", 1).await;
        refused.refused(400, "M_SEND_ERROR");
    }
    provider.behave(Reply::Accept);
    for _ in 0..5 {
        api.request_sms("GB", "07700900001", "secret", 1).await.ok();
    }
    api.request_sms("GB", "07700900001", "secret", 2).await.ok();
    let third = api.request_sms("GB", "07700900001", "secret", 3).await;
    expect_limited(&third);
}

/// MSI-18
#[actix_web::test]
async fn day_has_a_budget_of_sms() {
    let provider = SmsProvider::start(ProviderKind::OpenMarket);
    let server = server(&provider, |limits| limits.sms_per_day = 5);
    let api = server.api();
    let day = 24 * 60 * 60 * 1000;
    server.advance(day - server.now().rem_euclid(day) + 1000);
    provider.behave(Reply::Status(400, String::new()));
    for _ in 0..5 {
        send_sms(&api, "secret").await.refused(400, "M_SEND_ERROR");
    }
    provider.behave(Reply::Accept);
    for _ in 0..5 {
        send_sms(&api, "secret").await.ok();
    }
    let answer = send_sms(&api, "secret").await;
    let body = answer.refused(429, "M_LIMIT_EXCEEDED");
    assert_eq!(body["retry_after_ms"], day - 1000);
    let metrics = server.operations().get("/metrics").await.text();
    for line in ["sydent_sms_today 5", "sydent_sms_budget 5"] {
        assert!(metrics.lines().any(|found| found == line), "{metrics}");
    }
    let address = fresh_address("mail");
    api.request_token(&address, "secret", 1).await.ok();
    server.advance(day - 2000);
    send_sms(&api, "secret")
        .await
        .refused(429, "M_LIMIT_EXCEEDED");
    server.advance(2000);
    for _ in 0..5 {
        send_sms(&api, "secret").await.ok();
    }
    let metrics = server.operations().get("/metrics").await.text();
    assert!(metrics.contains("sydent_sms_today 5\n"), "{metrics}");
}

/// MSI-18
#[actix_web::test]
async fn log_has_an_alarm_before_the_budget_ends() {
    let provider = SmsProvider::start(ProviderKind::OpenMarket);
    let database = TestDatabase::fresh();
    let password = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&password, SMS_PASSWORD).unwrap();
    let process = TestProcess::start(&database, |settings| {
        configure_process(&provider, password.path(), settings);
        settings.limits.sms_per_day = 5;
    });
    let api = process.api();
    for _ in 0..3 {
        send_sms(&api, "secret").await.ok();
    }
    assert!(!process.log().contains("daily budget of SMS"));
    send_sms(&api, "secret").await.ok();
    process.log_containing("most of the daily budget").await;
    send_sms(&api, "secret").await.ok();
    let log = process.log_containing("budget of SMS is used up").await;
    assert_eq!(log.matches("daily budget of SMS").count(), 2, "{log}");
}

/// OPS-03
#[actix_web::test]
async fn submits_per_client_are_limited_for_all_media() {
    let server = TestServer::start(|settings| {
        settings.limits.submit_per_client = RateSettings {
            burst: 2,
            every: Duration::from_hours(1),
        };
    });
    let api = server.api();
    for answer in [
        api.submit_token("1", "secret", "123456").await,
        api.submit_sms("1", "secret", "123456").await,
    ] {
        assert_ne!(answer.status, 429);
    }
    for answer in [
        api.submit_token("1", "secret", "123456").await,
        api.submit_sms("1", "secret", "123456").await,
    ] {
        answer.refused(429, "M_LIMIT_EXCEEDED");
        assert!(answer.header("retry-after").is_some());
    }
}

/// OPS-03
#[test]
fn default_rates_are_as_specified() {
    let limits = LimitSettings::default();
    for (rate, burst, seconds) in [
        (limits.email_per_client, 5, 300),
        (limits.email_per_account, 5, 300),
        (limits.email_per_address, 20, 1800),
        (limits.message_per_client_and_address, 5, 7200),
        (limits.sms_per_number, 15, 3600),
        (limits.submit_per_client, 200, 1),
        (limits.sms_per_calling_code, 50, 60),
    ] {
        assert_eq!((rate.burst, rate.every.as_secs()), (burst, seconds));
    }
}
