//! The page behind the mailed link, `GET validate/email/submitToken` (EML-19
//! to EML-24), and where it redirects to (SES-23 to SES-26).

use serde_json::json;
use sydent::config::Settings;

use crate::harness::{Answer, Api, BlockedActor, Mail, TestServer, V1, V2, encode, fresh_address};

/// Lists hosts to which links may lead.
fn list(settings: &mut Settings, hosts: &[&str]) {
    settings.validation.next_link_hosts = hosts.iter().map(|&host| host.to_owned()).collect();
}

/// Starts a session with this `next_link`; returns the sid and the mail.
async fn requested_with(server: &TestServer, next_link: &str) -> (String, Mail) {
    let address = fresh_address("link");
    let fields = json!({
        "client_secret": "secret", "email": address, "send_attempt": 1, "next_link": next_link,
    });
    let answer = server.api().request_token_with(fields).await.ok();
    let mail = server.mails_sent(&address).await.pop().unwrap();
    (answer["sid"].as_str().unwrap().to_owned(), mail)
}

async fn open(api: &Api, version: &str, query: &[(&str, &str)]) -> Answer {
    let query = encode(query);
    let path = format!("{version}/validate/email/submitToken?{query}");
    api.get(&path).await
}

/// Expects an HTML page whose headers protect the secrets in its URL.
#[track_caller]
fn expect_page(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status);
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(answer.header("location"), None);
    assert_eq!(answer.header("set-cookie"), None);
}

/// EML-19, EML-22, EML-24
#[actix_web::test]
async fn opening_the_link_validates() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    for version in [V2, V1] {
        let (sid, mail) = server.request_mail(&fresh_address("open"), "secret").await;
        let link = mail.link().replace(V2, version);
        for _ in 0..2 {
            let page = api.open_link(&link).await;
            expect_page(&page, 200);
            assert!(page.text().contains("<h1>Address confirmed</h1>"));
        }
        api.get_validated(&sid, "secret").await.ok();
    }
}

/// EML-11, GEN-32
#[actix_web::test]
async fn mailed_link_works_while_v1_is_off() {
    let before = TestServer::start(|_| {});
    let (sid, mail) = before.request_mail(&fresh_address("off"), "secret").await;
    let after = TestServer::start(|settings| {
        settings.database.url = Some(before.database.url.clone().into());
        settings.v1.enabled = false;
    });
    expect_page(&after.api().open_link(&mail.link()).await, 200);
    before.api().get_validated(&sid, "secret").await.ok();
}

/// EML-20
#[actix_web::test]
async fn failed_validation_is_an_error_page() {
    let server = TestServer::start_with_clock(|_| {});
    let api = server.api();
    let (sid, mail) = server.request_mail(&fresh_address("bad"), "secret").await;
    let (sid, token, long) = (sid.as_str(), &*mail.token(), &*"x".repeat(300));
    for query in [
        vec![("sid", sid), ("client_secret", "secret"), ("token", "no")],
        vec![("sid", sid), ("client_secret", "other"), ("token", token)],
        vec![("sid", "no"), ("client_secret", "secret"), ("token", "no")],
        vec![("sid", sid), ("client_secret", ""), ("token", token)],
        vec![("sid", sid), ("client_secret", "secret"), ("token", long)],
        vec![("sid", sid), ("client_secret", "secret")],
        vec![("sid", sid), ("token", token)],
        vec![("client_secret", "secret"), ("token", token)],
        vec![
            ("sid", sid),
            ("sid", sid),
            ("client_secret", "secret"),
            ("token", token),
        ],
        vec![],
    ] {
        for version in [V1, V2] {
            let page = open(&api, version, &query).await;
            expect_page(&page, 400);
            assert!(page.text().contains("<h1>Address not confirmed</h1>"));
            assert!(
                page.text()
                    .contains("This link has expired or is incomplete")
            );
            assert!(!page.text().contains(token) && !page.text().contains("client_secret"));
        }
    }
    let damaged = mail.link().replace(token, "%ff%fe");
    let page = api.open_link(&damaged).await;
    expect_page(&page, 400);
    assert!(
        page.text()
            .contains("This link has expired or is incomplete")
    );
    api.get_validated(sid, "secret")
        .await
        .refused(400, "M_SESSION_NOT_VALIDATED");

    server.advance(24 * 60 * 60 * 1000 + 1);
    let page = api.open_link(&mail.link()).await;
    expect_page(&page, 400);
    assert!(page.text().contains("This link has expired. "));
}

/// EML-20
#[actix_web::test]
async fn overloaded_server_shows_an_error_page() {
    let server = TestServer::start(|settings| settings.database.queue = 3);
    let (_, mail) = server.request_mail(&fresh_address("busy"), "secret").await;
    let full = BlockedActor::new(&server.app.sessions, 3);
    let page = server.api().open_link(&mail.link()).await;
    expect_page(&page, 503);
    assert_eq!(page.header("retry-after"), Some("1"));
    let expected = "cannot be confirmed at the moment. Open the link again in a few";
    assert!(page.text().contains(expected), "{}", page.text());
    drop(full);
}

/// EML-20
#[actix_web::test]
async fn page_does_not_echo_input() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    let (sid, mail) = server.request_mail(&fresh_address("echo"), "secret").await;
    let token = mail.token();
    let right = [
        ("sid", sid.as_str()),
        ("client_secret", "secret"),
        ("token", token.as_str()),
        ("brand", "default"),
        ("message", "x"),
    ];
    for hostile in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "{{ 7 * 191 }}",
        "&#60;script&#62;alert(1)",
    ] {
        for (at, (name, _)) in right.iter().enumerate() {
            let mut query = right;
            query[at] = (name, hostile);
            let page = open(&api, V2, &query).await;
            assert!(matches!(page.status, 200 | 400));
            let text = page.text();
            assert!(!text.contains("alert(1)"), "{name}: {text}");
            assert!(!text.contains("1337"), "{name}: {text}");
        }
        // Not even a parameter name.
        let page = open(&api, V2, &[(hostile, hostile)]).await;
        assert!(!page.text().contains("alert(1)"));
    }
}

/// EML-21, SES-23, SES-26
#[actix_web::test]
async fn success_redirects_to_the_stored_link() {
    let server = TestServer::start(|settings| list(settings, &["app.example", "127.0.0.1"]));
    let api = server.api();
    for (next_link, joint) in [
        ("https://app.example/done", '?'),
        ("http://127.0.0.1:8080/", '?'),
        ("https://app.example/?hs=https%3A%2F%2Fhs.example", '&'),
        ("https://app.example/?", '&'),
        ("https://app.example/#/home", '?'),
        ("https://app.example/#/register?hs_url=x&is_url=y", '&'),
        ("https://app.example/a?b=c#d", '&'),
        ("HTTPS://App.Example/%7Eme/../x", '?'),
    ] {
        let (sid, mail) = requested_with(&server, next_link).await;
        // A client that submits the code is not redirected.
        let posted = api.submit_token(&sid, "secret", &mail.token()).await;
        assert_eq!(posted.ok(), json!({"success": true}));
        assert_eq!(posted.header("location"), None);

        let answer = api.open_link(&mail.link()).await;
        assert!(matches!(answer.status, 302 | 303), "{}", answer.status);
        let expected = format!("{next_link}{joint}sid={sid}");
        assert_eq!(answer.header("location"), Some(expected.as_str()));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    }
}

/// SES-26
#[actix_web::test]
async fn non_ascii_link_is_escaped_in_the_header() {
    let server = TestServer::start(|settings| list(settings, &["app.example"]));
    let (sid, mail) = requested_with(&server, "https://app.example/grüße?€").await;
    let answer = server.api().open_link(&mail.link()).await;
    assert_eq!(answer.status, 302);
    let expected = format!("https://app.example/gr%C3%BC%C3%9Fe?%E2%82%AC&sid={sid}");
    assert_eq!(answer.header("location"), Some(expected.as_str()));
}

/// EML-21
#[actix_web::test]
async fn failure_does_not_redirect() {
    let server = TestServer::start(|_| {});
    let (_, mail) = requested_with(&server, "https://app.example/").await;
    let link = mail.link().replace(&mail.token(), "wrong");
    expect_page(&server.api().open_link(&link).await, 400);
}

/// SES-24, SEC-15, SEC-20
#[actix_web::test]
async fn unsafe_next_links_are_rejected() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    let address = fresh_address("nowhere");
    for next_link in [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java\nscript:alert(1)",
        " javascript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "file:///etc/passwd",
        "ftp://example.com/",
        "org.example.app://done",
        "//evil.example/",
        "/path",
        "evil.example",
        "https://",
        "https://a b/",
        "https://app.example/\r\nSet-Cookie: a=b",
        "https://app.example/\r\n\r\n<script>",
        "https://app.example/\0",
        "https://app.example/\u{85}",
        &format!("https://app.example/{}", "x".repeat(5000)),
    ] {
        let fields = json!({
            "client_secret": "secret", "email": address, "send_attempt": 1,
            "next_link": next_link,
        });
        let answer = api.request_token_with(fields).await;
        answer.refused(400, "M_INVALID_PARAM");
    }
    assert!(server.mails_sent(&address).await.is_empty());
}

/// SES-24
#[actix_web::test]
async fn allowed_schemes_and_hosts_are_configurable() {
    let server = TestServer::start(|settings| {
        settings.validation.next_link_schemes = vec!["https".into(), "org.example.app".into()];
    });
    for (next_link, status) in [
        ("org.example.app://done", 200),
        ("https://any.example/", 200),
        ("http://any.example/", 400),
    ] {
        expect_status(&server, next_link, status).await;
    }
    let server = TestServer::start(|settings| {
        settings.validation.next_link_hosts = vec!["app.example".into()];
    });
    for (next_link, status) in [
        ("https://app.example/x", 200),
        ("https://APP.example:8443/x", 200),
        ("https://evil.example/", 400),
        ("https://app.example.evil.example/", 400),
        ("https://sub.app.example/", 400),
        ("https://app.example@evil.example/", 400),
        ("https://evil.example#app.example", 400),
        ("https://evil.example\\@app.example/", 400),
    ] {
        expect_status(&server, next_link, status).await;
    }
}

async fn expect_status(server: &TestServer, next_link: &str, status: u16) {
    let fields = json!({
        "client_secret": "secret", "email": fresh_address("rule"), "send_attempt": 1,
        "next_link": next_link,
    });
    let answer = server.api().request_token_with(fields).await;
    assert_eq!(answer.status, status, "{next_link}");
}

/// SES-25, SEC-15
#[actix_web::test]
async fn submit_url_cannot_set_the_redirect() {
    let server = TestServer::start(|settings| list(settings, &["app.example"]));
    let api = server.api();
    let (_, plain) = server.request_mail(&fresh_address("open"), "secret").await;
    let (sid, linked) = requested_with(&server, "https://app.example/").await;
    for name in ["nextLink", "next_link", "redirect", "url"] {
        let more = encode(&[(name, "https://evil.example/")]);
        let page = api.open_link(&format!("{}&{more}", plain.link())).await;
        expect_page(&page, 200);
        let answer = api.open_link(&format!("{}&{more}", linked.link())).await;
        let expected = format!("https://app.example/?sid={sid}");
        assert_eq!(answer.header("location"), Some(expected.as_str()));
    }
}
