//! Connections to a provider.

use sydent::config::ProviderKind;

use super::{main_of, server};
use crate::harness::{SmsProvider, fresh_msisdn};

/// MSI-10
#[actix_web::test]
async fn unreachable_provider_is_a_send_error() {
    let closed = crate::harness::ClosedPort::new();
    let provider = SmsProvider::start(ProviderKind::OpenMarket);
    let server = server(&provider, |settings| {
        let url = format!("http://localhost:{}/sms/v4/mt", closed.number);
        main_of(settings).url = Some(url);
    });
    let api = server.api();
    let answer = api.request_sms("GB", "07700900001", "secret", 1).await;
    answer.refused(400, "M_SEND_ERROR");
    assert_eq!(server.database.count("outbox"), 0);
}

#[actix_web::test]
async fn certificates_are_verified_with_the_ca_file() {
    for (name, trusted, accepted) in [
        ("localhost", true, true),
        ("localhost", false, false),
        ("other.example", true, false),
    ] {
        let provider = SmsProvider::with_certificate(ProviderKind::OpenMarket, name);
        let server = server(&provider, |settings| {
            if !trusted {
                main_of(settings).ca_file = None;
            }
        });
        let msisdn = fresh_msisdn();
        let number = format!("+{msisdn}");
        let answer = server.api().request_sms("GB", &number, "secret", 1).await;
        assert_eq!(
            answer.status == 200,
            accepted,
            "{name} {trusted}: {}",
            answer.text()
        );
        assert_eq!(provider.all_sms_to(&msisdn).len(), usize::from(accepted));
    }
}

/// A host with addresses of both families, of which only one has a provider.
#[actix_web::test]
async fn address_without_a_provider_is_skipped() {
    let provider = SmsProvider::with_certificate(ProviderKind::OpenMarket, "localhost");
    let server = server(&provider, |_| {});
    let api = server.api();
    let answer = api.request_sms("GB", "07700900001", "secret", 1).await;
    answer.ok();
    assert_eq!(provider.requests()[0].header("accept-encoding"), "identity");
}
