//! `[email.smtp]`: the relay that takes mails.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::transport::smtp::extension::ClientId;
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName as TlsName};
use serde::{Deserialize, Serialize};

use super::checker::Checker;
use super::secret::Secret;
use super::{file_access, period};
use crate::domain::ids::ServerName;

/// `[email.smtp]` as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SmtpSettings {
    /// The relay's host name or IP address.
    pub host: String,
    /// Its port; without one, the usual port of the encryption.
    pub port: Option<u16>,
    /// How the connection is protected.
    pub encryption: Encryption,
    /// The login's name.
    pub username: Option<String>,
    /// The login's password. This or `password_file` goes with `username`.
    pub password: Option<Secret>,
    /// A file that holds the password.
    pub password_file: Option<PathBuf>,
    /// Certificates of further authorities, PEM.
    pub ca_file: Option<PathBuf>,
    /// The name given in EHLO; without one, the host in `server.name`.
    pub hello_name: Option<String>,
    /// How long each step may take.
    #[serde(with = "period")]
    pub timeout: Duration,
    /// A connection unused for longer is closed.
    #[serde(with = "period")]
    pub idle_timeout: Duration,
}

impl Default for SmtpSettings {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: None,
            encryption: Encryption::Starttls,
            username: None,
            password: None,
            password_file: None,
            ca_file: None,
            hello_name: None,
            timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(30),
        }
    }
}

/// How the connection to the relay is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// Begins in the clear and must switch to TLS before anything else.
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// No TLS.
    None,
}

impl Encryption {
    /// The port that relays usually offer it on.
    #[must_use]
    pub fn usual_port(self) -> u16 {
        match self {
            Self::Starttls => 587,
            Self::Tls => 465,
            Self::None => 25,
        }
    }
}

/// `[email.smtp]` as checked.
#[derive(Debug, Clone)]
pub struct Smtp {
    /// The relay's host name or IP address; its certificate must be for this.
    pub host: String,
    /// The relay's port.
    pub port: u16,
    /// How the connection is protected.
    pub encryption: Encryption,
    /// The login, for relays that ask for one.
    pub credentials: Option<Credentials>,
    /// Authorities to trust besides the system's own.
    pub extra_authorities: Vec<CertificateDer<'static>>,
    /// The name given in EHLO.
    pub hello_name: ClientId,
    /// How long each step may take.
    pub timeout: Duration,
    /// A connection unused for longer is closed.
    pub idle_timeout: Duration,
}

/// A login at the relay.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The user's name.
    pub username: String,
    /// The user's password.
    pub password: Secret,
}

/// How long a relay may take over a whole message (RFC 5321 4.5.3.2.6): it may
/// look for spam or pass the message on before it replies, and a client that
/// hangs up earlier and tries again makes it deliver twice.
const MESSAGE_LIMIT: Duration = Duration::from_mins(10);

impl Smtp {
    /// How long the reply to the end of a message may take.
    #[must_use]
    pub fn message_limit(&self) -> Duration {
        self.timeout.max(MESSAGE_LIMIT)
    }

    /// How long one delivery may take as a whole: three times the limit of a
    /// step, so that a relay which answers each step at the last moment does not
    /// keep its connection for ever, and the limit of the message's end.
    #[must_use]
    pub fn attempt_limit(&self) -> Duration {
        self.timeout * 3 + self.message_limit()
    }
}

const PASSWORD_MISSING: &str = "is missing, since email.smtp.username is given; give it, or \
    email.smtp.password_file, or remove the user name";
const IN_THE_CLEAR: &str = "is \"none\", and the password would travel in the clear to another \
    machine; use \"starttls\" or \"tls\"";

impl SmtpSettings {
    pub(super) fn check(
        self,
        name: Option<&ServerName>,
        checker: &mut Checker<'_>,
    ) -> Option<Smtp> {
        let (second, hour) = (Duration::from_secs(1), Duration::from_hours(1));
        checker.period("email.smtp.timeout", self.timeout, second, hour);
        checker.period(
            "email.smtp.idle_timeout",
            self.idle_timeout,
            Duration::ZERO,
            hour,
        );
        if TlsName::try_from(self.host.as_str()).is_err() {
            checker.refuse(
                "email.smtp.host",
                "must be a host name or IP address, without a port",
            );
        }
        if self.port == Some(0) {
            checker.refuse("email.smtp.port", "must be a whole number from 1 to 65535");
        }
        let password = checker.secret(
            "email.smtp.password",
            self.password.as_ref(),
            self.password_file.as_deref(),
        );
        let credentials = self.credentials(password, checker);
        let extra_authorities = self.ca_file.as_deref().map_or_else(Vec::new, |file| {
            authorities("email.smtp.ca_file", file, checker)
        });
        let hello_name = self.hello_name(name, checker);
        Some(Smtp {
            port: self.port.unwrap_or(self.encryption.usual_port()),
            host: self.host,
            encryption: self.encryption,
            credentials,
            extra_authorities,
            hello_name: hello_name?,
            timeout: self.timeout,
            idle_timeout: self.idle_timeout,
        })
    }

    fn credentials(
        &self,
        password: Option<Secret>,
        checker: &mut Checker<'_>,
    ) -> Option<Credentials> {
        let given = self.password.is_some() || self.password_file.is_some();
        match (&self.username, given) {
            (None, true) => checker.refuse(
                "email.smtp.username",
                "is missing, since a password is given; give both or neither",
            ),
            (Some(_), false) => checker.refuse("email.smtp.password", PASSWORD_MISSING),
            _ => {}
        }
        if given && self.encryption == Encryption::None && !is_loopback(&self.host) {
            checker.refuse("email.smtp.encryption", IN_THE_CLEAR);
        }
        Some(Credentials {
            username: self.username.clone()?,
            password: password?,
        })
    }

    fn hello_name(&self, name: Option<&ServerName>, checker: &mut Checker<'_>) -> Option<ClientId> {
        let Some(text) = &self.hello_name else {
            return Some(client_id(name?.host()));
        };
        if ServerName::parse(text).is_ok_and(|name| name.host() == text) {
            return Some(client_id(text));
        }
        checker.refuse(
            "email.smtp.hello_name",
            "must be a host name or IP address, without a port",
        );
        None
    }
}

/// Whether mail to this host stays on the machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.to_canonical().is_loopback())
}

fn client_id(host: &str) -> ClientId {
    match host.trim_matches(['[', ']']).parse() {
        Ok(IpAddr::V4(ip)) => ClientId::Ipv4(ip),
        Ok(IpAddr::V6(ip)) => ClientId::Ipv6(ip),
        Err(_) => ClientId::Domain(host.to_owned()),
    }
}

/// The certificates in the file that the setting `key` names.
pub(super) fn authorities(
    key: &str,
    file: &Path,
    checker: &mut Checker<'_>,
) -> Vec<CertificateDer<'static>> {
    let file = checker.resolve(key, file);
    let pem = match std::fs::read(&file) {
        Ok(pem) => pem,
        Err(error) => {
            checker.refuse(key, file_access::unreadable(&file, &error));
            return Vec::new();
        }
    };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.unwrap_or_default();
    let mut store = RootCertStore::empty();
    let usable = found
        .iter()
        .all(|certificate| store.add(certificate.clone()).is_ok());
    if found.is_empty() || !usable {
        let sentence = format!("{} must hold certificates in PEM form", file.display());
        checker.refuse(key, sentence);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_server_names() {
        for (name, host, hello) in [
            ("example.org", "example.org", "example.org"),
            ("example.org:8448", "example.org", "example.org"),
            ("192.0.2.1:8448", "192.0.2.1", "[192.0.2.1]"),
            ("[2001:db8::1]", "[2001:db8::1]", "[IPv6:2001:db8::1]"),
            ("[2001:db8::1]:8448", "[2001:db8::1]", "[IPv6:2001:db8::1]"),
        ] {
            let name = ServerName::parse(name).unwrap();
            assert_eq!(name.host(), host);
            assert_eq!(client_id(host).to_string(), hello);
        }
    }

    #[test]
    fn mail_to_loopback_stays_on_the_machine() {
        for (host, loopback) in [
            ("localhost", true),
            ("127.0.0.1", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("mail.example.org", false),
            ("192.0.2.1", false),
            ("0.0.0.0", false),
        ] {
            assert_eq!(is_loopback(host), loopback, "{host}");
        }
    }
}
