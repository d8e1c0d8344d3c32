//! The requests to each kind of provider, and how its answers are interpreted
//! (MSI-10, MSI-14).

mod connections;
mod gateway;
mod outcomes;
mod several;

use std::time::Duration;

use sydent::config::{ProviderKind, ProviderSettings, Settings};

use crate::harness::{SmsProvider, TestServer, fresh_msisdn, wait_for};

/// A short wait for the outcome, with frequent attempts.
fn retry_often(settings: &mut Settings) {
    settings.delivery.answer_within = Duration::from_secs(3);
    settings.delivery.retry_first = Duration::from_millis(500);
    settings.delivery.poll_every = Duration::from_millis(50);
}

fn server(provider: &SmsProvider, change: impl FnOnce(&mut Settings)) -> TestServer {
    TestServer::start(|settings| {
        provider.configure(settings);
        retry_often(settings);
        change(settings);
    })
}

/// The settings of the provider `main`.
fn main_of(settings: &mut Settings) -> &mut ProviderSettings {
    settings.sms.providers.get_mut("main").unwrap()
}

/// MSI-14
#[actix_web::test]
async fn each_provider_receives_its_api_format() {
    for (kind, sender, from) in [
        (
            ProviderKind::OpenMarket,
            "long:447700900999",
            "long:447700900999",
        ),
        (ProviderKind::OpenMarket, "short:12345", "short:12345"),
        (ProviderKind::OpenMarket, "alpha:Example", "alpha:Example"),
        (ProviderKind::Twilio, "long:447700900999", "+447700900999"),
        (ProviderKind::Twilio, "alpha:Example", "Example"),
        (ProviderKind::Gateway, "alpha:A & B", "A & B"),
    ] {
        let (provider, msisdn) = (SmsProvider::start(kind), fresh_msisdn());
        let server = server(&provider, |settings| {
            settings
                .sms
                .originators
                .insert("44".to_owned(), vec![sender.to_owned()]);
            settings.sms.body = "Code {token}, \"good\" for {valid_for}\nBye & é".to_owned();
        });
        let number = format!("+{msisdn}");
        server
            .api()
            .request_sms("GB", &number, "secret", 1)
            .await
            .ok();
        let text = provider.sms_to(&msisdn).await;
        assert_eq!(text.from, from);
        let body = text.body.replace(|c: char| c.is_ascii_digit(), "0");
        assert_eq!(body, "Code 000000, \"good\" for 00 hours\nBye & é");
        assert_eq!(provider.requests().len(), 1);
    }
}

/// MSI-14
#[actix_web::test]
async fn number_always_has_the_same_sender() {
    let provider = SmsProvider::start(ProviderKind::OpenMarket);
    let server = server(&provider, |settings| {
        let three = ["alpha:a", "alpha:b", "alpha:c"].map(str::to_owned);
        settings
            .sms
            .originators
            .insert("default".to_owned(), three.into());
    });
    // The sums of their digits are 36, 37 and 38.
    for (msisdn, from) in [
        ("447700900005", "alpha:a"),
        ("447700900006", "alpha:b"),
        ("447700900007", "alpha:c"),
    ] {
        let number = format!("+{msisdn}");
        for attempt in 1..3 {
            server
                .api()
                .request_sms("GB", &number, "secret", attempt)
                .await
                .ok();
        }
        server.wait_until_queue_empty().await;
        let texts = provider.all_sms_to(msisdn);
        assert_eq!(texts.len(), 2);
        assert!(texts.iter().all(|text| text.from == from), "{texts:?}");
    }
}

#[actix_web::test]
async fn twilio_messaging_service_sets_the_sender() {
    let (provider, msisdn) = (SmsProvider::start(ProviderKind::Twilio), fresh_msisdn());
    let server = server(&provider, |settings| {
        main_of(settings).messaging_service = Some("MG17".to_owned());
    });
    let number = format!("+{msisdn}");
    server
        .api()
        .request_sms("GB", &number, "secret", 1)
        .await
        .ok();
    assert_eq!(provider.sms_to(&msisdn).await.from, "MG17");
}

#[actix_web::test]
async fn sms_file_is_shown_with_the_captured_mail() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start(|settings| {
        let file = ProviderSettings {
            kind: Some(ProviderKind::File),
            dir: Some(folder.path().join("texts")),
            ..ProviderSettings::default()
        };
        settings.sms.providers.insert("folder".to_owned(), file);
    });
    let api = server.api();
    let answer = api.request_sms("GB", "07700900001", "secret", 1).await.ok();
    let list = wait_for("a captured text", async || {
        let list = server.internal().get("/mail").await.text();
        list.contains("SMS").then_some(list)
    })
    .await;
    assert!(
        list.contains("<span class=\"to\">+447700900001</span>"),
        "{list}"
    );
    let text = server.internal().get("/mail/newest/text").await.text();
    let token: String = text.chars().take(6).collect();
    assert!(text.contains("is your code"), "{text}");
    let sid = answer["sid"].as_str().unwrap();
    api.submit_sms(sid, "secret", &token).await.ok();
}
