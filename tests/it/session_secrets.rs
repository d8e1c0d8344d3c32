//! Codes and client secrets are in the database only as hashes.

use serde_json::json;

use crate::harness::{TestServer, fresh_address};
use crate::msisdn::Phones;

/// How many sessions contain that text in any column.
fn containing(server: &TestServer, secret: &str) -> i64 {
    let contains = |column| format!("{column} LIKE '%{secret}%'");
    let columns = [
        "sid",
        "medium",
        "address",
        "client_secret",
        "token",
        "next_link",
    ];
    let columns = columns.map(contains).join(" OR ");
    server
        .database
        .count(&format!("validation_sessions WHERE {columns}"))
}

/// SES-29
#[actix_web::test]
async fn sessions_hold_no_secret_in_clear() {
    let server = TestServer::start(|_| {});
    let (api, secret) = (server.api(), "very.secret.of.a.client");
    let (sid, mail) = server.request_mail(&fresh_address("clear"), secret).await;
    let address = mail.received["rcpt_tos"][0].as_str().unwrap().to_owned();
    api.request_token(&address, secret, 2).await.ok();
    let mails = server.mails_sent(&address).await;
    assert_eq!(server.database.count("validation_sessions"), 1);
    assert_eq!(containing(&server, secret), 0);
    for mail in &mails {
        assert_eq!(containing(&server, &mail.token()), 0);
        assert_eq!(mail.parameter("sid"), sid);
    }
    api.submit_token(&sid, secret, &mails[1].token()).await.ok();
    api.get_validated(&sid, secret).await.ok();
    api.get_validated(&sid, "very.secret.of.another")
        .await
        .refused(404, "M_NO_VALID_SESSION");
    assert_eq!(containing(&server, secret), 0);
}

/// SES-29, SES-26
#[actix_web::test]
async fn links_hold_no_secret_in_clear() {
    let server = TestServer::start(|settings| {
        settings.invites.web_client = "https://app.example".to_owned();
    });
    let (api, secret) = (server.api(), "very.secret=of.a.client");
    let address = fresh_address("link");
    let links = [
        format!("https://app.example/#/register?client_secret={secret}&session_id=s"),
        "https://app.example/?client_secret=very.secret%3Dof.a.client&x=%C3%A9".to_owned(),
    ];
    for (attempt, link) in (1..).zip(&links) {
        let fields = json!({"client_secret": secret, "email": address, "send_attempt": attempt,
            "next_link": link});
        let sid = api.request_token_with(fields).await.ok()["sid"].clone();
        let mail = server.mails_sent(&address).await.pop().unwrap();
        for part in ["very.secret", "of.a.client"] {
            assert_eq!(containing(&server, part), 0, "{link}");
        }
        assert_eq!(containing(&server, "https://app.example/"), attempt);
        let page = api.open_link(&mail.link()).await;
        let expected = format!("{link}&sid={}", sid.as_str().unwrap());
        assert_eq!(page.header("location"), Some(expected.as_str()));
    }
}

/// SES-29
#[actix_web::test]
async fn codes_of_sms_are_hashed_and_sent_again() {
    let phones = Phones::start(|_| {});
    let api = phones.server.api();
    let mut sids = Vec::new();
    for attempt in 1..=4 {
        let answer = api
            .request_sms("GB", "+447700900055", "secret", attempt)
            .await;
        sids.push(answer.ok()["sid"].as_str().unwrap().to_owned());
        phones.server.wait_until_queue_empty().await;
    }
    sids.dedup();
    assert_eq!(sids.len(), 1);
    let texts = phones.provider.all_sms_to("447700900055");
    for text in &texts {
        assert_eq!(containing(&phones.server, &text.token()), 0);
    }
    // The last three codes are right; more would make guesses too likely.
    let submit = async |index: usize| {
        let token = texts[index].token();
        api.submit_sms(&sids[0], "secret", &token).await
    };
    if texts[1..]
        .iter()
        .all(|text| text.token() != texts[0].token())
    {
        submit(0).await.refused(400, "M_TOKEN_INCORRECT");
    }
    for index in 1..4 {
        assert_eq!(submit(index).await.ok(), json!({"success": true}));
    }
}

/// SES-29
#[actix_web::test]
async fn clear_sessions_are_hashed_at_the_start() {
    let server = TestServer::start(|_| {});
    let now = server.now();
    for (sid, address, token, validated) in [
        ("pending", "p@example.com", "Tok3n", "NULL".to_owned()),
        ("done", "d@example.com", "654321", now.to_string()),
    ] {
        server.database.execute(&format!(
            "INSERT INTO validation_sessions (sid, medium, address, client_secret, token, \
             send_attempt, created_at, validated_at, wrong_tokens, superseded, next_link) VALUES \
             ('{sid}', 'email', '{address}', 'clear-secret', '{token}', 1, {now}, {validated}, \
             0, 0, 'https://app.example/?s=clear-secret')"
        ));
    }
    let server = server.start_again(|_| {});
    let api = server.api();
    assert_eq!(server.database.count("validation_sessions WHERE hashed"), 2);
    for clear in ["clear-secret", "Tok3n", "654321"] {
        assert_eq!(containing(&server, clear), 0, "{clear}");
    }
    api.submit_token("pending", "clear-secret", "wrong")
        .await
        .refused(400, "M_TOKEN_INCORRECT");
    api.submit_token("pending", "clear-secret", "Tok3n")
        .await
        .ok();
    api.get_validated("done", "clear-secret").await.ok();
    // The same client goes on with its session.
    let again = api.request_token("d@example.com", "clear-secret", 1).await;
    assert_eq!(again.ok()["sid"], "done");
}
