//! AUTH, as relays in the field do it.

use super::relay::{Behavior, Relay};
use super::{SendFailure, SmtpTransport, dns, login, options, send, text_of, transient};

#[tokio::test]
async fn login_uses_a_mechanism_that_is_offered() {
    for (offer, commands) in [
        ("AUTH PLAIN LOGIN", &["AUTH PLAIN AHVzZXIAcGFzcw=="][..]),
        ("auth login plain", &["AUTH PLAIN AHVzZXIAcGFzcw=="]),
        ("Auth Plain", &["AUTH PLAIN AHVzZXIAcGFzcw=="]),
        ("AUTH LOGIN", &["AUTH LOGIN", "dXNlcg==", "cGFzcw=="]),
        ("AUTH=LOGIN", &["AUTH LOGIN", "dXNlcg==", "cGFzcw=="]),
    ] {
        let relay = Relay::plain(&[offer]).await;
        if commands.len() > 1 {
            expect_login(&relay, "334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6");
        }
        send(&logged_in(&relay)).await.unwrap();
        assert_eq!(&lines(&relay, 1)[..commands.len()], commands, "{offer}");
    }
}

/// Scripts an AUTH LOGIN with these prompts.
fn expect_login(relay: &Relay, user: &'static str, password: &'static str) {
    relay.at("AUTH", &[Behavior::Reply(user)]);
    relay.at("dXNlcg==", &[Behavior::Reply(password)]);
    relay.at("cGFzcw==", &[Behavior::Reply("235 2.7.0 welcome")]);
}

fn logged_in(relay: &Relay) -> SmtpTransport {
    let mut options = options(relay.port);
    options.credentials = Some(login());
    SmtpTransport::new(&options, dns()).unwrap()
}

/// The lines that the relay received after so many.
fn lines(relay: &Relay, skipped: usize) -> Vec<String> {
    relay.received(|received| {
        let lines = received.lines.iter().skip(skipped);
        lines.map(|(_, line)| line.clone()).collect()
    })
}

#[tokio::test]
async fn prompts_of_auth_login_do_not_matter() {
    for (user, password) in [
        // "Username: ", "Enter user", "Benutzername:", no text, not base64.
        ("334 VXNlcm5hbWU6IA==", "334 UGFzc3dvcmQ6IA=="),
        ("334 RW50ZXIgdXNlcg==", "334 RW50ZXIgcGFzc3dvcmQ="),
        ("334 QmVudXR6ZXJuYW1lOg==", "334 S2Vubndvcnq="),
        ("334", "334 "),
        ("334 user?", "334-now\r\n334 password?"),
        ("300 go", "399 on"),
    ] {
        let relay = Relay::plain(&["AUTH LOGIN"]).await;
        expect_login(&relay, user, password);
        send(&logged_in(&relay)).await.unwrap();
        let expected = ["AUTH LOGIN", "dXNlcg==", "cGFzcw=="];
        assert_eq!(&lines(&relay, 1)[..3], expected, "{user}");
    }
}

#[tokio::test]
async fn next_mechanism_follows_a_refusal() {
    for refusal in ["504 5.5.4 no", "535 5.7.8 no", "500", "534 5.7.9 too weak"] {
        let relay = Relay::plain(&["AUTH PLAIN LOGIN"]).await;
        let prompt = Behavior::Reply("334 VXNlcm5hbWU6");
        relay.at("AUTH", &[Behavior::Reply(refusal), prompt, prompt]);
        relay.at("dXNlcg==", &[Behavior::Reply("334 UGFzc3dvcmQ6"); 2]);
        relay.at("cGFzcw==", &[Behavior::Reply("235 welcome"); 2]);
        let transport = logged_in(&relay);
        send(&transport).await.unwrap();
        let expected = ["AUTH PLAIN AHVzZXIAcGFzcw==", "AUTH LOGIN"];
        assert_eq!(&lines(&relay, 1)[..2], expected, "{refusal}");
        // The next connection begins with what worked.
        transport.close().await;
        let sent = relay.received(|received| received.lines.len());
        send(&transport).await.unwrap();
        assert_eq!(lines(&relay, sent + 1)[0], "AUTH LOGIN");
    }
}

#[tokio::test]
async fn ignored_initial_response_is_sent_again() {
    let relay = Relay::plain(&["AUTH PLAIN"]).await;
    relay.at("AUTH", &[Behavior::Reply("334 ")]);
    relay.at("AHVzZXIAcGFzcw==", &[Behavior::Reply("235 welcome")]);
    send(&logged_in(&relay)).await.unwrap();
    let expected = ["AUTH PLAIN AHVzZXIAcGFzcw==", "AHVzZXIAcGFzcw=="];
    assert_eq!(lines(&relay, 1)[..2], expected);
}

#[tokio::test]
async fn refused_login_is_a_misconfiguration() {
    let relay = Relay::plain(&["AUTH PLAIN"]).await;
    relay.at(
        "AUTH",
        &[Behavior::Reply("535 5.7.8 user and pass do not match")],
    );
    let failure = send(&logged_in(&relay)).await.unwrap_err();
    assert!(matches!(failure, SendFailure::Misconfigured { .. }));
    let text = text_of(&failure);
    let expected = "the relay refuses the login of this server: it replied 535 5.7.8 to AUTH: \"[…] and […] do not match\"";
    assert_eq!(text, expected);

    let relay = Relay::plain(&["AUTH CRAM-MD5"]).await;
    let text = transient(&logged_in(&relay)).await;
    assert!(text.contains("neither AUTH PLAIN nor"), "{text}");
    assert!(text.contains("CRAM-MD5"), "{text}");
    assert_eq!(relay.verbs(1), ["EHLO"]);
}
