//! The gateway that the settings describe: its requests, and how its answers are read.

use std::time::Duration;

use sydent::config::{BodyForm, Method, ProviderKind};

use super::{main_of, server};
use crate::harness::{Reply, SMS_PASSWORD, SmsProvider};

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
