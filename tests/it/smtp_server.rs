//! The SMTP server of the tests is as strict as a real relay, so that the other
//! tests see a client that breaks the protocol.

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::harness::{SmtpServer, Tls, fresh_address};

/// A client that sends whatever a test gives it.
struct Client(BufReader<TcpStream>);

impl Client {
    async fn connect(server: &SmtpServer) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", server.port)).await;
        let mut client = Self(BufReader::new(stream.unwrap()));
        assert!(client.reply().await.starts_with("220 "));
        client
    }

    /// After EHLO.
    async fn greet(server: &SmtpServer) -> Self {
        let mut client = Self::connect(server).await;
        client.expect("EHLO client.test\r\n", "250 HELP").await;
        client
    }

    /// After RCPT, with these parameters of MAIL.
    async fn address(server: &SmtpServer, parameters: &str) -> Self {
        let mut client = Self::greet(server).await;
        let mail = format!("MAIL FROM:<a@b.test>{parameters}\r\n");
        client.expect(&mail, "250 ").await;
        client.expect("RCPT TO:<c@d.test>\r\n", "250 ").await;
        client
    }

    /// The last line of a reply.
    async fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await.unwrap();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }

    async fn send(&mut self, bytes: &str) {
        self.0.get_mut().write_all(bytes.as_bytes()).await.unwrap();
    }

    async fn expect(&mut self, sent: &str, reply: &str) {
        self.send(sent).await;
        let received = self.reply().await;
        assert!(received.starts_with(reply), "{sent}: {received}");
    }

    async fn expect_close(mut self) {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"");
    }
}

fn relay() -> SmtpServer {
    SmtpServer::start(Tls::None, "localhost", &[])
}

#[actix_web::test]
async fn the_test_relay_refuses_bad_sequences() {
    let relay = relay();
    let mut client = Client::connect(&relay).await;
    for (sent, reply) in [
        ("MAIL FROM:<a@b.test>\r\n", "503 "),
        ("HELO client.test\r\n", "250 "),
        ("MAIL FROM:<a@b.test> SIZE=5\r\n", "555 "),
        ("EHLO client.test\r\n", "250 "),
        ("RCPT TO:<c@d.test>\r\n", "503 "),
        ("DATA\r\n", "503 "),
        ("MAIL FROM:<a@b.test>\r\n", "250 "),
        ("MAIL FROM:<a@b.test>\r\n", "503 "),
        ("DATA\r\n", "503 "),
        ("RCPT TO:<c@d.test>\r\n", "250 "),
        ("RSET\r\n", "250 "),
        ("RCPT TO:<c@d.test>\r\n", "503 "),
        ("STARTTLS\r\n", "502 "),
        ("AUTH PLAIN AGEAYg==\r\n", "502 "),
        ("NOOP\r\n", "250 "),
        ("QUIT\r\n", "221 "),
    ] {
        client.expect(sent, reply).await;
    }
    client.expect_close().await;
}

#[actix_web::test]
async fn the_test_relay_refuses_malformed_commands() {
    let relay = relay();
    let mut client = Client::greet(&relay).await;
    let long = format!("NOOP {}\r\n", "x".repeat(506));
    for (sent, reply) in [
        ("HALLO\r\n", "500 "),
        ("\r\n", "500 "),
        (" NOOP\r\n", "500 "),
        ("NOOP\n", "500 "),
        ("NOOP\0\r\n", "500 "),
        (&long, "500 "),
        ("EHLO\r\n", "501 "),
        ("EHLO a b\r\n", "501 "),
        ("DATA now\r\n", "501 "),
        ("MAIL FROM: <a@b.test>\r\n", "501 "),
        ("MAIL FROM:a@b.test\r\n", "501 "),
        ("MAIL FROM:<a@b.test\r\n", "501 "),
        ("MAIL FROM:<a b@b.test>\r\n", "501 "),
        ("MAIL FROM:<a@b.test>SIZE=1\r\n", "501 "),
        ("MAIL FROM:<a@b.test> \r\n", "501 "),
        ("MAIL FROM:<a@b.test> SIZE=many\r\n", "555 "),
        ("MAIL FROM:<a@b.test> NEWS=1\r\n", "555 "),
        ("MAIL FROM:<a@b.test> SIZE=99999999\r\n", "552 "),
        ("MAIL FROM:<ä@b.test>\r\n", "553 "),
        (
            "MAIL FROM:<ä@b.test> BODY=8BITMIME SMTPUTF8 SIZE=9\r\n",
            "250 ",
        ),
        ("RCPT TO:<>\r\n", "501 "),
        ("RCPT TO:<c@d.test> SIZE=1\r\n", "555 "),
        ("RCPT TO:<\"> @\"@d.test>\r\n", "250 "),
    ] {
        client.expect(sent, reply).await;
    }
    client.expect("DATA\r\nSubject: x\r\n", "554 ").await;
    client.expect_close().await;
}

#[actix_web::test]
async fn the_test_relay_refuses_malformed_messages() {
    let relay = relay();
    let long = format!("\r\n{}\r\n", "x".repeat(999));
    for (parameters, message, reply) in [
        ("", "\r\nbare\nfeed\r\n", "550 "),
        ("", "\r\nsmuggled\n.\r\nMAIL FROM:<a@b.test>\r\n", "550 "),
        ("", "\r\nbare\rreturn\r\n", "550 "),
        ("", "\r\nnul \0\r\n", "550 "),
        ("", &long, "550 "),
        ("", "\r\nä\r\n", "554 "),
        (" BODY=8BITMIME", "Subject: ä\r\n\r\nä\r\n", "554 "),
        (" BODY=8BITMIME", "\r\nä\r\n", "250 "),
        (" BODY=8BITMIME SMTPUTF8", "Subject: ä\r\n\r\n", "250 "),
    ] {
        let mut client = Client::address(&relay, parameters).await;
        client.expect("DATA\r\n", "354 ").await;
        client.expect(&format!("{message}.\r\n"), reply).await;
        client.expect("RCPT TO:<c@d.test>\r\n", "503 ").await;
    }
    assert_eq!(relay.recipients().len(), 2);
}

#[actix_web::test]
async fn the_test_relay_stores_what_arrived() {
    let (relay, address) = (relay(), fresh_address("stored"));
    let mut client = Client::greet(&relay).await;
    client.expect("MAIL FROM:<>\r\n", "250 ").await;
    // RCPT and DATA in one packet (RFC 2920).
    let rest = format!("RCPT TO:<c@d.test>\r\nRCPT TO:<{address}>\r\nDATA\r\n");
    client.expect(&rest, "250 ").await;
    assert!(client.reply().await.starts_with("250 "));
    assert!(client.reply().await.starts_with("354 "));
    let message = "Subject: x\r\n\r\n..\r\n..dot\r\nend.\r\n.\r\n";
    client.expect(message, "250 ").await;
    let mail = relay.mails_to(&address).pop().unwrap();
    assert_eq!(mail.raw, b"Subject: x\r\n\r\n.\r\n.dot\r\nend.\r\n");
    let expected = json!({
        "peer": client.0.get_ref().local_addr().unwrap(), "mail_from": "",
        "rcpt_tos": ["c@d.test", address], "tls": false, "auth_user": null,
        "connection": 1, "longest_line": 10, "bare_lf": false,
    });
    assert_eq!(mail.received, expected);
    client.expect("QUIT\r\n", "221 ").await;
    client.expect_close().await;
}

#[actix_web::test]
async fn the_test_relay_fails_as_configured() {
    let relay = relay();
    for (behaviour, stored) in [(json!({"drop": true}), 0), (json!({"lose": true}), 1)] {
        relay.behave(&behaviour);
        let mut client = Client::address(&relay, "").await;
        if stored == 1 {
            client.expect("DATA\r\n", "354 ").await;
        }
        client
            .send(if stored == 1 { "\r\n.\r\n" } else { "DATA\r\n" })
            .await;
        client.expect_close().await;
        assert_eq!(relay.recipients().len(), stored);
    }
    relay.behave(&json!({"rcpt": "421 4.3.2 closing"}));
    let mut client = Client::greet(&relay).await;
    client.expect("MAIL FROM:<a@b.test>\r\n", "250 ").await;
    client.expect("RCPT TO:<c@d.test>\r\n", "421 ").await;
    client.expect_close().await;

    relay.behave(&json!({"delay_ms": 200, "data": "451 later"}));
    let mut client = Client::address(&relay, "").await;
    client.expect("DATA\r\n", "354 ").await;
    client.expect("\r\n.\r\n", "451 later").await;
    // Nothing is stored for a client that hangs up during the delay.
    relay.behave(&json!({"delay_ms": 200}));
    let mut client = Client::address(&relay, "").await;
    client.expect("DATA\r\n", "354 ").await;
    client.send("\r\n.\r\n").await;
    drop(client);
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(relay.recipients().len(), 1);
}

#[actix_web::test]
async fn the_test_relay_requires_tls_and_logins() {
    let login = ["--user", "a", "--password", "b"];
    let relay = SmtpServer::start(Tls::None, "localhost", &login);
    let mut client = Client::greet(&relay).await;
    for (sent, reply) in [
        ("MAIL FROM:<a@b.test>\r\n", "530 "),
        ("AUTH CRAM-MD5\r\n", "504 "),
        ("AUTH PLAIN ?\r\n", "501 "),
        ("AUTH PLAIN AGEAYw==\r\n", "535 "),
        ("AUTH PLAIN\r\n", "334 "),
        ("*\r\n", "501 "),
        ("AUTH LOGIN\r\n", "334 "),
        ("YQ==\r\n", "334 "),
        ("Yg==\r\n", "235 "),
        ("AUTH PLAIN AGEAYg==\r\n", "503 "),
        ("MAIL FROM:<a@b.test>\r\n", "250 "),
    ] {
        client.expect(sent, reply).await;
    }
    let more: Vec<&str> = login.into_iter().chain(["--require-starttls"]).collect();
    let relay = SmtpServer::start(Tls::Upgraded, "localhost", &more);
    let mut client = Client::greet(&relay).await;
    client.expect("MAIL FROM:<a@b.test>\r\n", "530 ").await;
    client.expect("AUTH PLAIN AGEAYg==\r\n", "530 ").await;
    client.expect("STARTTLS\r\nEHLO a\r\n", "554 ").await;
    client.expect_close().await;
}
