//! `requestToken` and `submitToken` by POST (section 9 of the conformance
//! list), and which address is mailed and validated (EML-07, section 18).

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{SmtpServer, TestServer, Tls, V1, fresh_address};

fn request(email: &str) -> Value {
    json!({"client_secret": "secret", "email": email, "send_attempt": 1})
}

/// EML-01, EML-02, SES-27
#[actix_web::test]
async fn fields_are_required_and_typed() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    let address = fresh_address("fields");
    for missing in ["client_secret", "email", "send_attempt"] {
        let mut absent = request(&address);
        absent.as_object_mut().unwrap().remove(missing);
        let mut null = request(&address);
        null[missing] = Value::Null;
        for fields in [absent, null] {
            let answer = api.request_token_with(fields).await;
            let error = answer.refused(400, "M_MISSING_PARAMS")["error"].to_string();
            for name in ["client_secret", "email", "send_attempt"] {
                assert_eq!(error.contains(name), name == missing, "{error}");
            }
        }
    }
    for field in ["client_secret", "email", "send_attempt", "next_link"] {
        for wrong in [json!(true), json!([]), json!({}), json!(1.5)] {
            let mut fields = request(&address);
            fields[field] = wrong;
            let answer = api.request_token_with(fields).await;
            answer.refused(400, "M_INVALID_PARAM");
        }
    }
    assert!(server.mails_sent(&address).await.is_empty());

    let mut fields = request(&address);
    fields["id_server"] = json!("id.example.test");
    fields["next_link"] = Value::Null;
    fields["something"] = json!({"else": [1]});
    let answer = api.request_token_with(fields).await.ok();
    let keys: Vec<_> = answer.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["sid"]);
    assert!(answer["sid"].is_string());
}

/// EML-03, EML-04, EML-05, EML-06, SEC-08
#[actix_web::test]
async fn request_token_accepts_only_bare_addresses() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    let long = format!("a@{}example.com", "long.".repeat(60));
    for bad in [
        "",
        "foo",
        "@",
        "a@",
        "@example.com",
        "a@b@c",
        "a@evil.test@victim.test",
        "fakeemail1@nowhere.test@elsewhere.test",
        "\"a@b\"@example.com",
        "\"a\"@example.com",
        "a@example.com,c@example.com",
        "a@example.com c@example.com",
        "a@example.com;c@example.com",
        "<a@example.com>",
        "Alice <a@example.com>",
        "mailto:a@example.com",
        "a@example.com (Alice)",
        "a@example.com\0",
        "a\0@example.com",
        "a\t@example.com",
        " a@example.com",
        "a@example.com ",
        "a@example.com\r\nBcc: c@example.com",
        "a@example.com\nRCPT TO:<c@example.com>",
        "a\u{3000}b@example.com",
        "a\u{202e}b@example.com",
        "a\u{200b}b@example.com",
        "a＠example.com",
        "a@example.com.",
        "a@.example.com",
        "a@[127.0.0.1]",
        "a@127.0.0.1",
        &long,
        &format!("{}@example.com", "a".repeat(65)),
        &format!("{}@example.com", "a".repeat(500)),
        &"a".repeat(30_000),
    ] {
        let answer = api.request_token(bad, "secret", 1).await;
        answer.refused(400, "M_INVALID_EMAIL");
    }
    assert_eq!(server.database.count("validation_sessions"), 0);
    assert_eq!(server.database.count("outbox"), 0);
}

/// EML-07, IDN-01, IDN-02, SEC-18
#[actix_web::test]
async fn folded_address_is_mailed_and_validated() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    for (written, folded) in [
        ("ALICE", "alice"),
        ("\u{212a}im", "kim"),
        ("Strauß", "strauss"),
        ("ẞ", "ss"),
        ("ſ", "s"),
        ("ﬁsh", "fish"),
        ("ΑΣ", "\u{3b1}\u{3c3}"),
        ("İ", "i\u{307}"),
    ] {
        let rest = fresh_address("");
        let (written, folded) = (format!("{written}{rest}"), format!("{folded}{rest}"));
        let sid = api.request_token(&written, "secret", 1).await.ok();
        let sid = sid["sid"].as_str().unwrap();
        let mails = server.mails_sent(&folded).await;
        assert_eq!(mails.len(), 1, "{written}");
        assert_eq!(mails[0].received["rcpt_tos"], json!([folded]));

        let same = api.request_token(&folded, "secret", 1).await.ok();
        assert_eq!(same["sid"], sid);
        api.submit_token(sid, "secret", &mails[0].token())
            .await
            .ok();
        let validated = api.get_validated(sid, "secret").await.ok();
        assert_eq!(validated["address"], folded);
        let bound = api.bind(sid, "secret", "@kim:example.org").await.ok();
        assert_eq!(bound["address"], folded);
        for spelling in [&written, &folded] {
            assert_eq!(api.lookup("email", spelling).await.ok(), bound);
        }
    }
}

/// IDN-03
#[actix_web::test]
async fn domain_is_stored_as_unicode_and_sent_as_ascii() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    let local = fresh_address("idn").replace("@example.com", "");
    let wire = format!("{local}@xn--bcher-kva.example");
    let (sid, mail) = {
        let sid = api
            .request_token(&format!("{local}@BÜCHER.example"), "secret", 1)
            .await
            .ok();
        (sid, server.mails_sent(&wire).await.pop().unwrap())
    };
    let same = api.request_token(&wire, "secret", 1).await.ok();
    assert_eq!(same, sid);
    let sid = sid["sid"].as_str().unwrap();
    api.submit_token(sid, "secret", &mail.token()).await.ok();
    let validated = api.get_validated(sid, "secret").await.ok();
    assert_eq!(validated["address"], format!("{local}@bücher.example"));
}

/// EML-08, SES-11
#[actix_web::test]
async fn refused_mail_fails_and_is_not_counted() {
    let smtp = SmtpServer::start(Tls::None, "localhost", &[]);
    let server = TestServer::start(|settings| {
        smtp.configure(settings);
        settings.delivery.answer_within = Duration::from_secs(20);
    });
    let sent = async |address: &str| {
        server.wait_until_queue_empty().await;
        smtp.mails_to(address).len()
    };
    let api = server.api();
    let address = fresh_address("refused");
    smtp.behave(&json!({"rcpt": "550 5.1.1 no such user"}));
    for _ in 0..2 {
        let answer = api.request_token(&address, "secret", 1).await;
        answer.refused(400, "M_EMAIL_SEND_ERROR");
    }
    assert_eq!(server.database.count("outbox"), 0);

    smtp.behave(&json!({}));
    for _ in 0..2 {
        api.request_token(&address, "secret", 1).await.ok();
        assert_eq!(sent(&address).await, 1);
    }
    // The attempt of a refused mail does not suppress a later one either.
    smtp.behave(&json!({"data": "554 5.7.1 no"}));
    let answer = api.request_token(&address, "secret", 2).await;
    answer.refused(400, "M_EMAIL_SEND_ERROR");
    smtp.behave(&json!({}));
    api.request_token(&address, "secret", 1).await.ok();
    assert_eq!(sent(&address).await, 1);
    api.request_token(&address, "secret", 2).await.ok();
    assert_eq!(sent(&address).await, 2);
}

/// EML-14, EML-15, EML-16, EML-18
#[actix_web::test]
async fn submit_returns_the_specified_errors() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    let (sid, mail) = server
        .request_mail(&fresh_address("submit"), "secret")
        .await;
    let path = format!("{V1}/validate/email/submitToken");
    let valid = json!({"sid": sid, "client_secret": "secret", "token": mail.token()});
    for field in ["sid", "client_secret", "token"] {
        let mut fields = valid.clone();
        fields[field] = Value::Null;
        let answer = api.post(&path, fields.clone()).await;
        let error = answer.refused(400, "M_MISSING_PARAMS")["error"].to_string();
        assert!(error.contains(field), "{error}");
        for wrong in [json!(1), json!(true), json!([]), json!({})] {
            fields[field] = wrong;
            let answer = api.post(&path, fields.clone()).await;
            answer.refused(400, "M_INVALID_PARAM");
        }
    }
    for (sid, secret, token, errcode) in [
        (sid.as_str(), "secret", "wrong", "M_TOKEN_INCORRECT"),
        (&sid, "other", &mail.token(), "M_INVALID_PARAM"),
        ("nonesuch", "secret", &mail.token(), "M_INVALID_PARAM"),
    ] {
        let answer = api.submit_token(sid, secret, token).await;
        // iOS clients read this boolean.
        assert_eq!(answer.refused(400, errcode)["success"], false);
    }
    assert_eq!(api.post(&path, valid).await.ok(), json!({"success": true}));
}

/// SEC-22
#[actix_web::test]
async fn request_does_not_reveal_bindings() {
    let server = TestServer::start(|_| {});
    let (bound, free) = (fresh_address("bound"), fresh_address("free"));
    let internal = server.internal();
    internal
        .internal_bind("email", &bound, "@a:example.org")
        .await
        .ok();
    for address in [bound, free] {
        let answer = server.api().request_token(&address, "secret", 1).await;
        assert_eq!(answer.ok().as_object().unwrap().len(), 1);
        assert_eq!(server.mails_sent(&address).await.len(), 1);
    }
}
