//! Connections, the pool, and replies.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::relay::{Behavior, Relay};
use super::{
    Handover, MESSAGE, SmtpTransport, dns, envelope_to, options, send, text_of, transient,
    unanswered, uncertain,
};
use crate::delivery::mail::SendFailure;

const TRANSACTION: [&str; 3] = ["MAIL", "RCPT", "DATA"];

async fn relay_and_transport() -> (Relay, SmtpTransport) {
    let relay = Relay::plain(&["8BITMIME"]).await;
    let transport = SmtpTransport::new(&options(relay.port), dns()).unwrap();
    (relay, transport)
}

#[tokio::test]
async fn messages_arrive_unchanged_on_one_connection() {
    let (relay, transport) = relay_and_transport().await;
    for _ in 0..3 {
        send(&transport).await.unwrap();
    }
    let verbs = [&["EHLO"], &TRANSACTION[..], &TRANSACTION, &TRANSACTION].concat();
    assert_eq!(relay.verbs(1), verbs);
    relay.received(|received| {
        assert_eq!(received.connections, 1);
        assert_eq!(received.messages, [MESSAGE; 3]);
        let mail = &received.lines[1].1;
        assert_eq!(mail, "MAIL FROM:<noreply@example.com>");
        assert_eq!(received.lines[2].1, "RCPT TO:<alice@example.com>");
    });
}

#[tokio::test]
async fn every_address_of_the_host_is_tried() {
    let relay = Relay::plain(&[]).await;
    let mut options = options(relay.port);
    // Commonly ::1 and 127.0.0.1; the relay listens on the latter only.
    options.host = "localhost".to_owned();
    send(&SmtpTransport::new(&options, dns()).unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn unreachable_relay_is_a_transient_failure() {
    let (relay, transport) = relay_and_transport().await;
    drop(relay);
    tokio::task::yield_now().await;
    let text = transient(&transport).await;
    assert!(text.contains("cannot connect"), "{text}");
}

#[tokio::test]
async fn idle_connection_is_replaced_and_closed() {
    let relay = Relay::plain(&[]).await;
    let mut options = options(relay.port);
    options.idle_timeout = Duration::ZERO;
    let transport = SmtpTransport::new(&options, dns()).unwrap();
    send(&transport).await.unwrap();
    send(&transport).await.unwrap();
    assert_eq!(relay.received(|received| received.connections), 2);
    transport.close_idle().await;
    assert_eq!(relay.verbs(2).last().unwrap(), "QUIT");
}

#[tokio::test]
async fn close_idle_keeps_fresh_connections() {
    let (relay, transport) = relay_and_transport().await;
    send(&transport).await.unwrap();
    transport.close_idle().await;
    assert_eq!(relay.verbs(1).last().unwrap(), "DATA");
    transport.close().await;
    assert_eq!(relay.verbs(1).last().unwrap(), "QUIT");
    send(&transport).await.unwrap();
    assert_eq!(relay.received(|received| received.connections), 2);
}

#[tokio::test]
async fn stale_connection_is_replaced_at_mail_from() {
    for act in [
        Behavior::Close,
        Behavior::Reply("421 4.4.2 idle for too long"),
        Behavior::Reply("452 4.5.3 enough for one session"),
        Behavior::Reply("550 5.7.0 enough for one session"),
    ] {
        let (relay, transport) = relay_and_transport().await;
        send(&transport).await.unwrap();
        relay.at("MAIL", &[act]);
        send(&transport).await.unwrap();
        relay.received(|received| {
            assert_eq!(received.connections, 2);
            assert_eq!(received.messages.len(), 2);
        });
    }
}

#[tokio::test]
async fn replacement_is_tried_only_once() {
    let (relay, transport) = relay_and_transport().await;
    send(&transport).await.unwrap();
    relay.at("MAIL", &[Behavior::Close, Behavior::Close]);
    assert!(transient(&transport).await.contains("at MAIL"));
    assert_eq!(relay.received(|received| received.connections), 2);
}

#[tokio::test]
async fn unanswered_message_is_not_sent_again_at_once() {
    let (relay, transport) = relay_and_transport().await;
    send(&transport).await.unwrap();
    relay.at(".", &[Behavior::Close]);
    uncertain(&transport).await;
    relay.received(|received| {
        assert_eq!(received.connections, 1);
        assert_eq!(received.messages.len(), 1);
    });
    send(&transport).await.unwrap();
}

/// A session that is at fault itself is left before the recipient is blamed.
#[tokio::test]
async fn old_session_is_left_for_a_fresh_one() {
    for (verb, act) in [
        ("RCPT", Behavior::Close),
        ("DATA", Behavior::Close),
        ("RCPT", Behavior::Reply("421 4.7.0 too much")),
        ("RCPT", Behavior::Reply("452 4.5.3 too many recipients")),
        ("RCPT", Behavior::Reply("550 5.7.1 too many recipients")),
        ("RCPT", Behavior::Reply("503 5.5.1 bad sequence")),
        ("RCPT", Behavior::Reply("530 5.7.0 log in")),
        ("RCPT", Behavior::Reply("554 transaction failed")),
        ("RCPT", Behavior::Bytes(b"550\r\n")),
        ("DATA", Behavior::Reply("554 transaction failed")),
        ("DATA", Behavior::Reply("250 what")),
        (".", Behavior::Reply("554 transaction failed")),
        (".", Behavior::Reply("451 4.3.0 try again")),
        ("RSET", Behavior::Reply("500 what")),
    ] {
        let (relay, transport) = relay_and_transport().await;
        if verb == "RSET" {
            relay.at("RCPT", &[Behavior::Reply("550 5.1.1 unknown")]);
            send(&transport).await.unwrap_err();
        } else {
            send(&transport).await.unwrap();
        }
        let before = relay.received(|received| received.messages.len());
        relay.at(verb, &[act]);
        send(&transport).await.unwrap();
        relay.received(|received| {
            assert_eq!(received.connections, 2, "{verb}");
            assert_eq!(received.messages.len(), before + 1, "{verb}");
        });
    }
}

#[tokio::test]
async fn clear_refusal_does_not_cost_a_connection() {
    for (verb, reply) in [
        ("RCPT", "550 5.1.1 unknown"),
        ("RCPT", "450 4.2.0 greylisted"),
        (".", "554 5.6.0 content"),
    ] {
        let (relay, transport) = relay_and_transport().await;
        send(&transport).await.unwrap();
        relay.at(verb, &[Behavior::Reply(reply)]);
        send(&transport).await.unwrap_err();
        send(&transport).await.unwrap();
        assert_eq!(relay.received(|received| received.connections), 1);
    }
}

/// Two connections at most: a fresh one that refuses as well decides.
#[tokio::test]
async fn refusal_of_both_sessions_counts() {
    let (relay, transport) = relay_and_transport().await;
    send(&transport).await.unwrap();
    let refusal = Behavior::Reply("550 no such user");
    relay.at("RCPT", &[refusal, refusal]);
    let failure = send(&transport).await.unwrap_err();
    assert!(matches!(
        failure,
        SendFailure::Permanent { address: true, .. }
    ));
    assert_eq!(relay.received(|received| received.connections), 2);
}

#[tokio::test]
async fn refusal_keeps_its_code_and_the_connection() {
    for (verb, step) in [("RCPT", "RCPT TO"), ("DATA", "DATA"), (".", "the message")] {
        let (relay, transport) = relay_and_transport().await;
        relay.at(
            verb,
            &[Behavior::Reply(
                "550-5.1.1 <alice@example.com>\r\n550 5.1.1 unknown",
            )],
        );
        let failure = send(&transport).await.unwrap_err();
        let reason = format!("the relay replied 550 5.1.1 to {step}: \"[address] unknown\"");
        assert_eq!(text_of(&failure), reason);
        let (code, enhanced) = (Some(550), Some("5.1.1".to_owned()));
        assert_eq!(
            failure,
            SendFailure::Permanent {
                reason,
                code,
                enhanced,
                address: true,
            }
        );

        send(&transport).await.unwrap();
        assert_eq!(relay.received(|received| received.connections), 1, "{verb}");
        assert!(relay.verbs(1).contains(&"RSET".to_owned()), "{verb}");
    }
}

#[tokio::test]
async fn refused_sender_is_a_transient_failure() {
    let (relay, transport) = relay_and_transport().await;
    relay.at("MAIL", &[Behavior::Reply("553 5.1.8 no such domain")]);
    let text = transient(&transport).await;
    let expected = "the relay replied 553 5.1.8 to MAIL FROM: \"no such domain\"";
    assert_eq!(text, expected);
    send(&transport).await.unwrap();
}

#[tokio::test]
async fn busy_relay_is_a_transient_failure() {
    for verb in ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "."] {
        let (relay, transport) = relay_and_transport().await;
        relay.at(
            verb,
            &[Behavior::Reply("451 4.3.0 alice@example.com is busy")],
        );
        let text = transient(&transport).await;
        assert!(text.contains("replied 451 4.3.0 to"), "{verb}: {text}");
    }
}

#[tokio::test]
async fn unexpected_reply_is_not_success() {
    for (verb, reply) in [
        ("MAIL", "354 go"),
        ("RCPT", "354 go"),
        ("DATA", "250 ok"),
        (".", "354"),
    ] {
        let (relay, transport) = relay_and_transport().await;
        relay.at(verb, &[Behavior::Reply(reply)]);
        unanswered(&transport, verb).await;
        send(&transport).await.unwrap();
        relay.received(|received| {
            assert_eq!(received.connections, 2, "{verb}");
            assert_eq!(received.messages, [MESSAGE], "{verb}");
        });
    }
}

#[tokio::test]
async fn non_smtp_reply_is_a_transient_failure() {
    for (verb, reply) in [
        ("CONNECT", "SSH-2.0 alice@example.com"),
        ("MAIL", "alice@example.com"),
    ] {
        let (relay, transport) = relay_and_transport().await;
        relay.at(verb, &[Behavior::Reply(reply)]);
        let text = transient(&transport).await;
        assert!(text.ends_with("not SMTP"), "{verb}: {text}");
    }
}

#[tokio::test]
async fn every_command_has_a_timeout() {
    let (short, long) = (Duration::from_millis(200), Duration::from_mins(1));
    for verb in ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "."] {
        let relay = Relay::plain(&[]).await;
        let mut options = options(relay.port);
        options.greeting_timeout = if verb == "CONNECT" { short } else { long };
        options.message_timeout = if verb == "." { short } else { long };
        options.command_timeout = match verb {
            "CONNECT" | "." => long,
            _ => short,
        };
        relay.at(verb, &[Behavior::Hang]);
        let began = Instant::now();
        let text = unanswered(&SmtpTransport::new(&options, dns()).unwrap(), verb).await;
        assert!(text.starts_with("timed out after 200ms"), "{text}");
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn connections_are_limited_and_reused() {
    let relay = Relay::plain(&[]).await;
    let mut options = options(relay.port);
    options.max_connections = 2;
    let transport = SmtpTransport::new(&options, dns()).unwrap();
    for outcome in join_all((0..20).map(|_| send(&transport))).await {
        outcome.unwrap();
    }
    relay.received(|received| {
        assert_eq!(received.messages.len(), 20);
        assert_eq!((received.connections, received.most_open), (2, 2));
    });
}

#[tokio::test]
async fn non_ascii_address_needs_smtputf8() {
    let utf8 = envelope_to("βετα@example.com");
    let eight_bit = "Subject: x\r\n\r\ngrün\r\n".as_bytes();

    let (relay, transport) = relay_and_transport().await;
    send(&transport).await.unwrap();
    let failure = transport
        .send(&utf8, MESSAGE, &Handover::default())
        .await
        .unwrap_err();
    assert!(matches!(
        failure,
        SendFailure::Permanent { address: false, .. }
    ));
    assert!(text_of(&failure).contains("SMTPUTF8"));
    transport
        .send(
            &envelope_to("alice@example.com"),
            eight_bit,
            &Handover::default(),
        )
        .await
        .unwrap();
    relay.received(|received| {
        assert_eq!(received.connections, 1);
        assert_eq!(received.messages.len(), 2);
        assert_eq!(
            received.lines[4].1,
            "MAIL FROM:<noreply@example.com> BODY=8BITMIME"
        );
    });

    let relay = Relay::plain(&["SMTPUTF8"]).await;
    let transport = SmtpTransport::new(&options(relay.port), dns()).unwrap();
    transport
        .send(&utf8, MESSAGE, &Handover::default())
        .await
        .unwrap();
    relay.received(|received| {
        assert_eq!(
            received.lines[1].1,
            "MAIL FROM:<noreply@example.com> SMTPUTF8"
        );
        assert_eq!(received.lines[2].1, "RCPT TO:<βετα@example.com>");
    });
    let failure = transport
        .send(&utf8, eight_bit, &Handover::default())
        .await
        .unwrap_err();
    assert!(matches!(
        failure,
        SendFailure::Permanent { address: false, .. }
    ));
    assert!(text_of(&failure).contains("8BITMIME"));
}
