//! A real browser on the pages and the mails of the real binary: `tests/run pages`.
//!
//! The steps are in `pages.mjs`, and the checks of every page in `sight.mjs`.

use std::fs;
use std::process::Command;

use serde_json::json;
use sydent::config::{ProviderKind, ProviderSettings, TransportKind};

use crate::harness::{ClosedPort, TestDatabase, TestProcess, TestServer, V1, repository};

#[actix_web::test]
async fn mail_and_pages_work_in_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    let (messages, brands) = (folder.path().join("messages"), folder.path().join("brands"));
    fs::create_dir_all(brands.join("acme")).unwrap();
    let page =
        "<!DOCTYPE html><html lang=\"fr\"><title>Acme</title><main><h1>Acme</h1><p>{{ message }}";
    fs::write(brands.join("acme/verify_response_template.html"), page).unwrap();
    let (database, port) = (TestDatabase::fresh(), ClosedPort::new());
    // The links contain the server's real address, so that a browser can
    // follow them.
    let server = format!("http://127.0.0.1:{}", port.number);
    let process = TestProcess::start(&database, |settings| {
        settings.http.listen = vec![([127, 0, 0, 1], port.number).into()];
        settings.server.public_base_url = Some(server.clone());
        settings.server.allow_plain_http = true;
        settings.templates.brands_dir = Some(brands);
        settings.email.transport = TransportKind::File;
        settings.email.file.dir.clone_from(&messages);
        let texts = ProviderSettings {
            kind: Some(ProviderKind::File),
            dir: Some(messages),
            ..ProviderSettings::default()
        };
        settings.sms.providers.insert("folder".to_owned(), texts);
    });
    let expired = TestServer::start_with_clock(|_| {});
    let (_, mail) = expired.request_mail("late@example.org", "secret").await;
    expired.advance(24 * 60 * 60 * 1000 + 1);
    let query = mail.link();
    let (_, query) = query.split_once('?').unwrap();
    let client = expired.addresses.client[0];
    let modules = super::modules();
    let walk = json!({
        "modules": modules,
        "server": server,
        "captured": format!("http://{}/mail", process.internal),
        "expired": format!("http://{client}{V1}/validate/email/submitToken?{query}"),
        "brand": {"name": "acme", "heading": "Acme", "lang": "fr"},
    });
    let output = Command::new(format!("{modules}/node"))
        .arg(repository("tests/js/pages.mjs"))
        .env("WALK", walk.to_string())
        .output()
        .unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stderr),
        process.log()
    );
}
