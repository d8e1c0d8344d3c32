//! What a mailed link does: nothing for programs that open it in advance, a
//! button if the configuration wants one, and no way to unknown sites without asking.

use awc::http::Method;
use serde_json::{Value, json};
use sydent::config::Settings;

use crate::harness::{Answer, Mail, TestServer, V1, V2, encode, fresh_address};

async fn requested(server: &TestServer, next_link: Value) -> (String, Mail) {
    let address = fresh_address("next");
    let fields = json!({
        "client_secret": "secret", "email": address, "send_attempt": 1, "next_link": next_link,
    });
    let answer = server.api().request_token_with(fields).await.ok();
    let mail = server.mails_sent(&address).await.pop().unwrap();
    (answer["sid"].as_str().unwrap().to_owned(), mail)
}

async fn opened(server: &TestServer, link: &str, headers: &[(&str, &str)]) -> Answer {
    let (_, path) = link.split_once("/_matrix").unwrap();
    let path = format!("/_matrix{path}");
    server
        .api()
        .send(Method::GET, &path, headers, "".into())
        .await
}

/// The attribute of an HTML element, with its escapes resolved as far as they occur.
fn attribute(html: &str, before: &str) -> String {
    let (_, rest) = html.split_once(before).unwrap_or_else(|| panic!("{html}"));
    let (value, _) = rest.split_once('"').unwrap();
    value
        .replace("&#x2f;", "/")
        .replace("&amp;", "&")
        .replace("&#x27;", "'")
}

/// SES-30
#[actix_web::test]
async fn unknown_sites_are_named_and_asked_for() {
    let server = TestServer::start(|settings| {
        settings.invites.web_client = "https://chat.example/app".to_owned();
        settings.invites.web_clients = vec!["https://beta.example".to_owned()];
    });
    for (host, is_known) in [
        ("chat.example", true),
        ("chat.example:8443", true),
        ("beta.example", true),
        ("id.example.test", true),
        ("evil.example", false),
        ("chat.example.evil.example", false),
        ("chat.example@evil.example", false),
    ] {
        let next_link = format!("https://{host}/#/home?a=<b>&c");
        let (sid, mail) = requested(&server, json!(next_link)).await;
        let answer = opened(&server, &mail.link(), &[]).await;
        server.api().get_validated(&sid, "secret").await.ok();
        let expected = format!("{next_link}&sid={sid}");
        if is_known {
            assert_eq!(answer.status, 302, "{host}");
            assert_eq!(answer.header("location"), Some(expected.as_str()));
            continue;
        }
        assert_eq!((answer.status, answer.header("location")), (200, None));
        let page = answer.text();
        let shown = host.rsplit('@').next().unwrap();
        assert!(
            page.contains(&format!("<p class=\"host\">{shown}</p>")),
            "{page}"
        );
        assert!(!page.contains("<b>"), "{page}");
        let link = attribute(&page, "href=\"");
        let expected = expected.replace('<', "&lt;").replace('>', "&gt;");
        assert_eq!(link, expected);
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    }
}

/// SES-30
#[actix_web::test]
async fn listed_hosts_and_apps_need_no_question() {
    let apps = |settings: &mut Settings| {
        settings.validation.next_link_hosts = vec!["app.example".into()];
        settings.validation.next_link_schemes = vec!["https".into()];
    };
    let server = TestServer::start(apps);
    let (_, mail) = requested(&server, json!("https://app.example/")).await;
    assert_eq!(opened(&server, &mail.link(), &[]).await.status, 302);
    let server = TestServer::start(|settings| {
        settings.validation.next_link_schemes = vec!["org.example.app".into()];
    });
    let (_, mail) = requested(&server, json!("org.example.app://done")).await;
    assert_eq!(opened(&server, &mail.link(), &[]).await.status, 302);
}

/// EML-27
#[actix_web::test]
async fn prefetched_links_validate_nothing() {
    let server = TestServer::start(|_| {});
    let (sid, mail) = requested(&server, Value::Null).await;
    for version in [V2, V1] {
        let link = mail.link().replace(V2, version);
        for header in [
            ("Sec-Purpose", "prefetch"),
            ("Sec-Purpose", "prefetch;prerender"),
            ("Purpose", "prefetch"),
            ("X-Purpose", "preview"),
            ("X-Moz", "prefetch"),
        ] {
            let answer = opened(&server, &link, &[header]).await;
            assert_eq!(answer.status, 403, "{header:?}");
            assert!(answer.text().contains("Open it again"), "{}", answer.text());
            assert_eq!(answer.header("cache-control"), Some("no-store"));
        }
    }
    let api = server.api();
    api.get_validated(&sid, "secret")
        .await
        .refused(400, "M_SESSION_NOT_VALIDATED");
    assert_eq!(opened(&server, &mail.link(), &[]).await.status, 200);
    api.get_validated(&sid, "secret").await.ok();
}

/// EML-23
#[actix_web::test]
async fn button_validates_instead_of_the_link() {
    let server = TestServer::start(|settings| settings.validation.confirm_with_button = true);
    let api = server.api();
    for version in [V2, V1] {
        let (sid, mail) = requested(&server, json!("https://app.element.io/#/done")).await;
        let link = format!("{}&brand=none", mail.link().replace(V2, version));
        for _ in 0..3 {
            let page = opened(&server, &link, &[]).await;
            assert_eq!((page.status, page.header("location")), (200, None));
            let policy = page.header("content-security-policy").unwrap();
            assert!(policy.contains("form-action 'self'"), "{policy}");
            assert!(page.text().contains("Press the button"), "{}", page.text());
        }
        api.get_validated(&sid, "secret")
            .await
            .refused(400, "M_SESSION_NOT_VALIDATED");

        let page = opened(&server, &link, &[]).await.text();
        let action = attribute(&page, "<form method=\"post\" action=\"");
        let field = |name: &str| attribute(&page, &format!("name=\"{name}\" value=\""));
        let fields = ["sid", "client_secret", "token", "brand"].map(|name| (name, field(name)));
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let path = format!("{version}/validate/email/{action}");
        let answer = api.post_form(&path, &fields).await;
        let expected = format!("https://app.element.io/#/done?sid={sid}");
        assert_eq!(answer.header("location"), Some(expected.as_str()));
        api.get_validated(&sid, "secret").await.ok();
    }
    // Clients that submit the code are not concerned, and a bad link gets no button.
    let (sid, mail) = requested(&server, Value::Null).await;
    api.submit_token(&sid, "secret", &mail.token()).await.ok();
    let query = encode(&[("sid", "x"), ("client_secret", "a b"), ("token", "t")]);
    let bad = api
        .get(&format!("{V2}/validate/email/submitToken?{query}"))
        .await;
    assert_eq!(bad.status, 400);
}
