//! Several providers: which of them is asked.

use std::time::Duration;

use sydent::config::ProviderKind;

use super::server;
use crate::harness::{Reply, SmsProvider, fresh_msisdn};

#[actix_web::test]
async fn second_provider_is_used_if_the_first_fails() {
    for (reply, second_used) in [
        (Reply::Accept, false),
        (Reply::Status(400, String::new()), true),
        (Reply::Status(503, String::new()), true),
    ] {
        let first = SmsProvider::start(ProviderKind::OpenMarket);
        let second = SmsProvider::start(ProviderKind::Twilio);
        let server = server(&first, |settings| {
            settings
                .sms
                .providers
                .insert("second".to_owned(), second.settings());
            let route = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
            settings
                .sms
                .routes
                .insert("default".to_owned(), route(&["second"]));
            settings
                .sms
                .routes
                .insert("44".to_owned(), route(&["main", "second"]));
        });
        first.behave(reply.clone());
        let msisdn = fresh_msisdn();
        let number = format!("+{msisdn}");
        server
            .api()
            .request_sms("GB", &number, "secret", 1)
            .await
            .ok();
        let accepted = (
            first.all_sms_to(&msisdn).len(),
            second.all_sms_to(&msisdn).len(),
        );
        let expected = if second_used { (0, 1) } else { (1, 0) };
        assert_eq!(accepted, expected, "{reply:?}");
        // For other countries the first provider is not used.
        let before = first.requests().len();
        server
            .api()
            .request_sms("US", "8005552067", "secret", 1)
            .await
            .ok();
        assert_eq!(second.all_sms_to("18005552067").len(), 1);
        assert_eq!(first.requests().len(), before);
    }
}

#[actix_web::test]
async fn uncertain_sms_is_not_sent_by_second_provider() {
    let first = SmsProvider::start(ProviderKind::OpenMarket);
    let second = SmsProvider::start(ProviderKind::Twilio);
    let server = server(&first, |settings| {
        settings
            .sms
            .providers
            .insert("second".to_owned(), second.settings());
        settings.delivery.retry_first = Duration::from_millis(50);
        let both = ["main", "second"].map(str::to_owned).to_vec();
        settings.sms.routes.insert("default".to_owned(), both);
    });
    first.behave(Reply::Lose);
    let msisdn = fresh_msisdn();
    let number = format!("+{msisdn}");
    // The SMS may have been sent, so the client must not get an error.
    server
        .api()
        .request_sms("GB", &number, "secret", 1)
        .await
        .ok();
    server.wait_until_queue_empty().await;
    assert_eq!(
        (first.all_sms_to(&msisdn).len(), second.requests().len()),
        (3, 0)
    );
}
