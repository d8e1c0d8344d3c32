//! The code of an SMS, entered in a client or on the page.

use serde_json::json;

use super::Phones;
use crate::harness::{Answer, Api, V1, V2, encode, fresh_address, fresh_msisdn};

fn page(api: &Api, version: &str, query: &[(&str, &str)]) -> impl Future<Output = Answer> {
    let path = format!("{version}/validate/msisdn/submitToken?{}", encode(query));
    let api = api.clone();
    async move { api.get(&path).await }
}

/// MSI-12, SES-06
#[actix_web::test]
async fn code_validates_the_number() {
    let phones = Phones::start(|_| {});
    let api = phones.server.api();
    let (sid, text) = phones.request_sms(&fresh_msisdn()).await;
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

/// MSI-12
#[actix_web::test]
async fn expired_session_accepts_no_code() {
    let phones = Phones::start(|_| {});
    let (sid, text) = phones.request_sms(&fresh_msisdn()).await;
    phones.server.advance(24 * 60 * 60 * 1000 + 1);
    let api = phones.server.api();
    let expired = api.submit_sms(&sid, "secret", &text.token()).await;
    expired.refused(400, "M_SESSION_EXPIRED");
}

/// SES-22
#[actix_web::test]
async fn code_is_accepted_on_its_own_route_only() {
    let phones = Phones::start(|_| {});
    let api = phones.server.api();
    let (sid, text) = phones.request_sms(&fresh_msisdn()).await;
    let by_mail = api.submit_token(&sid, "secret", &text.token()).await;
    by_mail.refused(400, "M_INVALID_PARAM");
    let (sid, mail) = phones
        .server
        .request_mail(&fresh_address("route"), "secret")
        .await;
    let by_phone = api.submit_sms(&sid, "secret", &mail.token()).await;
    by_phone.refused(400, "M_INVALID_PARAM");
}

/// SES-19, SEC-16
#[actix_web::test]
async fn five_wrong_codes_end_the_session() {
    let phones = Phones::start(|_| {});
    let api = phones.server.api();
    let (sid, text) = phones.request_sms(&fresh_msisdn()).await;
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
    let texts = phones.provider.all_sms_to(&text.to);
    let token = texts.last().unwrap().token();
    let sid = fresh["sid"].as_str().unwrap();
    api.submit_sms(sid, "secret", &token).await.ok();
}

#[actix_web::test]
async fn max_wrong_sms_tokens_limits_the_guesses() {
    let phones = Phones::start(|settings| settings.validation.max_wrong_sms_tokens = 1);
    let api = phones.server.api();
    let (sid, text) = phones.request_sms(&fresh_msisdn()).await;
    let wrong = api.submit_sms(&sid, "secret", "000").await;
    wrong.refused(400, "M_TOKEN_INCORRECT");
    let answer = api.submit_sms(&sid, "secret", &text.token()).await;
    answer.refused(400, "M_SESSION_EXPIRED");
}

/// SES-05
#[actix_web::test]
async fn codes_of_sessions_differ() {
    let phones = Phones::start(|_| {});
    let mut codes = std::collections::BTreeSet::new();
    for _ in 0..8 {
        let (_, text) = phones.request_sms(&fresh_msisdn()).await;
        codes.insert(text.token());
    }
    assert!(codes.len() > 6, "{codes:?}");
}

/// MSI-13
#[actix_web::test]
async fn page_validates_and_shows_the_result() {
    let phones = Phones::start(|_| {});
    let api = phones.server.api();
    for version in [V1, V2] {
        let (sid, text) = phones.request_sms(&fresh_msisdn()).await;
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
        let valid = [
            ("sid", sid.as_str()),
            ("client_secret", "secret"),
            ("token", &token),
        ];
        let answer = page(&api, version, &valid).await;
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains("Your phone number is confirmed."));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        api.get_validated(&sid, "secret").await.ok();
    }
    let (sid, text) = phones.request_sms(&fresh_msisdn()).await;
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

/// MSI-13, NEW-17, SES-23
#[actix_web::test]
async fn page_redirects_to_the_stored_link() {
    let phones = Phones::start(|settings| {
        settings.validation.next_link_hosts = vec!["app.example".to_owned()];
    });
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
        phones.provider.sms_to(&msisdn).await.token(),
    );
    // A client that submits the code is not redirected.
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
