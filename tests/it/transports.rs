//! The mail transports other than a relay.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sydent::config::{Settings, TransportKind};

use crate::harness::{TestServer, fresh_address, wait_until};

const FROM: &str = "noreply@id.example.test";

fn transport(settings: &mut Settings, kind: TransportKind) {
    settings.email.transport = kind;
    settings.email.from = Some(FROM.to_owned());
}

/// A server whose mail goes through a program that runs `script`.
fn with_program(folder: &Path, script: &str) -> TestServer {
    let command = folder.join("sendmail");
    std::fs::write(&command, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&command, Permissions::from_mode(0o700)).unwrap();
    TestServer::start(|settings| {
        transport(settings, TransportKind::Sendmail);
        settings.email.sendmail.command = command;
    })
}

#[actix_web::test]
async fn program_receives_envelope_and_message() {
    let (folder, address) = (tempfile::tempdir().unwrap(), fresh_address("program"));
    let at = folder.path().display();
    let server = with_program(
        folder.path(),
        &format!("echo \"$@\" >{at}/arguments; cat >{at}/message"),
    );
    server.api().request_token(&address, "secret", 1).await.ok();

    let read = |name| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(
        read("arguments").trim(),
        format!("-i -f {FROM} -- {address}")
    );
    assert!(read("message").contains(&format!("\nTo: {address}\n")));
    assert_eq!(server.database.count("outbox"), 0);
}

/// EML-08
#[actix_web::test]
async fn program_exit_code_67_refuses_the_mail() {
    let (folder, address) = (tempfile::tempdir().unwrap(), fresh_address("nouser"));
    let server = with_program(folder.path(), "cat >/dev/null; exit 67");
    let answer = server.api().request_token(&address, "secret", 1).await;
    answer.refused(400, "M_EMAIL_SEND_ERROR");
    assert_eq!(server.database.count("outbox"), 0);
}

/// MSG-09
#[actix_web::test]
async fn words_of_the_program_are_kept_masked() {
    let (folder, address) = (tempfile::tempdir().unwrap(), fresh_address("words"));
    let line = format!("sendmail: {address}: the queue is full");
    let script = format!("cat >/dev/null; echo '{line}' >&2; exit 75");
    let server = with_program(folder.path(), &script);
    server.database.queue_mails(std::slice::from_ref(&address));
    server.app.mail_worker.as_ref().unwrap().wake();
    let kept = "last_failure = 'the sendmail command failed with exit code 75: \
                \"sendmail: [address] the queue is full\"'";
    wait_until("a failed delivery", || server.database.queued(kept) == 1).await;
}

#[actix_web::test]
async fn file_transport_writes_private_files() {
    let (folder, address) = (tempfile::tempdir().unwrap(), fresh_address("folder"));
    let dir = folder.path().join("mail");
    let server = TestServer::start(|settings| {
        transport(settings, TransportKind::File);
        settings.email.file.dir = dir.clone();
    });
    server.api().request_token(&address, "secret", 1).await.ok();

    let files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(files.len(), 1);
    let mode = files[0].metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mail = std::fs::read_to_string(files[0].path()).unwrap();
    assert!(mail.contains(&format!("\r\nTo: {address}\r\n")));
}

/// EML-08
#[actix_web::test]
async fn missing_transport_is_a_send_error() {
    let server = TestServer::start(|settings| settings.email.transport = TransportKind::None);
    let answer = server
        .api()
        .request_token(&fresh_address("none"), "secret", 1)
        .await;
    answer.refused(400, "M_EMAIL_SEND_ERROR");
    assert_eq!(server.database.count("outbox"), 0);
}
