//! The settings that all connections to the relay share.

use std::time::Duration;

use lettre::transport::smtp::extension::ClientId;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::login::Login;
use super::refusal::StepFailure;
use super::step::{Step, within};
use super::tls;
use crate::config::{Encryption, Smtp};
use crate::delivery::mail::{SendFailure, TransportError};
use crate::outgoing::Dns;
use crate::outgoing::silent::SilentAddresses;

/// The settings of the relay in the types that a connection needs.
pub(super) struct Relay {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) security: Security,
    pub(super) login: Option<Login>,
    pub(super) hello: ClientId,
    pub(super) dns: Dns,
    /// Addresses of the host that did not answer lately.
    pub(super) silent: SilentAddresses,
    pub(super) timeout: Duration,
    pub(super) greeting_timeout: Duration,
    pub(super) command_timeout: Duration,
    pub(super) message_timeout: Duration,
    pub(super) prepare_limit: Duration,
}

/// [`Encryption`] with the TLS settings that it requires.
pub(super) enum Security {
    None,
    StartTls(Tls),
    Tls(Tls),
}

/// A TLS connector, and the name that the certificate must have.
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    fn new(smtp: &Smtp) -> Result<Self, TransportError> {
        let name = ServerName::try_from(smtp.host.clone())
            .map_err(|_not_a_name| TransportError::BadHost(smtp.host.clone()))?;
        Ok(Self {
            connector: tls::connector(&smtp.extra_authorities)?,
            name,
        })
    }

    /// Does the TLS handshake. It fails unless the certificate is trusted and has the
    /// name of the relay.
    pub(super) async fn handshake(
        &self,
        tcp: TcpStream,
        timeout: Duration,
    ) -> Result<TlsStream<TcpStream>, StepFailure> {
        let handshake = self.connector.connect(self.name.clone(), tcp);
        let shaken = within(timeout, async { Ok(handshake.await) })
            .await
            .map_err(|error| StepFailure::unanswered(Step::Handshake, &error))?;
        shaken.map_err(|error| {
            // The error may quote names from the certificate.
            let shown = error.to_string().replace(char::is_control, " ");
            let hint = if is_no_tls(&error) {
                "; the relay may expect another email.smtp.encryption on this port"
            } else {
                ""
            };
            StepFailure::other(SendFailure::transient(format!(
                "the TLS handshake with the relay failed: {shown}{hint}"
            )))
        })
    }
}

/// Whether the answer to the handshake was not TLS, such as a greeting.
fn is_no_tls(error: &std::io::Error) -> bool {
    let tls = error.get_ref().and_then(|error| error.downcast_ref());
    matches!(tls, Some(rustls::Error::InvalidMessage(_)))
}

impl Relay {
    /// Validates the settings. It does not connect.
    pub(super) fn new(smtp: &Smtp, dns: Dns) -> Result<Self, TransportError> {
        if smtp.credentials.is_some() && !smtp.encryption.allows_password(&smtp.host) {
            return Err(TransportError::PasswordInTheClear);
        }
        let security = match smtp.encryption {
            Encryption::None => Security::None,
            Encryption::Starttls => Security::StartTls(Tls::new(smtp)?),
            Encryption::Tls => Security::Tls(Tls::new(smtp)?),
        };
        Ok(Self {
            host: smtp.host.clone(),
            port: smtp.port,
            security,
            login: smtp
                .credentials
                .as_ref()
                .map(|login| Login::new(&login.username, login.password.expose())),
            hello: smtp.hello_name.clone(),
            dns,
            silent: SilentAddresses::default(),
            timeout: smtp.timeout,
            greeting_timeout: smtp.greeting_timeout,
            command_timeout: smtp.command_timeout,
            message_timeout: smtp.message_timeout,
            prepare_limit: smtp.prepare_limit(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{dns, login, options};
    use super::*;

    #[test]
    fn plaintext_password_is_for_loopback_only() {
        for (host, encryption, allowed) in [
            ("localhost", Encryption::None, true),
            ("127.0.0.2", Encryption::None, true),
            ("::1", Encryption::None, true),
            ("mail.example.com", Encryption::None, false),
            ("192.0.2.1", Encryption::None, false),
        ] {
            let smtp = Smtp {
                host: host.to_owned(),
                encryption,
                credentials: Some(login()),
                ..options(25)
            };
            assert_eq!(Relay::new(&smtp, dns()).is_ok(), allowed, "{host}");
            assert!(!format!("{smtp:?}").contains("pass\""));
        }
    }
}
