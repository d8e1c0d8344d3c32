//! The requests to each kind of provider, and how its answers are interpreted
//! (MSI-10, MSI-14).

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sydent::config::{BodyForm, Method, ProviderKind, ProviderSettings, Settings};

use crate::harness::{Reply, SMS_PASSWORD, SmsProvider, TestServer, fresh_msisdn, wait_for};

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

/// The status and errcode that a client gets when the provider answers with this,
/// and the number of requests to the provider.
async fn outcome(kind: ProviderKind, status: u16, body: Value) -> (u16, String, usize) {
    let provider = SmsProvider::start(kind);
    let server = server(&provider, |_| {});
    provider.behave(Reply::Status(status, body.to_string()));
    let number = format!("+{}", fresh_msisdn());
    let answer = server.api().request_sms("GB", &number, "secret", 1).await;
    let body = answer.json();
    let errcode = body["errcode"].as_str().unwrap_or_default().to_owned();
    (answer.status, errcode, provider.requests().len())
}

/// MSI-10
#[actix_web::test]
async fn refusal_is_an_immediate_send_error() {
    for (kind, status, body) in [
        (ProviderKind::OpenMarket, 400, json!({})),
        (
            ProviderKind::Twilio,
            400,
            json!({"code": 21211, "status": 400}),
        ),
        (
            ProviderKind::Twilio,
            400,
            json!({"code": 21610, "status": 400}),
        ),
        (ProviderKind::Gateway, 422, json!("no such number")),
    ] {
        let outcome = outcome(kind, status, body).await;
        assert_eq!(outcome, (400, "M_SEND_ERROR".to_owned(), 1), "{kind:?}");
    }
}

#[actix_web::test]
async fn accepted_sms_without_an_id_is_not_resent() {
    let (status, _, requests) = outcome(ProviderKind::OpenMarket, 202, json!({})).await;
    assert_eq!((status, requests), (200, 1));
}

/// MSI-10
#[actix_web::test]
async fn transient_failure_is_retried_until_timeout() {
    for (kind, status, body) in [
        (ProviderKind::OpenMarket, 503, json!({})),
        (ProviderKind::OpenMarket, 401, json!({})),
        (ProviderKind::Twilio, 429, json!({"code": 20429})),
        // A wrong sender is a mistake that the administrator can fix.
        (ProviderKind::Twilio, 400, json!({"code": 21606})),
        (ProviderKind::Gateway, 404, json!({})),
    ] {
        let (answered, errcode, requests) = outcome(kind, status, body).await;
        assert_eq!(
            (answered, errcode.as_str()),
            (400, "M_SEND_ERROR"),
            "{kind:?} {status}"
        );
        assert!(requests > 1, "{kind:?} {status}: {requests} requests");
    }
}

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

#[actix_web::test]
async fn gateway_follows_its_settings() {
    let provider = SmsProvider::start(ProviderKind::Gateway);
    let server = server(&provider, |settings| {
        settings.sms.body = "{token} & \"more\"".to_owned();
        let main = main_of(settings);
        let url = main.url.take().unwrap();
        let url = format!("{url}/{{id}}?key={{password}}&to=%2B{{to}}");
        main.url = Some(url);
        main.username = None;
        main.method = Method::Put;
        main.body_form = BodyForm::Form;
        main.body = Some("from={from}&text={text}".to_owned());
        let secret = "Key {password}".to_owned().into();
        main.headers.insert("X-Api-Key".to_owned(), secret);
        main.accepted_statuses = vec!["202".to_owned()];
        main.accepted_answers = vec!["QUEUED".to_owned()];
    });
    provider.behave(Reply::Status(202, "1 QUEUED".to_owned()));
    server
        .api()
        .request_sms("GB", "07700900001", "secret", 1)
        .await
        .ok();
    let request = provider.requests().pop().unwrap();
    assert_eq!(request.method, "PUT");
    let target = format!("?key={SMS_PASSWORD}&to=%2B447700900001");
    assert!(
        request.target.starts_with("/send/") && request.target.ends_with(&target),
        "{}",
        request.target
    );
    assert_eq!(request.header("x-api-key"), format!("Key {SMS_PASSWORD}"));
    assert_eq!(request.header("authorization"), "");
    assert_eq!(
        request.header("content-type"),
        "application/x-www-form-urlencoded"
    );
    let body = request.body.strip_prefix("from=Example&text=").unwrap();
    let (code, rest) = body.split_at(6);
    assert!(code.bytes().all(|byte| byte.is_ascii_digit()), "{body}");
    assert_eq!(rest, "%20%26%20%22more%22");
}

#[actix_web::test]
async fn gateway_body_can_decide_the_outcome() {
    for (answer, status) in [("STATUS=OK", 200), ("STATUS=INVALID", 400)] {
        let provider = SmsProvider::start(ProviderKind::Gateway);
        let server = server(&provider, |settings| {
            let main = main_of(settings);
            main.accepted_answers = vec!["=OK".to_owned()];
            main.refused_answers = vec!["=INVALID".to_owned()];
        });
        provider.behave(Reply::Status(200, answer.to_owned()));
        let response = server
            .api()
            .request_sms("GB", "07700900001", "secret", 1)
            .await;
        assert_eq!(response.status, status, "{answer}");
        assert_eq!(provider.requests().len(), 1, "{answer}");
    }
}

/// Each SMS costs money, so one that may have been sent is not retried quickly.
#[actix_web::test]
async fn unexpected_response_is_uncertain() {
    for (kind, status, answer) in [
        (ProviderKind::Gateway, 200, "STATUS=BUSY"),
        (ProviderKind::Gateway, 200, ""),
        (ProviderKind::Gateway, 204, ""),
        (ProviderKind::Gateway, 302, "STATUS=OK"),
        (ProviderKind::Gateway, 409, "duplicate"),
        (ProviderKind::Gateway, 502, "STATUS=OK"),
        (ProviderKind::OpenMarket, 303, "{}"),
        (ProviderKind::Twilio, 200, "<html>"),
        (ProviderKind::Twilio, 200, "{"),
        (ProviderKind::Twilio, 201, ""),
        (ProviderKind::Twilio, 307, r#"{"code": 20307}"#),
        (ProviderKind::OpenMarket, 500, "{}"),
        (ProviderKind::Twilio, 504, r#"{"code": 20500}"#),
    ] {
        let provider = SmsProvider::start(kind);
        let server = server(&provider, |settings| {
            settings.delivery.retry_first = Duration::from_millis(50);
            settings.delivery.answer_within = Duration::from_secs(10);
            let main = main_of(settings);
            if kind == ProviderKind::Gateway {
                main.accepted_statuses = vec!["200".to_owned()];
                main.accepted_answers = vec!["=OK".to_owned()];
            }
        });
        provider.behave(Reply::Status(status, answer.to_owned()));
        let started = Instant::now();
        let response = server
            .api()
            .request_sms("GB", "07700900001", "secret", 1)
            .await;
        let (took, tries) = (started.elapsed(), provider.requests().len());
        assert_eq!(
            (response.status, tries),
            (200, 3),
            "{kind:?} {status} {answer}"
        );
        // The delays are 10 and 40 times the first retry delay.
        assert!(took >= Duration::from_millis(2500), "{took:?}");
    }
}

/// A gateway whose settings look at the body, which answers with these bytes. Returns
/// the status for the client and the number of requests.
async fn outcome_of_bytes(answer: &str) -> (u16, usize) {
    let provider = SmsProvider::start(ProviderKind::Gateway);
    let server = server(&provider, |settings| {
        settings.delivery.retry_first = Duration::from_millis(10);
        let main = main_of(settings);
        main.accepted_answers = vec!["=OK".to_owned()];
        main.refused_answers = vec!["=BAD".to_owned()];
    });
    provider.behave(Reply::Bytes(answer.to_owned()));
    let api = server.api();
    let response = api.request_sms("GB", "07700900001", "secret", 1).await;
    (response.status, provider.requests().len())
}

#[actix_web::test]
async fn answer_is_read_in_every_form() {
    for (answer, status) in [
        ("HTTP/1.1 200 OK\r\n\r\nSTATUS=OK", 200),
        ("HTTP/1.0 200 OK\r\n\r\nSTATUS=BAD", 400),
        ("HTTP/1.1 200\r\nConnection: close\r\n\r\nSTATUS=BAD", 400),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n=OK",
            200,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n=BAD\r\n0\r\n\r\n",
            400,
        ),
        ("HTTP/1.1 200 OK\nContent-Length: 3\n\n=OK", 200),
    ] {
        assert_eq!(outcome_of_bytes(answer).await, (status, 1), "{answer}");
    }
}

/// What arrives after the request was sent, and is no complete answer.
#[actix_web::test]
async fn broken_answer_is_uncertain() {
    for answer in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\nSTATUS=OK",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n=OK",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n=OK",
        "HTTP/1.1 200 OK\r\n\r\n<html>=O K</html>",
        "HTTP/1.1 102 Processing\r\n\r\n",
        "HTTP/1.1 101 Switching\r\n\r\n",
        "hello\r\n\r\n",
    ] {
        assert_eq!(outcome_of_bytes(answer).await, (200, 3), "{answer}");
    }
}

/// Where the settings look at the status alone, the body may never end.
#[actix_web::test]
async fn status_is_enough_without_rules_for_the_text() {
    let provider = SmsProvider::start(ProviderKind::Gateway);
    let server = server(&provider, |settings| {
        settings.delivery.retry_first = Duration::from_millis(10);
        main_of(settings).timeout = Duration::from_secs(1);
    });
    let unfinished = "HTTP/1.1 200 OK\r\n\r\nOK";
    provider.behave(Reply::Unfinished(unfinished.to_owned()));
    let api = server.api();
    let answer = api.request_sms("GB", "07700900001", "secret", 1).await;
    answer.ok();
    server.wait_until_queue_empty().await;
    assert_eq!(provider.requests().len(), 1);
}

/// The provider says when it may be asked again: not within the time that the client
/// waits, so there is one request.
#[actix_web::test]
async fn retry_after_is_respected() {
    for (status, requests) in [("429 Slow", 1), ("503 Busy", 1), ("401 Login", 2)] {
        let provider = SmsProvider::start(ProviderKind::Twilio);
        let server = server(&provider, |settings| {
            settings.delivery.retry_first = Duration::from_millis(200);
        });
        provider.behave(Reply::Bytes(format!(
            "HTTP/1.1 {status}\r\nRetry-After: 60\r\n\r\n{{\"code\": 20429}}"
        )));
        let api = server.api();
        let answer = api.request_sms("GB", "07700900001", "secret", 1).await;
        answer.refused(400, "M_SEND_ERROR");
        let found = provider.requests().len();
        assert!(found >= requests, "{status}: {found}");
        assert_eq!(found == 1, requests == 1, "{status}: {found}");
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
