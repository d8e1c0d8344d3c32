//! How homeservers are authenticated.

use sydent::actor::federation::{CallError, UserInfoError};

use super::{homeserver_at, reaching, unreachable, user_info};
use crate::harness::{Homeserver, TestCa, TestServer, Unusual, shared_ca};

/// NET-10, SEC-14
#[actix_web::test]
async fn certificate_for_another_name_is_rejected() {
    for (name, certified) in [
        ("net10.test", "other.test"),
        ("net10.test", "sub.net10.test"),
        ("a.net10.test", "net10.test"),
        ("127.0.0.1:1", "localhost"),
    ] {
        let hs = homeserver_at("127.0.0.1:0", name, certified);
        let token = hs.openid_token("alice");
        let id = reaching(&hs);
        let found = user_info(&id, name, &token).await;
        let refused = matches!(found, Err(UserInfoError::Unreachable(CallError::Tls(_))));
        assert!(
            refused,
            "{name} with a certificate for {certified}: {found:?}"
        );
        assert!(
            hs.requests().is_empty(),
            "the token is not sent to another server"
        );
    }
    // The same with the right certificate.
    let hs = homeserver_at("127.0.0.1:0", "net10.test", "net10.test");
    let token = hs.openid_token("alice");
    let found = user_info(&reaching(&hs), "net10.test", &token).await;
    assert_eq!(found.as_deref(), Ok("@alice:net10.test"));
}

/// NET-10
#[actix_web::test]
async fn certificate_of_an_untrusted_ca_is_rejected() {
    let hs =
        Homeserver::with_certificate("net10b.test", "net10b.test", "127.0.0.1:0", &TestCa::new());
    let error = unreachable(&reaching(&hs), "net10b.test").await;
    assert!(matches!(error, CallError::Tls(_)), "{error}");
    let without_the_file = TestServer::start(|settings| {
        settings
            .federation
            .hosts
            .insert("net10b.test".to_owned(), hs.address);
    });
    let error = unreachable(&without_the_file, "net10b.test").await;
    assert!(matches!(error, CallError::Tls(_)), "{error}");
}

/// NET-10
#[actix_web::test]
async fn disabled_verification_causes_a_warning() {
    let hs = Homeserver::with_certificate("net10c.test", "other.test", "127.0.0.1:0", shared_ca());
    let token = hs.openid_token("alice");
    let id = TestServer::start(|settings| {
        hs.configure(settings);
        settings.federation.verify_certificates = false;
    });
    let found = user_info(&id, "net10c.test", &token).await;
    assert_eq!(found.as_deref(), Ok("@alice:net10c.test"));
    let warned =
        |warning: &sydent::config::Problem| warning.key == "federation.verify_certificates";
    assert!(id.app.config.warnings.iter().any(warned));
}

/// NET-10
#[actix_web::test]
async fn any_certificate_does_if_none_is_verified() {
    let ca = TestCa::new();
    for unusual in [
        Unusual::Authority,
        Unusual::Expired,
        Unusual::NotYetValid,
        Unusual::NoNames,
        Unusual::Version1,
        Unusual::OldTls,
        Unusual::Garbage,
        Unusual::Signed,
    ] {
        let tls = ca.unusual_server_config(unusual);
        let hs = Homeserver::with_tls("unusual.test", "127.0.0.1:0", tls);
        let token = hs.openid_token("alice");
        for verify in [false, true] {
            let id = TestServer::start(|settings| {
                hs.configure(settings);
                settings.federation.verify_certificates = verify;
            });
            let found = user_info(&id, "unusual.test", &token).await;
            if verify {
                let refused = matches!(found, Err(UserInfoError::Unreachable(CallError::Tls(_))));
                assert!(refused, "{unusual:?}: {found:?}");
            } else {
                assert_eq!(found.as_deref(), Ok("@alice:unusual.test"), "{unusual:?}");
            }
        }
    }
}

/// NET-10
#[actix_web::test]
async fn plaintext_is_never_used() {
    let plain = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = plain.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = plain.accept().unwrap();
        let mut first_byte = [0; 1];
        stream.read_exact(&mut first_byte).unwrap();
        assert_eq!(first_byte, [0x16], "a TLS handshake");
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    });
    let id = TestServer::start(|settings| {
        settings
            .federation
            .hosts
            .insert("plain.test".to_owned(), address);
    });
    let error = unreachable(&id, "plain.test").await;
    assert!(matches!(error, CallError::Tls(_)), "{error}");
}
