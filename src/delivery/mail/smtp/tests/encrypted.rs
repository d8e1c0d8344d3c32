//! STARTTLS and TLS: certificates are verified, and nothing is sent unencrypted.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::relay::{Behavior, Relay};
use super::{Encryption, Smtp, SmtpTransport, dns, login, options, send, transient};

const BOTH: [Encryption; 2] = [Encryption::Starttls, Encryption::Tls];

/// A certificate authority that is not among the system's trust anchors.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().der().clone();
        let issuer = Issuer::new(params, key);
        Self {
            issuer,
            certificate,
        }
    }

    /// An acceptor with a certificate for `name`, a host name or an IP address.
    fn acceptor(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A relay with a certificate for `name`, and options to connect to it.
async fn relay_for(authority: &Authority, name: &str, encryption: Encryption) -> (Relay, Smtp) {
    let from_the_start = encryption == Encryption::Tls;
    let extensions = ["STARTTLS", "AUTH PLAIN"];
    let acceptor = authority.acceptor(name);
    let relay = Relay::encrypted(&extensions, acceptor, from_the_start).await;
    let mut options = options(relay.port);
    options.host = "localhost".to_owned();
    options.encryption = encryption;
    options.extra_authorities = vec![authority.certificate.clone()];
    options.credentials = Some(login());
    (relay, options)
}

#[tokio::test]
async fn trusted_certificate_for_the_host_is_accepted() {
    let authority = Authority::new();
    for encryption in BOTH {
        for host in ["localhost", "127.0.0.1"] {
            let (relay, mut options) = relay_for(&authority, host, encryption).await;
            options.host = host.to_owned();
            let transport = SmtpTransport::new(&options, dns()).unwrap();
            send(&transport).await.unwrap();
            send(&transport).await.unwrap();
            let hello: &[&str] = match encryption {
                Encryption::Starttls => &["EHLO", "STARTTLS", "EHLO", "AUTH"],
                _ => &["EHLO", "AUTH"],
            };
            let message = ["MAIL", "RCPT", "DATA"];
            assert_eq!(relay.verbs(1), [hello, &message, &message].concat());
            assert_eq!(relay.received(|received| received.messages.len()), 2);
            transport.close().await;
            assert_eq!(relay.verbs(1).last().unwrap(), "QUIT");
        }
    }
}

/// Asserts that the relay received neither a login nor a message.
fn assert_nothing_sent(relay: &Relay) {
    let connections = relay.received(|received| received.connections);
    for connection in 1..=connections {
        for verb in relay.verbs(connection) {
            assert!(matches!(&*verb, "EHLO" | "STARTTLS"), "{verb}");
        }
    }
}

#[tokio::test]
async fn certificate_for_another_host_is_rejected() {
    let authority = Authority::new();
    for encryption in BOTH {
        for name in ["mail.example.com", "127.0.0.1"] {
            let (relay, options) = relay_for(&authority, name, encryption).await;
            let text = transient(&SmtpTransport::new(&options, dns()).unwrap()).await;
            assert!(text.contains("not valid for name"), "{text}");
            assert_nothing_sent(&relay);
        }
    }
}

#[tokio::test]
async fn certificate_of_an_unknown_ca_is_rejected() {
    let (authority, another) = (Authority::new(), Authority::new());
    for encryption in BOTH {
        let (relay, mut options) = relay_for(&authority, "localhost", encryption).await;
        options.extra_authorities = vec![another.certificate.clone()];
        let text = transient(&SmtpTransport::new(&options, dns()).unwrap()).await;
        assert!(text.contains("invalid peer certificate"), "{text}");
        assert_nothing_sent(&relay);
    }
}

#[tokio::test]
async fn nothing_is_sent_without_starttls() {
    let authority = Authority::new();
    let relay = Relay::plain(&["AUTH PLAIN"]).await;
    let mut options = options(relay.port);
    options.encryption = Encryption::Starttls;
    options.extra_authorities = vec![authority.certificate.clone()];
    options.credentials = Some(login());
    let text = transient(&SmtpTransport::new(&options, dns()).unwrap()).await;
    assert!(text.contains("does not support STARTTLS"), "{text}");
    assert_nothing_sent(&relay);
}

#[tokio::test]
async fn refused_starttls_is_a_failure() {
    let authority = Authority::new();
    let (relay, options) = relay_for(&authority, "localhost", Encryption::Starttls).await;
    relay.at("STARTTLS", &[Behavior::Reply("454 4.7.0 not now")]);
    let text = transient(&SmtpTransport::new(&options, dns()).unwrap()).await;
    assert_eq!(text, "the relay replied 454 4.7.0 to STARTTLS: \"not now\"");
    assert_nothing_sent(&relay);
}

#[tokio::test]
async fn relay_without_tls_is_a_failure() {
    let authority = Authority::new();
    let relay = Relay::plain(&["AUTH PLAIN"]).await;
    let mut options = options(relay.port);
    options.encryption = Encryption::Tls;
    options.extra_authorities = vec![authority.certificate.clone()];
    let text = transient(&SmtpTransport::new(&options, dns()).unwrap()).await;
    assert!(text.contains("TLS handshake"), "{text}");
    relay.received(|received| assert!(received.messages.is_empty()));
}
