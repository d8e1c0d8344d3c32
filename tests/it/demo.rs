//! `sydent demo`. The target `commands` runs the commands that it prints.

use std::net::TcpListener;

use serde_json::json;

use crate::harness::{Api, CommandOutput, Demo, three_free_ports};

/// The lines of what `lookup` prints.
const LOOKUP: &str = "lookup email alice@example.org --config demo/sydent.toml";

#[actix_web::test]
async fn a_demo_captures_mail_and_keeps_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(folder.path());
    let api = Api::new(format!("http://127.0.0.1:{}", demo.port));
    let internal = Api::new(format!("http://127.0.0.1:{}", demo.port + 1));
    let asked = api
        .request_token("alice@example.org", "secret", 1)
        .await
        .ok();
    let sid = asked["sid"].as_str().unwrap();
    let mail = internal.get("/mail/newest/text").await.text();
    let is_code = |word: &&str| word.len() == 32 && word.bytes().all(|b| b.is_ascii_alphanumeric());
    let code = mail.split_whitespace().find(is_code).unwrap();
    let submitted = api.submit_token(sid, "secret", code).await.ok();
    assert_eq!(submitted, json!({"success": true}));
    let bound = api.bind(sid, "secret", "@alice:example.org").await.ok();
    let key = bound["signatures"]["localhost"].as_object().unwrap();
    let key = key.keys().next().unwrap().clone();
    assert_eq!(demo.stop(), "", "it reports no problem");

    let again = Demo::start(folder.path());
    let found = CommandOutput::run(folder.path(), LOOKUP);
    assert!(found.out.contains("@alice:example.org"), "{}", found.err);
    assert!(found.out.contains(&key), "{}", found.out);
    assert!(again.text.contains(&key));
}

#[test]
fn demo_leaves_existing_files_and_ports_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("mine")).unwrap();
    let config = folder.path().join("mine/sydent.toml");
    std::fs::write(&config, "[server]\n").unwrap();
    let output = CommandOutput::run(
        folder.path(),
        &format!("demo --dir mine --port {}", three_free_ports()),
    );
    assert_eq!(output.code, 1, "{}", output.err);
    assert_eq!(std::fs::read_to_string(config).unwrap(), "[server]\n");

    let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = occupied.local_addr().unwrap().port().min(65533);
    let output = CommandOutput::run(folder.path(), &format!("demo --port {port}"));
    assert_eq!(output.code, 1);
    assert!(output.err.contains(&port.to_string()), "{}", output.err);
    assert!(!folder.path().join("sydent-demo").exists());
}
