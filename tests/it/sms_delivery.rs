//! SMS delivery with providers that stall and processes that are killed.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select, select_all};
use sydent::config::{ProviderKind, Settings};

use crate::harness::{
    Reply, SMS_PASSWORD, SmsProvider, TestDatabase, TestProcess, TestServer, V2, fresh_address,
    fresh_msisdn, wait_until,
};

/// OPS-06
#[actix_web::test]
async fn acknowledged_sms_is_sent_after_a_crash() {
    let provider = SmsProvider::start(ProviderKind::OpenMarket);
    provider.behave(Reply::Stall);
    let (database, msisdn) = (TestDatabase::fresh(), fresh_msisdn());
    // The configuration file masks inline passwords.
    let password = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&password, SMS_PASSWORD).unwrap();
    let mut process = TestProcess::start(&database, |settings| {
        configure_process(&provider, password.path(), settings);
        settings.delivery.answer_within = Duration::from_millis(300);
        settings.delivery.lease = Duration::from_secs(10);
    });
    let number = format!("+{msisdn}");
    let api = process.api();
    api.request_sms("GB", &number, "secret", 1).await.ok();
    process.kill();
    assert_eq!(provider.all_sms_to(&msisdn).len(), 0);

    provider.behave(Reply::Accept);
    let _process = process.restart();
    wait_until("an empty queue", || database.count("outbox") == 0).await;
    assert_eq!(provider.all_sms_to(&msisdn).len(), 1);
}

/// MSI-10: the second provider is not asked, also after a restart.
#[actix_web::test]
async fn uncertain_sms_stays_at_its_provider() {
    let first = SmsProvider::start(ProviderKind::OpenMarket);
    let second = SmsProvider::start(ProviderKind::Twilio);
    let (database, msisdn) = (TestDatabase::fresh(), fresh_msisdn());
    let start = || {
        TestServer::start_on(TestDatabase::existing(&database.url), |settings| {
            first.configure(settings);
            let providers = &mut settings.sms.providers;
            providers.insert("second".to_owned(), second.settings());
            let both = ["main", "second"].map(str::to_owned).to_vec();
            settings.sms.routes.insert("default".to_owned(), both);
            settings.delivery.answer_within = Duration::from_millis(300);
            settings.delivery.retry_first = Duration::from_millis(300);
        })
    };
    first.behave(Reply::Lose);
    let (server, number) = (start(), format!("+{msisdn}"));
    let api = server.api();
    api.request_sms("GB", &number, "secret", 1).await.ok();
    wait_until("an uncertain outcome", || {
        database.queued("tries = 1 AND lease_until = 0") == 1
    })
    .await;
    drop(server);
    // It is certain of this request that it was not carried out.
    first.behave(Reply::Status(503, String::new()));
    let _server = start();
    wait_until("a second try", || {
        database.queued("tries > 1 AND lease_until = 0") == 1
    })
    .await;
    first.behave(Reply::Accept);
    wait_until("an empty queue", || database.count("outbox") == 0).await;
    assert_eq!(second.requests().len(), 0);
    assert_eq!(first.all_sms_to(&msisdn).len(), 2);
}

pub fn configure_process(
    provider: &SmsProvider,
    password: &std::path::Path,
    settings: &mut Settings,
) {
    provider.configure(settings);
    for main in settings.sms.providers.values_mut() {
        main.password = None;
        main.password_file = Some(password.to_owned());
    }
}

/// SEC-25
#[actix_web::test]
async fn stalled_provider_does_not_block_requests() {
    let provider = SmsProvider::start(ProviderKind::OpenMarket);
    provider.behave(Reply::Stall);
    let server = TestServer::start(|settings| {
        provider.configure(settings);
        settings.delivery.answer_within = Duration::from_secs(29);
        settings.http.shutdown_timeout = Duration::from_secs(1);
    });
    let api = server.api();
    let numbers: Vec<_> = (0..30).map(|_| format!("+{}", fresh_msisdn())).collect();
    let open = numbers
        .iter()
        .map(|number| Box::pin(api.request_sms("GB", number, "secret", 1)));
    let others = async {
        wait_until("30 queued SMS", || server.database.count("outbox") == 30).await;
        for _ in 0..50 {
            api.get(V2).await.ok();
            api.lookup("email", "a@example.com").await.ok();
        }
        // Mail does not wait for SMS either.
        server
            .request_mail(&fresh_address("beside"), "secret")
            .await;
    };
    match select(select_all(open), pin!(others)).await {
        Either::Right(((), _all_still_open)) => {}
        Either::Left(((answer, ..), _)) => panic!("the provider did not stall: {answer:?}"),
    }
}

#[actix_web::test]
async fn endless_response_is_cut_off() {
    let provider = SmsProvider::start(ProviderKind::OpenMarket);
    provider.behave(Reply::Flood);
    let server = TestServer::start(|settings| {
        provider.configure(settings);
        settings.delivery.retry_first = Duration::from_millis(50);
    });
    // The status alone means success, whatever the body contains.
    let api = server.api();
    let answer = api.request_sms("GB", "07700900001", "secret", 1).await;
    answer.ok();
    server.wait_until_queue_empty().await;
    assert_eq!(provider.requests().len(), 1);
}

/// SEC-23, MSG-09
#[actix_web::test]
async fn log_contains_no_number_code_or_password() {
    let provider = SmsProvider::start(ProviderKind::OpenMarket);
    let (database, msisdn) = (TestDatabase::fresh(), fresh_msisdn());
    let password = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&password, SMS_PASSWORD).unwrap();
    let process = TestProcess::start(&database, |settings| {
        configure_process(&provider, password.path(), settings);
        settings.delivery.answer_within = Duration::from_secs(2);
    });
    let (api, number) = (process.api(), format!("+{msisdn}"));
    let requested = api.request_sms("GB", &number, "secret", 1).await.ok();
    let token = provider.sms_to(&msisdn).await.token();
    let sid = requested["sid"].as_str().unwrap();
    api.submit_sms(sid, "secret", &token).await.ok();
    for (attempt, reply) in [
        (2, Reply::Status(400, format!("{number} is not wanted"))),
        (3, Reply::Status(500, format!("{number} is too much"))),
        (4, Reply::Lose),
    ] {
        provider.behave(reply);
        api.request_sms("GB", &number, "secret", attempt).await;
    }
    api.request_sms("GB", &format!("{number}x"), "secret", 1)
        .await;
    process.log_containing("sms delivered").await;
    let dropped = "sms dropped: refused for good";
    let log = process.log_containing(dropped).await;
    let national = number.trim_start_matches("+44");
    for secret in [national, sid, token.as_str(), SMS_PASSWORD] {
        assert!(!log.contains(secret), "{secret} is in the log: {log}");
    }
}
