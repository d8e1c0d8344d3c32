//! Replies as relays in the field send them.

use std::time::{Duration, Instant};

use super::relay::{Behavior, Relay};
use super::{Encryption, MESSAGE, SendFailure, SmtpTransport, dns, login, options, send, text_of};

fn transport(relay: &Relay) -> SmtpTransport {
    SmtpTransport::new(&options(relay.port), dns()).unwrap()
}

async fn expect_one_mail(relay: &Relay, what: &str) {
    let outcome = send(&transport(relay)).await;
    assert_eq!(outcome, Ok(()), "{what}");
    relay.received(|received| assert_eq!(received.messages, [MESSAGE], "{what}"));
}

/// RFC 5321, section 4.2
#[tokio::test]
async fn any_text_after_a_code_is_accepted() {
    for verb in ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "."] {
        for text in [
            &b""[..],
            b" ",
            b" caf\xE9 gr\xFC\xDFe",
            b" \xC4\xE3\xBA\xC3",
            b" a\0b",
            b"\tok",
            b"-\r\nCODE",
            b"-one\r\nCODE-two\r\nCODE three",
            b" ok\r",
        ] {
            let relay = Relay::plain(&[]).await;
            let code = match verb {
                "CONNECT" => "220",
                "DATA" => "354",
                _ => "250",
            };
            let shown = String::from_utf8_lossy(text);
            let text = if shown.contains("CODE") {
                shown.replace("CODE", code).into_bytes()
            } else {
                text.to_vec()
            };
            for end in ["\r\n", "\n"] {
                let reply = [code.as_bytes(), &text, end.as_bytes()].concat();
                relay.at(verb, &[Behavior::Bytes(reply.leak())]);
                send(&transport(&relay)).await.unwrap();
            }
            let accepted = relay.received(|received| received.messages.len());
            assert_eq!(accepted, 2, "{verb} {shown:?}");
        }
    }
}

#[tokio::test]
async fn long_lines_are_read() {
    for verb in ["CONNECT", "EHLO", "RCPT", "."] {
        let relay = Relay::plain(&[]).await;
        let code = if verb == "CONNECT" { "220" } else { "250" };
        let reply = format!(
            "{code}-{}\r\n{code} {}\r\n",
            "x".repeat(5000),
            "y".repeat(200_000)
        );
        relay.at(verb, &[Behavior::Bytes(reply.into_bytes().leak())]);
        expect_one_mail(&relay, verb).await;
    }
}

/// RFC 5321, section 4.3.2
#[tokio::test]
async fn unknown_codes_count_by_their_first_digit() {
    for (verb, reply) in [
        ("CONNECT", "299 ready"),
        ("MAIL", "260 fine"),
        ("RCPT", "251 will forward"),
        ("RCPT", "252 cannot verify"),
        ("DATA", "399 go on"),
        (".", "277 taken"),
        (".", "250"),
    ] {
        let relay = Relay::plain(&[]).await;
        relay.at(verb, &[Behavior::Reply(reply)]);
        expect_one_mail(&relay, reply).await;
    }
    for (verb, reply) in [
        ("RCPT", "550"),
        ("RCPT", "571 no"),
        ("RCPT", "599 no"),
        (".", "577 no"),
        (".", "560"),
        ("DATA", "569 no"),
    ] {
        let relay = Relay::plain(&[]).await;
        relay.at(verb, &[Behavior::Reply(reply)]);
        let failure = send(&transport(&relay)).await.unwrap_err();
        assert!(
            matches!(failure, SendFailure::Permanent { .. }),
            "{reply}: {failure}"
        );
    }
    for (verb, reply) in [("RCPT", "471 later"), (".", "499"), ("MAIL", "460")] {
        let relay = Relay::plain(&[]).await;
        relay.at(verb, &[Behavior::Reply(reply)]);
        let failure = send(&transport(&relay)).await.unwrap_err();
        assert!(
            matches!(failure, SendFailure::Transient { .. }),
            "{reply}: {failure}"
        );
    }
}

#[tokio::test]
async fn last_line_may_end_with_the_connection() {
    for reply in [&b"250"[..], b"250 taken", b"250-a\r\n250 taken"] {
        let relay = Relay::plain(&[]).await;
        relay.at(".", &[Behavior::Last(reply)]);
        expect_one_mail(&relay, "no line end").await;
    }
    let relay = Relay::plain(&[]).await;
    relay.at(".", &[Behavior::Last(b"25")]);
    let failure = send(&transport(&relay)).await.unwrap_err();
    assert!(
        matches!(failure, SendFailure::Uncertain { .. }),
        "{failure}"
    );
}

/// RFC 5321, sections 3.2 and 4.1.1.1
#[tokio::test]
async fn helo_follows_a_refused_or_unanswered_ehlo() {
    for act in [
        Behavior::Bytes(b"500\r\n"),
        Behavior::Reply("502 5.5.1 what"),
        Behavior::Reply("504 no"),
        Behavior::Reply("550 no"),
        Behavior::Close,
    ] {
        let relay = Relay::plain(&["8BITMIME"]).await;
        relay.at("EHLO", &[act]);
        expect_one_mail(&relay, "HELO").await;
        let last = relay.received(|received| received.connections);
        let verbs = relay.verbs(last);
        let helo = verbs.iter().position(|verb| verb == "HELO").unwrap();
        assert_eq!(verbs[helo + 1..], ["MAIL", "RCPT", "DATA"]);
    }
}

#[tokio::test]
async fn login_needs_ehlo() {
    let relay = Relay::plain(&["AUTH PLAIN"]).await;
    relay.at("EHLO", &[Behavior::Reply("502 what")]);
    let mut options = options(relay.port);
    options.credentials = Some(login());
    let transport = SmtpTransport::new(&options, dns()).unwrap();
    let text = text_of(&send(&transport).await.unwrap_err());
    assert!(text.contains("neither AUTH PLAIN"), "{text}");
    assert_eq!(relay.verbs(1), ["EHLO", "HELO"]);
}

#[tokio::test]
async fn refused_ehlo_is_named_if_tls_is_required() {
    let relay = Relay::plain(&[]).await;
    relay.at("EHLO", &[Behavior::Reply("502 what")]);
    let mut options = options(relay.port);
    options.encryption = Encryption::Starttls;
    let transport = SmtpTransport::new(&options, dns()).unwrap();
    let text = text_of(&send(&transport).await.unwrap_err());
    assert!(text.contains("does not offer STARTTLS"), "{text}");
    assert!(text.contains("502 to EHLO"), "{text}");
    assert_eq!(relay.verbs(1), ["EHLO"]);
}

#[tokio::test]
async fn relay_that_wants_a_login_is_named() {
    let relay = Relay::plain(&[]).await;
    let reply = "554 5.7.1 <alice@example.com>: Relay access denied";
    relay.at("RCPT", &[Behavior::Reply(reply)]);
    let transport = transport(&relay);
    let failure = send(&transport).await.unwrap_err();
    assert!(
        matches!(failure, SendFailure::Misconfigured { .. }),
        "{failure:?}"
    );
    let text = text_of(&failure);
    assert!(text.starts_with("the relay wants a login"), "{text}");
    assert!(
        text.ends_with("to RCPT TO: \"[address]: Relay access denied\""),
        "{text}"
    );
    let trouble = transport.health().trouble().unwrap();
    assert_eq!((trouble.replied, trouble.reason), (true, text));
    send(&transport).await.unwrap();
    assert_eq!(transport.health().trouble(), None);
}

/// RFC 5321, section 4.5.3.2.1
#[tokio::test]
async fn slow_greeting_does_not_hold_up_other_mail() {
    let relay = Relay::plain(&[]).await;
    relay.at("CONNECT", &[Behavior::Hang]);
    let mut options = options(relay.port);
    options.timeout = Duration::from_millis(100);
    let transport = SmtpTransport::new(&options, dns()).unwrap();
    let mut waits = Box::pin(send(&transport));
    let limit = Duration::from_millis(500);
    assert!(tokio::time::timeout(limit, &mut waits).await.is_err());
    let began = Instant::now();
    send(&transport).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(2));
    // The first mail need not wait either, once there is a connection.
    waits.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(relay.received(|received| received.messages.len()), 2);
}

/// A relay that replies just in time each time does not hold its connection for ever.
#[tokio::test]
async fn slow_steps_are_limited_together() {
    let relay = Relay::plain(&[]).await;
    for verb in ["MAIL", "RCPT", "DATA"] {
        let reply = if verb == "DATA" { "354" } else { "250" };
        relay.at(verb, &[Behavior::Late(400, reply)]);
    }
    let mut options = options(relay.port);
    options.timeout = Duration::from_millis(100);
    options.greeting_timeout = Duration::from_millis(100);
    options.command_timeout = Duration::from_millis(500);
    let transport = SmtpTransport::new(&options, dns()).unwrap();
    let failure = send(&transport).await.unwrap_err();
    assert!(
        matches!(failure, SendFailure::Transient { .. }),
        "{failure:?}"
    );
    assert!(failure.to_string().contains("did not get to the message"));
    assert_eq!(transport.health().trouble().unwrap().failures, 1);
}
