//! The transport against a scripted relay.

mod encrypted;
mod field;
mod login;
mod plain;
mod relay;

use std::time::Duration;

use lettre::transport::smtp::extension::ClientId;

use super::reply;
use super::*;
use crate::config::{Credentials, Encryption};
use crate::delivery::mail::smtp_address;

const MESSAGE: &[u8] = b"Subject: hello\r\n\r\n.\r\n..dots\r\nbody\r\n";

pub(super) fn options(port: u16) -> Smtp {
    Smtp {
        host: "127.0.0.1".to_owned(),
        port,
        encryption: Encryption::None,
        credentials: None,
        extra_authorities: Vec::new(),
        hello_name: ClientId::Domain("id.example.com".to_owned()),
        timeout: Duration::from_secs(10),
        greeting_timeout: Duration::from_secs(10),
        command_timeout: Duration::from_secs(10),
        message_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_mins(1),
        max_connections: 4,
    }
}

/// A resolver without a name server that answers.
pub(super) fn dns() -> Dns {
    Dns::open(&["127.0.0.1:9".parse().unwrap()]).unwrap()
}

pub(super) fn login() -> Credentials {
    Credentials {
        username: "user".to_owned(),
        password: "pass".to_owned().into(),
    }
}

fn envelope_to(to: &str) -> Envelope {
    Envelope {
        from: smtp_address("noreply@example.com").unwrap(),
        to: smtp_address(to).unwrap(),
    }
}

async fn send(transport: &SmtpTransport) -> Result<(), SendFailure> {
    transport
        .send(
            &envelope_to("alice@example.com"),
            MESSAGE,
            &Handover::default(),
        )
        .await
}

/// The reason of the failure, which must not quote the message.
fn text_of(failure: &SendFailure) -> String {
    let text = failure.to_string();
    let all = format!("{text} {failure:?}");
    assert!(!all.contains('@') && !all.contains("alice"), "{all}");
    text
}

async fn transient(transport: &SmtpTransport) -> String {
    let failure = send(transport).await.unwrap_err();
    assert!(
        matches!(failure, SendFailure::Transient { .. }),
        "{failure:?}"
    );
    text_of(&failure)
}

async fn uncertain(transport: &SmtpTransport) -> String {
    let failure = send(transport).await.unwrap_err();
    assert!(
        matches!(failure, SendFailure::Uncertain { .. }),
        "{failure:?}"
    );
    text_of(&failure)
}

/// The failure of a message whose last step got no reply: uncertain if the whole
/// message was sent.
async fn unanswered(transport: &SmtpTransport, verb: &str) -> String {
    match verb {
        "." => uncertain(transport).await,
        _ => transient(transport).await,
    }
}

#[test]
fn replies_take_linear_time() {
    for piece in ["250-\n", "250 \n", "\n", "250-a\r\n", "a", "250-1.1.1 "] {
        crate::linear_tests::expect_linear(
            "a reply",
            |count| piece.repeat(count),
            |text| {
                let mut reader = reply::ReplyReader::default();
                // In parts, and at once.
                for part in text.as_bytes().chunks(64 * 1024) {
                    reader.push(part);
                    while let Ok(Some(_)) = reader.next_reply() {}
                }
            },
        );
    }
}
