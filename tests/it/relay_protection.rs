//! Encryption and login at the relay: the configured protection is enforced.

use std::time::Duration;

use futures_util::future::join_all;
use sydent::config::{Encryption, Settings};

use crate::harness::{
    SmtpServer, TestCa, TestDatabase, TestServer, Tls, fresh_address, wait_until,
};

const LOGIN: [&str; 4] = ["--user", "mailer", "--password", "right"];

fn log_in(settings: &mut Settings, password: &str) {
    settings.email.smtp.username = Some("mailer".to_owned());
    settings.email.smtp.password = Some(password.to_owned().into());
}

/// A short wait for the outcome, with only one attempt.
fn wait_briefly(settings: &mut Settings) {
    settings.delivery.answer_within = Duration::from_secs(3);
    settings.delivery.retry_first = Duration::from_secs(30);
}

#[actix_web::test]
async fn encryption_modes_work_with_and_without_login() {
    let expect_delivered = async |(tls, encrypted, login): (Tls, bool, bool)| {
        let relay = SmtpServer::start(tls, "localhost", if login { &LOGIN } else { &[] });
        let server = TestServer::start(|settings| {
            relay.configure(settings);
            if login {
                log_in(settings, "right");
            }
        });
        let address = fresh_address("works");
        server.api().request_token(&address, "secret", 1).await.ok();
        let noted = relay.mail_to(&address).await.received;
        assert_eq!(noted["tls"], encrypted, "{tls:?}");
        assert_eq!(noted["auth_user"].as_str(), login.then_some("mailer"));
    };
    let cases = [
        (Tls::None, false, false),
        (Tls::None, false, true),
        (Tls::Upgraded, true, false),
        (Tls::Upgraded, true, true),
        (Tls::Implicit, true, false),
        (Tls::Implicit, true, true),
    ];
    join_all(cases.map(expect_delivered)).await;
}

/// MSG-01, SEC-06
#[actix_web::test]
async fn unverified_relay_gets_no_mail() {
    struct Case {
        relay: (Tls, &'static str),
        expected: Encryption,
        trusted: bool,
    }
    let expect_refused = async |case: Case| {
        let (relay, stranger) = (
            SmtpServer::start(case.relay.0, case.relay.1, &[]),
            TestCa::new(),
        );
        let server = TestServer::start(|settings| {
            relay.configure(settings);
            wait_briefly(settings);
            settings.email.smtp.encryption = case.expected;
            if !case.trusted {
                settings.email.smtp.ca_file = Some(stranger.file());
            }
        });
        let address = fresh_address("unproven");
        let answer = server.api().request_token(&address, "secret", 1).await;
        answer.refused(400, "M_EMAIL_SEND_ERROR");
        assert_eq!(server.database.count("outbox"), 0);
        assert_eq!(relay.mails_to(&address).len(), 0);
    };
    let mut cases = vec![Case {
        relay: (Tls::None, "localhost"),
        expected: Encryption::Starttls,
        trusted: true,
    }];
    for (tls, expected) in [
        (Tls::Upgraded, Encryption::Starttls),
        (Tls::Implicit, Encryption::Tls),
    ] {
        for (name, trusted) in [("localhost", false), ("mail.example.test", true)] {
            cases.push(Case {
                relay: (tls, name),
                expected,
                trusted,
            });
        }
    }
    join_all(cases.into_iter().map(expect_refused)).await;
}

#[actix_web::test]
async fn wrong_password_loses_no_mail() {
    let relay = SmtpServer::start(Tls::Upgraded, "localhost", &LOGIN);
    let (queued, requested) = (fresh_address("promised"), fresh_address("asked"));
    let mut server = TestServer::start(|settings| {
        relay.configure(settings);
        wait_briefly(settings);
        log_in(settings, "wrong");
        settings.delivery.retry_first = Duration::from_millis(1700);
    });
    server.database.queue_mails(std::slice::from_ref(&queued));
    let answer = server.api().request_token(&requested, "secret", 1).await;
    answer.refused(400, "M_EMAIL_SEND_ERROR");
    wait_until("a second attempt", || {
        server.database.queued("tries > 1") == 1
    })
    .await;
    server.stop();

    let database = TestDatabase::existing(&server.database.url);
    let fixed = TestServer::start_on(database, |settings| {
        relay.configure(settings);
        log_in(settings, "right");
    });
    relay.mail_to(&queued).await;
    fixed
        .api()
        .request_token(&requested, "secret", 1)
        .await
        .ok();
    assert_eq!(relay.mails_to(&requested).len(), 1);
}
