//! The settings of the relay, and their checked form.

use std::net::IpAddr;
use std::time::Duration;

use idna::AsciiDenyList;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::extension::ClientId;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::reply::{Step, within};
use super::tls;
use crate::delivery::mail::{SendFailure, TransportError};

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// Not at all: for a relay on the same machine.
    None,
    /// Plain text first, then STARTTLS, without which nothing is sent.
    StartTls,
    /// TLS from the first byte.
    Tls,
}

/// The settings of a relay. `Debug` shows no password.
#[derive(Debug, Clone)]
pub struct SmtpOptions {
    /// Name or IP address; the certificate must be for it.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the connection is protected.
    pub encryption: Encryption,
    /// User name and password, if the relay wants a login. Their `Debug`
    /// shows neither.
    pub credentials: Option<Credentials>,
    /// Certificate authorities to trust besides the system's.
    pub extra_authorities: Vec<CertificateDer<'static>>,
    /// What to say in EHLO.
    pub hello_name: ClientId,
    /// The longest time for one command, and for one attempt to connect.
    pub timeout: Duration,
    /// How long the reply to the end of a message may take.
    pub message_timeout: Duration,
    /// A connection that was idle for so long is not used any more.
    pub idle_timeout: Duration,
    /// The most connections at a time, and so the most messages; at least 1.
    pub max_connections: usize,
}

/// A relay whose settings are checked.
pub(super) struct Relay {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) security: Security,
    pub(super) credentials: Option<Credentials>,
    pub(super) hello: ClientId,
    pub(super) timeout: Duration,
    pub(super) message_timeout: Duration,
}

/// [`Encryption`] with what it takes.
pub(super) enum Security {
    None,
    StartTls(Tls),
    Tls(Tls),
}

/// Makes the TLS handshakes, and knows which name to ask for.
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    /// Fails unless the certificate is trusted and for the relay's name.
    pub(super) async fn shake(
        &self,
        tcp: TcpStream,
        limit: Duration,
    ) -> Result<TlsStream<TcpStream>, SendFailure> {
        within(limit, Step::Handshake, async {
            let shaken = self.connector.connect(self.name.clone(), tcp).await;
            shaken.map_err(|error| {
                // The text may repeat names from the relay's certificate.
                let why = error.to_string().replace(char::is_control, " ");
                SendFailure::passing(format!("the TLS handshake with the relay failed: {why}"))
            })
        })
        .await
    }
}

impl Relay {
    pub(super) fn check(options: &SmtpOptions) -> Result<Self, TransportError> {
        let bad_host = || TransportError::BadHost(options.host.clone());
        let host = ascii_host(&options.host).ok_or_else(bad_host)?;
        let in_the_clear = options.encryption == Encryption::None;
        if in_the_clear && options.credentials.is_some() && !is_this_machine(&host) {
            return Err(TransportError::PasswordInTheClear);
        }
        if options.max_connections == 0 {
            return Err(TransportError::NoConnections);
        }
        let tls = || {
            Ok(Tls {
                connector: tls::connector(&options.extra_authorities)?,
                name: ServerName::try_from(host.clone()).map_err(|_not_a_name| bad_host())?,
            })
        };
        let security = match options.encryption {
            Encryption::None => Security::None,
            Encryption::StartTls => Security::StartTls(tls()?),
            Encryption::Tls => Security::Tls(tls()?),
        };
        Ok(Self {
            host,
            port: options.port,
            security,
            credentials: options.credentials.clone(),
            hello: options.hello_name.clone(),
            timeout: options.timeout,
            message_timeout: options.message_timeout,
        })
    }
}

/// The host as the resolver and certificates know it: an IP address without
/// brackets, or a name in A-labels.
fn ascii_host(host: &str) -> Option<String> {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some(address.to_string());
    }
    let name = idna::domain_to_ascii_cow(host.as_bytes(), AsciiDenyList::URL).ok()?;
    // Of the two, only this one looks at lengths and at empty labels.
    ServerName::try_from(&*name).ok()?;
    Some(name.into_owned())
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost"
        || host
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(host: &str, encryption: Encryption) -> SmtpOptions {
        SmtpOptions {
            host: host.to_owned(),
            port: 25,
            encryption,
            credentials: None,
            extra_authorities: Vec::new(),
            hello_name: ClientId::Domain("id.example.com".to_owned()),
            timeout: Duration::from_secs(1),
            message_timeout: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(1),
            max_connections: 1,
        }
    }

    #[test]
    fn hosts_are_names_or_addresses() {
        for (host, known_as) in [
            ("localhost", "localhost"),
            ("mail.example.com", "mail.example.com"),
            ("MAIL.example.com", "mail.example.com"),
            ("mail_relay", "mail_relay"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("[::1]", "::1"),
        ] {
            assert_eq!(ascii_host(host).as_deref(), Some(known_as), "{host}");
        }
        for bad in [
            "",
            " ",
            "a b",
            "a\r\nb",
            "mail.example.com:25",
            "smtp://mail",
            "a..b",
            "user@mail",
            "[mail]",
            "<mail>",
        ] {
            assert_eq!(ascii_host(bad), None, "{bad:?}");
            let error = Relay::check(&options(bad, Encryption::None)).err().unwrap();
            assert!(matches!(error, TransportError::BadHost(_)), "{error}");
        }
    }

    #[test]
    fn a_password_without_encryption_is_for_this_machine_only() {
        for (host, encryption, fine) in [
            ("localhost", Encryption::None, true),
            ("127.0.0.2", Encryption::None, true),
            ("[::1]", Encryption::None, true),
            ("mail.example.com", Encryption::None, false),
            ("192.0.2.1", Encryption::None, false),
        ] {
            let mut options = options(host, encryption);
            options.credentials = Some(Credentials::new("u".to_owned(), "secret".to_owned()));
            assert_eq!(Relay::check(&options).is_ok(), fine, "{host}");
            assert!(!format!("{options:?}").contains("secret"));
        }
    }

    #[test]
    fn a_limit_of_no_connections_is_refused() {
        let mut options = options("localhost", Encryption::None);
        options.max_connections = 0;
        let error = Relay::check(&options).err().unwrap();
        assert!(matches!(error, TransportError::NoConnections), "{error}");
    }
}
