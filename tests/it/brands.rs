//! Custom templates of the operator (EML-10, EML-12).

use std::path::Path;

use actix_web::http::Method;
use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Mail, TestServer, V1, encode, fresh_address};

const MAIL: &str = "verification_template.eml.j2";
const PAGE: &str = "verify_response_template.html";

/// A folder with brands: `house` has both templates, `acme` only a mail,
/// `pages` only a page, `bare` a mail without headers. `outside` lies beside the
/// folder of brands.
fn brands() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |brand: &str, file: &str, text: &str| {
        let brand = folder.path().join(brand);
        std::fs::create_dir_all(&brand).unwrap();
        std::fs::write(brand.join(file), text).unwrap();
    };
    write("brands/house", MAIL, "Subject: house\n\n{{ link|safe }}\n");
    write("brands/house", PAGE, "house: {{ message }}");
    write("brands/acme", MAIL, "Subject: acme\n\n{{ link|safe }}\n");
    write("brands/pages", PAGE, "pages: {{ message }} {{ success }}");
    write(
        "brands/bare",
        MAIL,
        "<<<{{ token }}>>>\n.\n..dots\r\n{{ link|safe }}",
    );
    write("outside", MAIL, "Subject: outside\n\n{{ link|safe }}\n");
    write("outside", PAGE, "outside");
    folder
}

fn start(folder: &Path, default_brand: Option<&str>) -> TestServer {
    TestServer::start(|settings| {
        settings.templates.brands_dir = Some(folder.join("brands"));
        settings.templates.default_brand = default_brand.map(str::to_owned);
    })
}

/// Requests a mail of a brand, named in the query string as homeservers and clients
/// do.
async fn mail_of(server: &TestServer, brand: Option<&str>) -> Mail {
    let address = fresh_address("brand");
    let query = brand.map_or_else(String::new, |brand| encode(&[("brand", brand)]));
    let fields = json!({"client_secret": "secret", "email": address, "send_attempt": 1});
    let answer = server
        .api()
        .send(
            Method::POST,
            &format!("{V1}/validate/email/requestToken?{query}"),
            &[("content-type", "application/json")],
            fields.to_string().into_bytes(),
        )
        .await;
    answer.ok();
    server.mails_sent(&address).await.pop().unwrap()
}

/// EML-10, MSG-04
#[actix_web::test]
async fn template_writes_the_whole_message() {
    let folder = brands();
    let server = start(folder.path(), Some("bare"));
    let mail = mail_of(&server, None).await;
    let text = String::from_utf8(mail.raw.clone()).unwrap();
    let lines: Vec<_> = text.split("\r\n").collect();
    let [first, ".", "..dots", link, ""] = lines.as_slice() else {
        panic!("{text}");
    };
    let token = first.strip_prefix("<<<").unwrap();
    let token = token.strip_suffix(">>>").unwrap();
    assert!(link.contains(&format!("token={token}")));
    assert_eq!(mail.received["bare_lf"], false);
    assert_eq!(server.api().open_link(link).await.status, 200);
}

/// EML-12, SEC-20
#[actix_web::test]
async fn brand_is_a_name_and_never_a_path() {
    let folder = brands();
    let server = start(folder.path(), Some("house"));
    let absolute = folder.path().join("outside");
    for (brand, expected) in [
        (None, "Subject: house"),
        (Some("house"), "Subject: house"),
        (Some("acme"), "Subject: acme"),
        // The brand has no mail, so the default brand's is used.
        (Some("pages"), "Subject: house"),
        (Some(""), "Subject: house"),
        (Some("unknown"), "Subject: house"),
        (Some("ACME"), "Subject: house"),
        (Some("../outside"), "Subject: house"),
        (Some("..%2Foutside"), "Subject: house"),
        (Some("acme/../../outside"), "Subject: house"),
        (Some("./acme"), "Subject: house"),
        (Some("acme/"), "Subject: house"),
        (Some("acme\0"), "Subject: house"),
        (Some("acme\r\nBcc: eve@example.com"), "Subject: house"),
        (absolute.to_str(), "Subject: house"),
    ] {
        let mail = mail_of(&server, brand).await;
        let text = String::from_utf8(mail.raw).unwrap();
        assert!(text.starts_with(expected), "{brand:?}: {text}");
        assert!(!text.contains("outside") && !text.contains("eve@"));
    }
}

/// EML-12
#[actix_web::test]
async fn brands_fall_back_file_by_file() {
    let folder = brands();
    for (default_brand, brand, mail, page) in [
        (Some("house"), "pages", "Subject: house", "pages: Your"),
        (Some("house"), "acme", "Subject: acme", "house: Your"),
        (Some("acme"), "house", "Subject: house", "house: Your"),
        // The binary contains what the default brand lacks too.
        (Some("acme"), "acme", "Subject: acme", "<!DOCTYPE html>"),
        (Some("pages"), "unknown", "Date: ", "pages: Your"),
        (None, "pages", "Date: ", "pages: Your"),
        (None, "acme", "Subject: acme", "<!DOCTYPE html>"),
    ] {
        let server = start(folder.path(), default_brand);
        let sent = mail_of(&server, Some(brand)).await;
        let text = String::from_utf8(sent.raw.clone()).unwrap();
        assert!(text.starts_with(mail), "{brand}: {text}");
        // The link opens the page of the mail's brand.
        let opened = server.api().open_link(&sent.link()).await;
        assert!(
            opened.text().starts_with(page),
            "{brand}: {}",
            opened.text()
        );
        assert_eq!(
            opened.header("content-type"),
            Some("text/html; charset=utf-8")
        );
    }
}

/// EML-12
#[actix_web::test]
async fn unknown_brand_shows_the_default_page() {
    let folder = brands();
    let server = start(folder.path(), Some("house"));
    for brand in ["unknown", "../outside", "house/../../outside", "<script>"] {
        let query = encode(&[("sid", "s"), ("client_secret", "c"), ("brand", brand)]);
        let path = format!("{V1}/validate/email/submitToken?{query}");
        let page = server.api().get(&path).await;
        assert_eq!(page.status, 400);
        let beginning = "house: This link has expired or is incomplete. ";
        assert!(page.text().starts_with(beginning), "{}", page.text());
    }
}

/// EML-10, MSG-04
#[actix_web::test]
async fn folder_of_an_old_sydent_works_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let brand = folder.path().join("brands/example.org");
    std::fs::create_dir_all(&brand).unwrap();
    let mail = "From: %(from)s\nTo: %(to)s\nSubject: 100%%\n\nGrüezi %(to)s\n%(link)s\n";
    std::fs::write(brand.join("verification_template.eml"), mail).unwrap();
    std::fs::write(brand.join(PAGE), "<p>old: %(message)s</p>").unwrap();
    let server = start(folder.path(), Some("example.org"));
    let mail = mail_of(&server, Some("nobody")).await;
    let message = mail_parser::MessageParser::default()
        .parse(&mail.raw)
        .unwrap();
    assert_eq!(message.subject(), Some("100%"));
    let text = message.body_text(0).unwrap();
    assert!(text.starts_with("Grüezi brand"), "{text}");
    assert!(mail.raw.is_ascii());
    let link = text.lines().nth(1).unwrap();
    let page = server.api().open_link(link).await;
    assert_eq!(page.status, 200);
    assert!(page.text().starts_with("<p>old: Your"), "{}", page.text());
}

/// EML-10
#[actix_web::test]
async fn single_files_are_used_for_all_brands() {
    let folder = brands();
    let single = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        Some(file)
    };
    let server = TestServer::start(|settings| {
        let templates = &mut settings.templates;
        templates.brands_dir = Some(folder.path().join("brands"));
        templates.verification_mail = single("check.eml", "Subject: single\n\n%(link)s\n");
        templates.invitation_mail = single("invite.j2", "Subject: one\n\n{{ join_link }}\n");
        templates.verify_response = single("page", "single: %(message)s");
    });
    for brand in [None, Some("house"), Some("nobody")] {
        let mail = mail_of(&server, brand).await;
        assert!(mail.raw.starts_with(b"Subject: single\r\n"), "{brand:?}");
        let page = server.api().open_link(&mail.link()).await;
        assert!(page.text().starts_with("single: "), "{}", page.text());
    }
    let address = fresh_address("brand");
    let fields = json!({
        "medium": "email", "address": address, "room_id": "!r:example.org",
        "sender": "@a:example.org", "brand": "house",
    });
    let api = server.account("@a:example.org").await;
    api.store_invite(fields).await.ok();
    let mail = server.mails_sent(&address).await.pop().unwrap();
    assert!(mail.raw.starts_with(b"Subject: one\r\n"));
}
