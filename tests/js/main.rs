//! The real matrix-js-sdk against the real binary: `tests/run js`.
//!
//! The steps are in `walk.mjs`. `tests/run js` installs the SDK and a Node.js to run
//! it, and sets `TEST_JS`, the folder that has both.

#[cfg(test)]
#[path = "../it/harness/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "the harness serves the other tests as well"
)]
mod harness;
#[cfg(test)]
mod pages;

use std::process::Command;

use serde_json::{Value, json};
use sydent::config::{ProviderKind, ProviderSettings, TransportKind};

use harness::{
    BASE_URL, Homeserver, SERVER_NAME, TermsFile, TestDatabase, TestProcess, repository, wait_until,
};

/// The room of the invitation.
const ROOM: &str = "!room:example.org";

#[actix_web::test]
async fn matrix_js_sdk_works_with_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let messages = folder.path().join("messages");
    let (terms, homeserver) = (TermsFile::two(), Homeserver::start());
    let database = TestDatabase::fresh();
    let process = TestProcess::start(&database, |settings| {
        terms.configure(settings);
        homeserver.configure(settings);
        settings.validation.next_link_hosts = vec!["app.example".to_owned()];
        settings.email.transport = TransportKind::File;
        settings.email.file.dir.clone_from(&messages);
        let texts = ProviderSettings {
            kind: Some(ProviderKind::File),
            dir: Some(messages.clone()),
            ..ProviderSettings::default()
        };
        settings.sms.providers.insert("folder".to_owned(), texts);
    });
    let modules = modules();
    let walk = json!({
        "modules": modules,
        "server": format!("http://{}", process.client),
        "base": BASE_URL,
        "name": SERVER_NAME,
        "alice": {"user": homeserver.user("alice"), "openId": homeserver.open_id("alice")},
        "bob": {"user": homeserver.user("bob"), "openId": homeserver.open_id("bob")},
        "messages": messages,
        "room": ROOM,
        "email": "alice@example.com",
        "invited": "bob@example.com",
        "country": "GB",
        "phone": "07700 900001",
        "msisdn": "447700900001",
    });
    let output = Command::new(format!("{modules}/node"))
        .arg(repository("tests/js/walk.mjs"))
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
    let bob = homeserver.user("bob");
    let for_bob =
        |onbind: &Value| onbind["mxid"] == *bob && onbind["invites"][0]["room_id"] == ROOM;
    wait_until("the onbind notification with the invitation", || {
        homeserver.onbinds().iter().any(for_bob)
    })
    .await;
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the environment names the folder of the SDK"
)]
fn modules() -> String {
    std::env::var("TEST_JS")
        .expect("TEST_JS must name a folder with matrix-js-sdk and Node; `tests/run js` sets it")
}
