//! Mail that is written into a folder, and the internal listener's pages that
//! show it. (`internal` tests that the other listeners do not serve them.)

mod hostile;

use std::path::PathBuf;

use serde_json::Value;
use sydent::config::TransportKind;
use tempfile::TempDir;

use crate::harness::{Api, Mail, TestServer, fresh_address, wait_for};

/// The page of the newest message, its parts and its file.
const NEWEST: [&str; 4] = [
    "/mail/newest",
    "/mail/newest/html",
    "/mail/newest/text",
    "/mail/newest.eml",
];

/// A server that writes its mail into a folder.
struct Captured {
    server: TestServer,
    folder: TempDir,
}

impl Captured {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("mail")).unwrap();
        let server = TestServer::start(|settings| {
            settings.email.transport = TransportKind::File;
            settings.email.file.dir = folder.path().join("mail");
        });
        Self { server, folder }
    }

    fn pages(&self) -> Api {
        self.server.internal()
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("mail")
    }

    /// Adds a message that the server did not write.
    fn put(&self, name: &str, message: &str) {
        std::fs::write(self.dir().join(name), message).unwrap();
    }

    /// Requests a token; returns the sid once the mail has been captured.
    async fn request_mail(&self, address: &str) -> String {
        let answer = self.server.api().request_token(address, "secret", 1).await;
        let to = format!("<span class=\"to\">{address}</span>");
        wait_for("a captured mail", async || {
            page(&self.pages(), "/mail")
                .await
                .contains(&to)
                .then_some(())
        })
        .await;
        answer.ok()["sid"].as_str().unwrap().to_owned()
    }
}

async fn page(api: &Api, path: &str) -> String {
    let answer = api.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.text()
}

/// The paths of the messages on a list page.
fn listed(list: &str) -> Vec<&str> {
    list.split("<li><a href=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect()
}

#[actix_web::test]
async fn captured_mail_is_listed_and_link_validates() {
    let captured = Captured::start();
    let (pages, api) = (captured.pages(), captured.server.api());
    let address = fresh_address("alice");
    assert!(page(&pages, "/mail").await.contains("No mail has been"));
    let sid = captured.request_mail(&address).await;

    let start = pages.get("/").await;
    assert_eq!(
        (start.status, start.header("location")),
        (302, Some("/mail"))
    );
    let list = page(&pages, "/mail").await;
    let paths = listed(&list);
    assert_eq!(paths.len(), 1, "{list}");
    assert!(list.contains("Confirm your email address"), "{list}");

    let message = page(&pages, paths[0]).await;
    assert!(message.contains(&address), "{message}");
    let link = message
        .split("<a href=\"")
        .map(|rest| rest.split('"').next().unwrap())
        .find(|link| link.contains("/submitToken?"))
        .expect("a link that can be clicked");
    api.get_validated(&sid, "secret")
        .await
        .refused(400, "M_SESSION_NOT_VALIDATED");
    let opened = api.open_link(&link.replace("&amp;", "&")).await;
    assert_eq!(opened.status, 200, "{}", opened.text());
    assert_eq!(
        api.get_validated(&sid, "secret").await.ok()["address"],
        address.as_str()
    );
}

#[actix_web::test]
async fn parts_are_served_by_name_and_as_newest() {
    let captured = Captured::start();
    let pages = captured.pages();
    let address = fresh_address("parts");
    captured.request_mail(&address).await;
    let list = page(&pages, "/mail").await;
    let name = listed(&list)[0].strip_prefix("/mail/").unwrap();
    let file = std::fs::read(captured.dir().join(format!("{name}.eml"))).unwrap();
    let mail = Mail {
        received: Value::Null,
        raw: file,
    };

    for path in NEWEST {
        let by_name = path.replace("newest", name);
        let (named, newest) = (pages.get(&by_name).await, pages.get(path).await);
        assert_eq!(named.body, newest.body, "{path}");
    }
    assert_eq!(pages.get("/mail/newest.eml").await.body, mail.raw);
    assert_eq!(mail.header("To"), address);
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let text = page(&pages, "/mail/newest/text").await;
    assert_eq!(lines(&text), lines(&mail.text()));
    let html = page(&pages, "/mail/newest/html").await;
    assert!(html.starts_with(&mail.html()), "{html}");

    let frame = format!("<iframe src=\"/mail/{name}/html\"");
    let message = page(&pages, "/mail/newest").await;
    let frame = message.split(&frame).nth(1).unwrap().split('>').next();
    let sandbox = frame.unwrap().split("sandbox=\"").nth(1).unwrap();
    assert_eq!(
        sandbox.trim_end_matches('"'),
        "allow-popups allow-popups-to-escape-sandbox"
    );
}

#[actix_web::test]
async fn every_page_has_security_headers() {
    let captured = Captured::start();
    captured.request_mail(&fresh_address("headers")).await;
    let html = "text/html; charset=utf-8";
    for (path, kind, frames, policy) in [
        ("/mail", html, "DENY", "frame-ancestors 'none'"),
        ("/mail/newest", html, "DENY", "frame-src 'self'"),
        (
            "/mail/newest/html",
            html,
            "SAMEORIGIN",
            "sandbox allow-popups",
        ),
        (
            "/mail/newest/text",
            "text/plain; charset=utf-8",
            "DENY",
            "frame-ancestors 'none'",
        ),
        (
            "/mail/newest.eml",
            "message/rfc822",
            "DENY",
            "frame-ancestors 'none'",
        ),
    ] {
        let answer = captured.pages().get(path).await;
        for (name, value) in [
            ("content-type", kind),
            ("x-frame-options", frames),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        let all = answer.header("content-security-policy").unwrap();
        assert!(all.starts_with("default-src 'none'; "), "{path}: {all}");
        assert!(all.contains(policy), "{path}: {all}");
        for dangerous in ["script", "same-origin", "connect-src", "*"] {
            assert!(!all.contains(dangerous), "{path}: {all}");
        }
    }
    let file = captured.pages().get("/mail/newest.eml").await;
    let disposition = file.header("content-disposition").unwrap();
    assert!(
        disposition.starts_with("attachment; filename=\"") && disposition.ends_with(".eml\""),
        "{disposition}"
    );
}

#[actix_web::test]
async fn list_shows_the_newest_200() {
    let captured = Captured::start();
    let name = |number: usize| format!("{number:013}-mail");
    for number in 1..=201 {
        captured.put(
            &format!("{}.eml", name(number)),
            &format!("Subject: Number {number}\r\n\r\n{number}\r\n"),
        );
    }
    let list = page(&captured.pages(), "/mail").await;
    assert!(list.contains("the newest 200 of 201 messages"), "{list}");
    let expected: Vec<_> = (2..=201)
        .rev()
        .map(|n| format!("/mail/{}", name(n)))
        .collect();
    assert_eq!(listed(&list), expected);
    // A message that is not listed can still be opened.
    for (path, text) in [(name(1), "1"), ("newest".to_owned(), "201")] {
        let shown = page(&captured.pages(), &format!("/mail/{path}/text")).await;
        assert_eq!(shown.trim_end(), text);
    }
}
