//! `[email.smtp]`: the SMTP relay.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use lettre::transport::smtp::extension::ClientId;
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use super::certificates::authorities;
use super::checker::Checker;
use super::encryption::Encryption;
use super::secret::{Credentials, Secret};
use super::{duration, host};
use crate::domain::ids::ServerName;

/// `[email.smtp]` as set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SmtpSettings {
    /// The relay's host name or IP address.
    pub host: String,
    /// Its port; the default depends on the encryption.
    pub port: Option<u16>,
    /// The encryption of the connection.
    pub encryption: Encryption,
    /// The user name of the login.
    pub username: Option<String>,
    /// The password of the login. `username` requires this or `password_file`.
    pub password: Option<Secret>,
    /// A file that contains the password.
    pub password_file: Option<PathBuf>,
    /// Certificates of further authorities to trust, PEM.
    pub ca_file: Option<PathBuf>,
    /// The name for EHLO; by default the host in `server.name`.
    pub hello_name: Option<String>,
    /// The timeout of connecting, and the least one of each reply.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// An idle connection is closed after this time.
    #[serde(with = "duration")]
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

/// `[email.smtp]` as checked.
#[derive(Debug, Clone)]
pub struct Smtp {
    /// The relay's host name, in lower case and A-labels, or its IP address, without
    /// brackets. Its certificate must be for this.
    pub host: String,
    /// The relay's port.
    pub port: u16,
    /// The encryption of the connection.
    pub encryption: Encryption,
    /// The login, if the relay requires one.
    pub credentials: Option<Credentials>,
    /// Authorities to trust in addition to the system's.
    pub extra_authorities: Vec<CertificateDer<'static>>,
    /// The name for EHLO.
    pub hello_name: ClientId,
    /// The timeout of connecting.
    pub timeout: Duration,
    /// The timeout of the greeting.
    pub greeting_timeout: Duration,
    /// The timeout of the reply to each command.
    pub command_timeout: Duration,
    /// The timeout of the reply to the end of a message.
    pub message_timeout: Duration,
    /// An idle connection is closed after this time.
    pub idle_timeout: Duration,
    /// The maximum number of connections, at least 1.
    pub max_connections: usize,
}

/// The minimum for the greeting and for the reply to a command (RFC 5321 4.5.3.2.1 to
/// 4.5.3.2.4). Relays delay them to look up the client and the recipient, or to slow
/// down senders of spam.
const MIN_COMMAND_TIMEOUT: Duration = Duration::from_mins(5);

/// The minimum for the reply to the end of a message (RFC 5321 4.5.3.2.6): the relay may
/// scan or forward the message before it replies, and a client that hangs up earlier and
/// retries causes a duplicate.
const MIN_MESSAGE_TIMEOUT: Duration = Duration::from_mins(10);

impl Smtp {
    /// How long everything before the message may take in one delivery, so that a relay
    /// which delays every reply until just before the timeout does not occupy its
    /// connection indefinitely.
    #[must_use]
    pub fn prepare_limit(&self) -> Duration {
        self.timeout * 3 + self.greeting_timeout + self.command_timeout
    }

    /// How long one delivery may take in total. The message is sent twice at most: over
    /// an old connection, where it is refused, and over a fresh one.
    #[must_use]
    pub fn attempt_limit(&self) -> Duration {
        self.prepare_limit() + 2 * self.message_timeout + Duration::from_secs(5)
    }
}

const HOST: &str = "must be a host name or an IP address, without a port";
const PORT: &str = "must be a whole number from 1 to 65535";
const USERNAME_MISSING: &str = "is missing: set it, or remove the password";
const PASSWORD_MISSING: &str = "is missing: set it or email.smtp.password_file, or remove \
    email.smtp.username";
const PASSWORD_UNUSED: &str = "is empty, which means no login: the password is not used";
const PASSWORD_EXPOSED: &str = "must not be \"none\" with a password: the password would be sent \
    unencrypted to another machine. Use \"starttls\" or \"tls\"";

impl SmtpSettings {
    /// Each of the `concurrency` deliveries uses one connection.
    pub(super) fn check(
        self,
        name: Option<&ServerName>,
        concurrency: usize,
        checker: &mut Checker<'_>,
    ) -> Option<Smtp> {
        let (second, hour) = (Duration::from_secs(1), Duration::from_hours(1));
        checker.duration("email.smtp.timeout", self.timeout, second, hour);
        checker.duration(
            "email.smtp.idle_timeout",
            self.idle_timeout,
            Duration::ZERO,
            hour,
        );
        let host = host::normalize(&self.host);
        if host.is_none() {
            checker.error("email.smtp.host", HOST);
        }
        if self.port == Some(0) {
            checker.error("email.smtp.port", PORT);
        }
        let port = self.port.unwrap_or(self.encryption.usual_port());
        if let Some(warning) = self.encryption.port_warning(port) {
            checker.warn("email.smtp.encryption", warning);
        }
        let credentials = self.credentials(host.as_deref(), checker);
        let extra_authorities = self.ca_file.as_deref().map_or_else(Vec::new, |file| {
            authorities("email.smtp.ca_file", file, checker)
        });
        let hello_name = self.hello_name(name, checker);
        Some(Smtp {
            host: host?,
            port,
            encryption: self.encryption,
            credentials,
            extra_authorities,
            hello_name: hello_name?,
            timeout: self.timeout,
            greeting_timeout: self.timeout.max(MIN_COMMAND_TIMEOUT),
            command_timeout: self.timeout.max(MIN_COMMAND_TIMEOUT),
            message_timeout: self.timeout.max(MIN_MESSAGE_TIMEOUT),
            idle_timeout: self.idle_timeout,
            max_connections: concurrency,
        })
    }

    /// The login. An empty user name is none, as in Sydent and in environments that
    /// set every variable.
    fn credentials(&self, host: Option<&str>, checker: &mut Checker<'_>) -> Option<Credentials> {
        if self
            .username
            .as_deref()
            .is_some_and(|name| name.trim().is_empty())
        {
            let password = self.password.as_ref().map_or("", Secret::expose);
            if !password.is_empty() || self.password_file.is_some() {
                checker.warn("email.smtp.username", PASSWORD_UNUSED);
            }
            return None;
        }
        let password = checker.secret(
            "email.smtp.password",
            self.password.as_ref(),
            self.password_file.as_deref(),
        );
        let has_password = self.password.is_some() || self.password_file.is_some();
        match (&self.username, has_password) {
            (None, true) => checker.error("email.smtp.username", USERNAME_MISSING),
            (Some(_), false) => checker.error("email.smtp.password", PASSWORD_MISSING),
            _ => {}
        }
        if has_password && host.is_some_and(|host| !self.encryption.allows_password(host)) {
            checker.error("email.smtp.encryption", PASSWORD_EXPOSED);
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
        let ascii = if text.is_ascii() {
            Some(text.clone())
        } else {
            host::normalize(text)
        };
        let valid = ascii.filter(|text| ServerName::parse(text).is_ok_and(|n| n.host() == text));
        if let Some(text) = valid {
            return Some(client_id(&text));
        }
        checker.error("email.smtp.hello_name", HOST);
        None
    }
}

fn client_id(host: &str) -> ClientId {
    match host.trim_matches(['[', ']']).parse() {
        Ok(IpAddr::V4(ip)) => ClientId::Ipv4(ip),
        Ok(IpAddr::V6(ip)) => ClientId::Ipv6(ip),
        Err(_) => ClientId::Domain(host.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::origins::Origins;

    /// The settings, the problems and the warnings.
    fn checked(settings: SmtpSettings) -> (Option<Smtp>, Vec<String>, Vec<String>) {
        let origins = Origins::default();
        let mut checker = Checker::new(&origins);
        let name = ServerName::parse("example.org").unwrap();
        let smtp = settings.check(Some(&name), 1, &mut checker);
        let problems = checker.problems.into_iter();
        let warnings = checker.warnings.into_iter();
        (
            smtp,
            problems.map(|problem| problem.key).collect(),
            warnings.map(|warning| warning.key).collect(),
        )
    }

    fn problems(settings: SmtpSettings) -> Vec<String> {
        checked(settings).1
    }

    #[test]
    fn empty_user_name_is_no_login() {
        for (username, password, warned) in [("", "", false), (" ", "", false), ("", "p", true)] {
            let (smtp, problems, warnings) = checked(SmtpSettings {
                host: "mail.example.com".to_owned(),
                encryption: Encryption::None,
                username: Some(username.to_owned()),
                password: Some(Secret::from(password.to_owned())),
                ..SmtpSettings::default()
            });
            assert!(smtp.unwrap().credentials.is_none() && problems.is_empty());
            assert_eq!(!warnings.is_empty(), warned);
        }
    }

    #[test]
    fn ehlo_name_derives_from_the_server_name() {
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
    fn password_is_sent_encrypted_or_to_loopback() {
        for (host, problem) in [
            ("localhost", None),
            ("LOCALHOST", None),
            ("localhost.", None),
            ("127.0.0.2", None),
            ("[::1]", None),
            ("::ffff:127.0.0.1", None),
            ("0.0.0.0", Some("email.smtp.encryption")),
            ("mail.example.com", Some("email.smtp.encryption")),
            ("192.0.2.1", Some("email.smtp.encryption")),
        ] {
            for encryption in [Encryption::None, Encryption::Starttls, Encryption::Tls] {
                let unencrypted = encryption == Encryption::None;
                assert_eq!(
                    encryption.allows_password(host),
                    problem.is_none() || !unencrypted,
                    "{host}"
                );
                let found = problems(SmtpSettings {
                    host: host.to_owned(),
                    encryption,
                    username: Some("u".to_owned()),
                    password: Some(Secret::from("p".to_owned())),
                    ..SmtpSettings::default()
                });
                let expected: Vec<&str> = problem.filter(|_| unencrypted).into_iter().collect();
                assert_eq!(found, expected, "{host}");
            }
        }
        // Resolvers disagree on this one, so it is not a host at all.
        let settings = SmtpSettings {
            host: "127.1".to_owned(),
            encryption: Encryption::None,
            username: Some("u".to_owned()),
            password: Some(Secret::from("p".to_owned())),
            ..SmtpSettings::default()
        };
        assert_eq!(problems(settings), ["email.smtp.host"]);
    }
}
