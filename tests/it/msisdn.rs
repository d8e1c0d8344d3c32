//! Phone validation (section 10 of the conformance list): requestToken,
//! submitToken and its page. What providers make of a text is in `sms_providers`.

use std::time::Duration;

use serde_json::{Value, json};
use sydent::config::{ProviderKind, Rule, Settings};

use crate::harness::{
    Answer, Api, Reply, SmsProvider, TakenText, TestServer, V1, V2, encode, fresh_address,
    fresh_msisdn,
};

struct Phones {
    server: TestServer,
    provider: SmsProvider,
}

impl Phones {
    fn start(change: impl FnOnce(&mut Settings)) -> Self {
        let provider = SmsProvider::start(ProviderKind::OpenMarket);
        let server = TestServer::start_with_clock(|settings| {
            provider.configure(settings);
            change(settings);
        });
        Self { server, provider }
    }

    /// Asks for a code; answers the sid and the text.
    async fn requested(&self, msisdn: &str) -> (String, TakenText) {
        let number = format!("+{msisdn}");
        let api = self.server.api();
        let answer = api.request_sms("GB", &number, "secret", 1).await.ok();
        let sid = answer["sid"].as_str().unwrap().to_owned();
        (sid, self.provider.text_to(msisdn).await)
    }
}

fn page(api: &Api, version: &str, query: &[(&str, &str)]) -> impl Future<Output = Answer> {
    let path = format!("{version}/validate/msisdn/submitToken?{}", encode(query));
    let api = api.clone();
    async move { api.get(&path).await }
}

#[actix_web::test]
async fn msi_01_msi_02_msi_03_msi_17_a_code_is_sent_and_the_number_told() {
    let phones = Phones::start(|_| {});
    let api = phones.server.api();
    let answer = api.request_sms("GB", "07700900001", "secret", 1).await.ok();
    let sid = answer["sid"].clone();
    assert!(sid.is_string());
    let told = json!({
        "sid": sid, "success": true, "msisdn": "447700900001", "intl_fmt": "+44 7700 900001",
    });
    assert_eq!(answer, told);
    let text = phones.provider.text_to("447700900001").await;
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

#[actix_web::test]
async fn msi_04_msi_05_msi_08_ses_09_all_ways_to_write_a_number_are_one_session() {
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
    assert_eq!(phones.provider.texts_to("447700900001").len(), 1);
}

#[actix_web::test]
async fn msi_06_msi_07_what_is_no_number_is_an_invalid_address() {
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
    assert!(phones.provider.asked().is_empty());
}

#[actix_web::test]
async fn msi_09_an_extension_is_no_part_of_the_address() {
    let phones = Phones::start(|_| {});
    let api = phones.server.api();
    let answer = api.request_sms("GB", "07700 900001 x12", "secret", 1).await;
    let body = answer.ok();
    let told = (&body["msisdn"], &body["intl_fmt"]);
    assert_eq!(told, (&json!("447700900001"), &json!("+44 7700 900001")));
}

#[actix_web::test]
async fn msi_11_a_country_that_is_not_served_is_rejected_before_there_is_a_session() {
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
        assert_eq!(phones.provider.asked().len(), 1);
    }
}

#[actix_web::test]
async fn msi_16_without_a_provider_it_is_a_send_error() {
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

#[actix_web::test]
async fn msi_12_ses_06_the_code_validates_the_number() {
    let phones = Phones::start(|_| {});
    let api = phones.server.api();
    let (sid, text) = phones.requested(&fresh_msisdn()).await;
    let wrong = api.submit_sms(&sid, "secret", "wrong").await;
    assert_eq!(wrong.refused(400, "M_TOKEN_INCORRECT")["success"], false);
    let unknown = api.submit_sms("nonesuch", "secret", "123456").await;
    unknown.refused(400, "M_INVALID_PARAM");
    let other = api.submit_sms(&sid, "other", &text.token()).await;
    other.refused(400, "M_INVALID_PARAM");

    let typed = format!("  {} ", text.token());
    for token in [typed, text.token()] {
        let answer = api.submit_sms(&sid, "secret", &token).await;
        assert_eq!(answer.ok(), json!({"success": true}));
    }
    let validated = api.get_validated(&sid, "secret").await.ok();
    let expected = json!({
        "medium": "msisdn", "address": text.to, "validated_at": phones.server.now(),
    });
    assert_eq!(validated, expected);
    let bound = api.bind(&sid, "secret", "@a:example.org").await.ok();
    assert_eq!(
        (&bound["medium"], &bound["address"]),
        (&json!("msisdn"), &json!(text.to))
    );
}

#[actix_web::test]
async fn msi_12_a_session_that_has_ended_takes_no_code() {
    let phones = Phones::start(|_| {});
    let (sid, text) = phones.requested(&fresh_msisdn()).await;
    phones.server.advance(24 * 60 * 60 * 1000 + 1);
    let api = phones.server.api();
    let late = api.submit_sms(&sid, "secret", &text.token()).await;
    late.refused(400, "M_SESSION_EXPIRED");
}

#[actix_web::test]
async fn ses_22_a_session_takes_its_code_on_its_own_route_only() {
    let phones = Phones::start(|_| {});
    let api = phones.server.api();
    let (sid, text) = phones.requested(&fresh_msisdn()).await;
    let by_mail = api.submit_token(&sid, "secret", &text.token()).await;
    by_mail.refused(400, "M_INVALID_PARAM");
    let (sid, mail) = phones
        .server
        .requested(&fresh_address("route"), "secret")
        .await;
    let by_phone = api.submit_sms(&sid, "secret", &mail.token()).await;
    by_phone.refused(400, "M_INVALID_PARAM");
}

#[actix_web::test]
async fn ses_19_sec_16_five_guesses_end_the_session_of_a_phone() {
    let phones = Phones::start(|_| {});
    let api = phones.server.api();
    let (sid, text) = phones.requested(&fresh_msisdn()).await;
    for _ in 0..5 {
        let answer = api.submit_sms(&sid, "secret", "000").await;
        answer.refused(400, "M_TOKEN_INCORRECT");
    }
    let answer = api.submit_sms(&sid, "secret", &text.token()).await;
    answer.refused(400, "M_SESSION_EXPIRED");
    let unproven = api.get_validated(&sid, "secret").await;
    unproven.refused(400, "M_SESSION_EXPIRED");

    let number = format!("+{}", text.to);
    let fresh = api.request_sms("GB", &number, "secret", 2).await.ok();
    assert_ne!(fresh["sid"], json!(sid));
    let texts = phones.provider.texts_to(&text.to);
    let token = texts.last().unwrap().token();
    let sid = fresh["sid"].as_str().unwrap();
    api.submit_sms(sid, "secret", &token).await.ok();
}

#[actix_web::test]
async fn validation_max_wrong_sms_tokens_is_the_cap_on_guesses() {
    let phones = Phones::start(|settings| settings.validation.max_wrong_sms_tokens = 1);
    let api = phones.server.api();
    let (sid, text) = phones.requested(&fresh_msisdn()).await;
    let wrong = api.submit_sms(&sid, "secret", "000").await;
    wrong.refused(400, "M_TOKEN_INCORRECT");
    let answer = api.submit_sms(&sid, "secret", &text.token()).await;
    answer.refused(400, "M_SESSION_EXPIRED");
}

#[actix_web::test]
async fn ses_05_codes_differ() {
    let phones = Phones::start(|_| {});
    let mut codes = std::collections::BTreeSet::new();
    for _ in 0..8 {
        let (_, text) = phones.requested(&fresh_msisdn()).await;
        codes.insert(text.token());
    }
    assert!(codes.len() > 6, "{codes:?}");
}

#[actix_web::test]
async fn msi_13_the_page_validates_and_says_so() {
    let phones = Phones::start(|_| {});
    let api = phones.server.api();
    for version in [V1, V2] {
        let (sid, text) = phones.requested(&fresh_msisdn()).await;
        let token = text.token();
        let wrong = [
            ("sid", sid.as_str()),
            ("client_secret", "secret"),
            ("token", "000"),
        ];
        for query in [wrong.as_slice(), &wrong[..2], &[]] {
            let answer = page(&api, version, query).await;
            assert_eq!(answer.status, 400);
            assert_eq!(
                answer.header("content-type"),
                Some("text/html; charset=utf-8")
            );
            assert!(
                answer.text().contains("This code is not valid"),
                "{}",
                answer.text()
            );
        }
        let right = [
            ("sid", sid.as_str()),
            ("client_secret", "secret"),
            ("token", &token),
        ];
        let answer = page(&api, version, &right).await;
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains("Your phone number is confirmed."));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        api.get_validated(&sid, "secret").await.ok();
    }
    let (sid, text) = phones.requested(&fresh_msisdn()).await;
    phones.server.advance(24 * 60 * 60 * 1000 + 1);
    let token = text.token();
    let query = [
        ("sid", sid.as_str()),
        ("client_secret", "secret"),
        ("token", &token),
    ];
    let answer = page(&api, V2, &query).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("This code has expired."));
}

#[actix_web::test]
async fn msi_13_new_17_ses_23_the_page_goes_on_to_the_stored_link() {
    let phones = Phones::start(|_| {});
    let (api, msisdn) = (phones.server.api(), fresh_msisdn());
    let mut fields = json!({
        "client_secret": "secret", "country": "", "phone_number": format!("+{msisdn}"),
        "send_attempt": 1, "next_link": "javascript:alert(1)",
    });
    let refused = api.request_sms_with(fields.clone()).await;
    refused.refused(400, "M_INVALID_PARAM");
    fields["next_link"] = json!("https://app.example/#/done");
    let sid = api.request_sms_with(fields).await.ok()["sid"].clone();
    let (sid, token) = (
        sid.as_str().unwrap(),
        phones.provider.text_to(&msisdn).await.token(),
    );
    // A client that submits the code stays where it is.
    let posted = api.submit_sms(sid, "secret", &token).await;
    assert_eq!(posted.ok(), json!({"success": true}));
    let query = [
        ("sid", sid),
        ("client_secret", "secret"),
        ("token", &token),
        ("next_link", "https://evil.example/"),
    ];
    let answer = page(&api, V2, &query).await;
    assert_eq!(answer.status, 302);
    let expected = format!("https://app.example/#/done?sid={sid}");
    assert_eq!(answer.header("location"), Some(expected.as_str()));
}

#[actix_web::test]
async fn msi_01_msi_03_on_v2_it_takes_an_account() {
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
    let token = phones.provider.text_to("447700900001").await.token();
    api.submit_sms(sid, "secret", &token).await.ok();
    let validated = api.get_validated(sid, "secret").await.ok();
    assert_eq!(validated["address"], "447700900001");
}

#[actix_web::test]
async fn ses_10_ses_11_an_attempt_is_sent_once_and_a_failed_one_may_be_made_again() {
    let phones = Phones::start(|settings| {
        settings.delivery.answer_within = Duration::from_millis(300);
    });
    let (api, msisdn) = (phones.server.api(), fresh_msisdn());
    let number = format!("+{msisdn}");
    phones.provider.behave(Reply::Status(500, String::new()));
    let failed = api.request_sms("GB", &number, "secret", 1).await;
    failed.refused(400, "M_SEND_ERROR");
    phones.provider.behave(Reply::Take);
    for (attempt, texts) in [(json!(1), 1), (json!(1), 1), (json!("2"), 2), (json!(1), 2)] {
        api.request_sms("GB", &number, "secret", attempt).await.ok();
        phones.server.queue_is_empty().await;
        assert_eq!(phones.provider.texts_to(&msisdn).len(), texts);
    }
    let texts = phones.provider.texts_to(&msisdn);
    assert_eq!(texts[0].token(), texts[1].token());
}
