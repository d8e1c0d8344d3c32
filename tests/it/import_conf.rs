//! The import of the configuration of a Python Sydent. The target `sydent`
//! compares the result with what Sydent reads in the same file.

mod files;
mod peers;

use std::fs;

use sydent::domain::base64;

use crate::harness::sydent_conf::{METRICS, PORTS, import};
use crate::harness::{
    CommandOutput, KEY_FILE, SERVER_NAME, SmtpServer, TestProcess, Tls, V1, V2, fresh_address,
};
use crate::import_sydent::source::{Source, key, now};

/// OPS-07
#[actix_web::test]
async fn installation_of_2018_is_imported() {
    let relay = SmtpServer::start(Tls::None, "localhost", &[]);
    let source = Source::of_schema(0);
    source.bind(1, "Alice@example.com", "@alice:example.org", now());
    let folder = source.folder.path();
    let seed = KEY_FILE.trim().rsplit(' ').next().unwrap();
    let seed: String = base64::decode(seed)
        .unwrap()
        .iter()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let mail = "From: %(from)s\nTo: %(to)s\nDate: %(date)s\nMessage-ID: %(messageid)s\n\
        Subject: From 2018\nContent-Type: text/plain; charset=UTF-8\n\n%(link)s\n%(token)s\n";
    fs::write(folder.join("verify.eml"), mail).unwrap();
    fs::write(
        folder.join("sydent.conf"),
        format!(
            "[DEFAULT]\nserver.name = {SERVER_NAME}\nlog.path =\npidfile.path = sydent.pid\n{METRICS}\
             db.file = old.db\n{PORTS}client_http_base = https://old.example.test\n\
             email.template = verify.eml\nemail.from = Old <noreply@old.example.test>\n\
             email.smtphost = localhost\nemail.smtpport = {port}\nemail.tlsmode =\n\
             ed25519.signingkey = {seed}\n[general]\n[db]\n[http]\n[email]\n[crypto]\n",
            port = relay.port,
        ),
    )
    .unwrap();
    let output = CommandOutput::run(folder, "import sydent --no-default-section");
    assert!(output.err.contains("The database"), "{}", output.err);
    let output = import(folder, "--out sydent.toml", &[]);
    assert!(
        output.out.contains("has schema version 0;"),
        "{}",
        output.out
    );

    let Source { folder } = source;
    let server = TestProcess::start_in(folder);
    let api = server.api();
    let found = api.lookup("email", "alice@example.com").await.ok();
    assert_eq!(found["mxid"], "@alice:example.org");
    let published = api.get(&format!("{V2}/pubkey/ed25519:0")).await.ok();
    let public = key().public().to_base64();
    assert_eq!(published["public_key"], public.as_str());
    let address = fresh_address("zoe");
    api.on(V1).request_token(&address, "secret", 1).await.ok();
    let mail = relay.mail_to(&address).await;
    assert_eq!(mail.header("Subject"), "From 2018");
    assert!(mail.link().starts_with("https://old.example.test/"));
}
