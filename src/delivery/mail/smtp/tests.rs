//! The transport against a scripted relay.

mod encrypted;
mod plain;
mod relay;

use std::time::Duration;

use lettre::transport::smtp::extension::ClientId;

use super::*;
use crate::config::{Credentials, Encryption};
use crate::delivery::mail::address_for_wire;

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
        message_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_mins(1),
        max_connections: 4,
    }
}

pub(super) fn login() -> Credentials {
    Credentials {
        username: "user".to_owned(),
        password: "pass".to_owned().into(),
    }
}

fn envelope_to(to: &str) -> Envelope {
    Envelope {
        from: address_for_wire("house@example.com").unwrap(),
        to: address_for_wire(to).unwrap(),
    }
}

async fn send(transport: &SmtpTransport) -> Result<(), SendFailure> {
    transport
        .send(&envelope_to("alice@example.com"), MESSAGE)
        .await
}

/// The failure's text, which must tell nothing of the message.
fn text_of(failure: &SendFailure) -> String {
    let text = failure.to_string();
    let all = format!("{text} {failure:?}");
    assert!(!all.contains('@') && !all.contains("alice"), "{all}");
    text
}

async fn passing(transport: &SmtpTransport) -> String {
    let failure = send(transport).await.unwrap_err();
    assert!(
        matches!(failure, SendFailure::Passing { .. }),
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

/// The failure of a message that has a last step like this: nobody knows what
/// became of the message when that step is its end.
async fn unanswered(transport: &SmtpTransport, verb: &str) -> String {
    match verb {
        "." => uncertain(transport).await,
        _ => passing(transport).await,
    }
}
