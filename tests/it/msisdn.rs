//! Phone validation (section 10 of the conformance list): requestToken,
//! submitToken and its page. The providers are tested in `sms_providers`.

mod submit;

use std::time::Duration;

use serde_json::{Value, json};
use sydent::config::{ProviderKind, Rule, Settings};

use crate::harness::{Reply, SentSms, SmsProvider, TestServer, V2, fresh_msisdn};

pub struct Phones {
    pub server: TestServer,
    pub provider: SmsProvider,
}

impl Phones {
    pub fn start(change: impl FnOnce(&mut Settings)) -> Self {
        let provider = SmsProvider::start(ProviderKind::OpenMarket);
        let server = TestServer::start_with_clock(|settings| {
            provider.configure(settings);
            change(settings);
        });
        Self { server, provider }
    }

    /// Requests a code; returns the sid and the SMS.
    async fn request_sms(&self, msisdn: &str) -> (String, SentSms) {
        let number = format!("+{msisdn}");
        let api = self.server.api();
        let answer = api.request_sms("GB", &number, "secret", 1).await.ok();
        let sid = answer["sid"].as_str().unwrap().to_owned();
        (sid, self.provider.sms_to(msisdn).await)
    }
}

/// MSI-01, MSI-02, MSI-03, MSI-17
#[actix_web::test]
async fn code_is_sent_and_the_number_returned() {
    let phones = Phones::start(|_| {});
    let api = phones.server.api();
    let answer = api.request_sms("GB", "07700900001", "secret", 1).await.ok();
    let sid = answer["sid"].clone();
    assert!(sid.is_string());
    let expected = json!({
        "sid": sid, "success": true, "msisdn": "447700900001", "intl_fmt": "+44 7700 900001",
    });
    assert_eq!(answer, expected);
    let text = phones.provider.sms_to("447700900001").await;
    assert_eq!(text.from, "alpha:Example");
    assert!(text.body.contains("is your code"), "{}", text.body);
    assert_eq!(text.token().len(), 6);

    let required = ["client_secret", "country", "phone_number", "send_attempt"];
    for missing in required {
        let mut fields = json!({
            "client_secret": "secret", "country": "GB", "phone_number": "07700900001",
            "send_attempt": 1,
        });
        fields[missing] = Value::Null;
        let refused = api.request_sms_with(fields).await;
        let body = refused.refused(400, "M_MISSING_PARAMS");
        assert!(body["error"].as_str().unwrap().contains(missing), "{body}");
    }
    let nothing = api.request_sms_with(json!({})).await;
    let body = nothing.refused(400, "M_MISSING_PARAMS");
    assert!(
        required
            .iter()
            .all(|name| body["error"].as_str().unwrap().contains(name))
    );
}

/// MSI-04, MSI-05, MSI-08, SES-09
#[actix_web::test]
async fn all_notations_of_a_number_share_one_session() {
    let phones = Phones::start(|_| {});
    let api = phones.server.api();
    let mut sids = Vec::new();
    for (country, number) in [
        ("GB", "07700900001"),
        ("GB", "447700900001"),
        ("US", "+447700900001"),
        ("GB", "00447700900001"),
        ("US", "011 44 7700 900001"),
        ("", "+447700900001"),
        ("GB", "０７７００９００００１"),
    ] {
        let answer = api.request_sms(country, number, "secret", 1).await.ok();
        assert_eq!(answer["msisdn"], "447700900001", "{country} {number}");
        sids.push(answer["sid"].clone());
    }
    sids.dedup();
    assert_eq!(sids.len(), 1);
    assert_eq!(phones.provider.all_sms_to("447700900001").len(), 1);
}

/// MSI-06, MSI-07
#[actix_web::test]
async fn invalid_number_is_an_invalid_address() {
    let phones = Phones::start(|_| {});
    let api = phones.server.api();
    for (country, number) in [
        ("GB", "12"),
        ("GB", "abc"),
        ("GB", "+"),
        ("GB", ""),
        ("ZZ", "07700900001"),
        ("gb", "07700900001"),
        ("", "07700900001"),
        ("GB", "+999123456"),
    ] {
        let answer = api.request_sms(country, number, "secret", 1).await;
        answer.refused(400, "M_INVALID_ADDRESS");
    }
    for (name, wrong) in [
        ("country", json!(44)),
        ("phone_number", json!(447_700_900_001_u64)),
    ] {
        let mut fields = json!({
            "client_secret": "secret", "country": "GB", "phone_number": "07700900001",
            "send_attempt": 1,
        });
        fields[name] = wrong;
        let answer = api.request_sms_with(fields).await;
        answer.refused(400, "M_INVALID_PARAM");
    }
    assert_eq!(phones.server.database.count("validation_sessions"), 0);
    assert!(phones.provider.requests().is_empty());
}

/// MSI-09
#[actix_web::test]
async fn extension_is_not_part_of_the_address() {
    let phones = Phones::start(|_| {});
    let api = phones.server.api();
    let answer = api.request_sms("GB", "07700 900001 x12", "secret", 1).await;
    let body = answer.ok();
    let found = (&body["msisdn"], &body["intl_fmt"]);
    assert_eq!(found, (&json!("447700900001"), &json!("+44 7700 900001")));
}

/// MSI-11
#[actix_web::test]
async fn unserved_country_is_rejected_without_session() {
    let rules = |pairs: &'static [(&str, Rule)]| {
        move |settings: &mut Settings| {
            let pairs = pairs.iter().map(|&(code, rule)| (code.to_owned(), rule));
            settings.sms.rules = pairs.collect();
        }
    };
    for (rules, british, american) in [
        (rules(&[("44", Rule::Reject)]), false, true),
        (
            rules(&[("default", Rule::Reject), ("44", Rule::Allow)]),
            true,
            false,
        ),
    ] {
        let phones = Phones::start(rules);
        let api = phones.server.api();
        for (number, served) in [("+447700900001", british), ("+18005552067", american)] {
            let answer = api.request_sms("GB", number, "secret", 1).await;
            if served {
                answer.ok();
            } else {
                answer.refused(400, "M_DESTINATION_REJECTED");
            }
        }
        assert_eq!(phones.server.database.count("validation_sessions"), 1);
        assert_eq!(phones.provider.requests().len(), 1);
    }
}

/// MSI-16
#[actix_web::test]
async fn missing_provider_is_a_send_error() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    let answer = api.request_sms("GB", "07700900001", "secret", 1).await;
    answer.refused(400, "M_SEND_ERROR");
    assert_eq!(server.database.count("validation_sessions"), 0);
    let warned = server.app.config.warnings.iter();
    assert!(
        warned
            .map(|warning| &warning.key)
            .any(|key| key == "sms.providers")
    );
}

/// MSI-01, MSI-03
#[actix_web::test]
async fn v2_requires_an_account() {
    let phones = Phones::start(|_| {});
    let anonymous = phones.server.api();
    let body = json!({
        "client_secret": "secret", "country": "GB", "phone_number": "07700900001",
        "send_attempt": "1",
    });
    let path = format!("{V2}/validate/msisdn/requestToken");
    let refused = anonymous.post(&path, body.clone()).await;
    refused.refused(401, "M_UNAUTHORIZED");
    let api = phones.server.account("@a:example.org").await;
    let answer = api.request_sms_with(body).await.ok();
    assert_eq!(answer["msisdn"], "447700900001");
    let sid = answer["sid"].as_str().unwrap();
    let token = phones.provider.sms_to("447700900001").await.token();
    api.submit_sms(sid, "secret", &token).await.ok();
    let validated = api.get_validated(sid, "secret").await.ok();
    assert_eq!(validated["address"], "447700900001");
}

/// SES-10, SES-11
#[actix_web::test]
async fn attempt_is_sent_once_and_repeated_if_failed() {
    let phones = Phones::start(|settings| {
        settings.delivery.answer_within = Duration::from_secs(3);
    });
    let (api, msisdn) = (phones.server.api(), fresh_msisdn());
    let number = format!("+{msisdn}");
    phones.provider.behave(Reply::Status(503, String::new()));
    let failed = api.request_sms("GB", &number, "secret", 1).await;
    failed.refused(400, "M_SEND_ERROR");
    phones.provider.behave(Reply::Accept);
    for (attempt, texts) in [(json!(1), 1), (json!(1), 1), (json!("2"), 2), (json!(1), 2)] {
        api.request_sms("GB", &number, "secret", attempt).await.ok();
        phones.server.wait_until_queue_empty().await;
        assert_eq!(phones.provider.all_sms_to(&msisdn).len(), texts);
    }
    let texts = phones.provider.all_sms_to(&msisdn);
    for text in &texts {
        let answer = api.request_sms("GB", &number, "secret", 2).await.ok();
        let sid = answer["sid"].as_str().unwrap();
        api.submit_sms(sid, "secret", &text.token()).await.ok();
    }
}
