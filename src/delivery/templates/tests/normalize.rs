//! Mails that SMTP cannot transport unchanged, and mails that need no change.

use mail_parser::MessageParser;

use super::*;

fn crlf(text: &str) -> String {
    text.replace('\n', "\r\n")
}

/// MSG-04
#[test]
fn plain_and_unstructured_mail_is_unchanged() {
    let long = "x".repeat(999);
    for mail in [
        "Subject: x\nTo: a\n\nplain\n".to_owned(),
        format!("<<<ü{long}>>>\n"),
        format!("no header\n\n{long}ü\n"),
        format!("X: y\nContent-Transfer-Encoding: base64\n\n{long}\n"),
        format!("X: y\nContent-Type: application/json\n\n{long}\n"),
        format!("X: y\nContent-Type: multipart/mixed\n\n{long}\n"),
    ] {
        assert_eq!(normalize(crlf(&mail)), crlf(&mail));
    }
}

/// MSG-04
#[test]
fn missing_charset_and_encoding_are_added() {
    let mail = normalize(crlf("From: Ä <a@b.example>\nSubject: Grüße\n\nfür dich\n"));
    assert!(mail.is_ascii(), "{mail}");
    let read = MessageParser::default().parse(&mail).unwrap();
    assert_eq!(read.subject(), Some("Grüße"));
    let from = read.from().unwrap().first().unwrap();
    assert_eq!(
        (from.name(), from.address()),
        (Some("Ä"), Some("a@b.example"))
    );
    assert_eq!(read.body_text(0).unwrap(), "für dich\r\n");
    assert_eq!(mail.matches("MIME-Version: 1.0\r\n").count(), 1);
}

/// MSG-04
#[test]
fn parts_are_encoded_one_by_one() {
    let long = format!("https://example.org/{}", "é=".repeat(600));
    let mail = normalize(crlf(&format!(
        "Subject: x\nMIME-Version: 1.0\nContent-Type: multipart/alternative;\n    boundary=\"b\"\n\n\
         preamble\n--b\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n\n\
         {long}\n\n--b\nContent-Type: text/html\n\n<p>{long}</p>\n--b\n\nplain\n--b--\nepilogue\n"
    )));
    assert!(mail.is_ascii(), "{mail}");
    assert!(mail.split("\r\n").all(|line| line.len() <= LONGEST_LINE));
    let read = MessageParser::default().parse(&mail).unwrap();
    assert_eq!(read.parts.len(), 4);
    assert_eq!(read.body_text(0).unwrap(), format!("{long}\r\n"));
    assert_eq!(read.body_html(0).unwrap(), format!("<p>{long}</p>"));
    assert!(mail.contains("\r\npreamble\r\n--b\r\n"));
    assert!(mail.contains("\r\n--b\r\n\r\nplain\r\n--b--\r\nepilogue\r\n"));
    assert_eq!(mail.matches("Content-Transfer-Encoding").count(), 2);
    assert_eq!(mail.matches("MIME-Version").count(), 1);
    assert_eq!(normalize(mail.clone()), mail, "nothing is encoded twice");
}
