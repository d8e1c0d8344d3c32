//! The URL of a `PostgreSQL` database: what it says about the connection. It must not be
//! ambiguous, so that no part of its password is mistaken for another part and shown.

mod hosts;
mod options;
mod split;
mod tls;

use std::path::PathBuf;

use url::Url;

pub use self::hosts::PostgresHost;
use self::options::Options;
pub use self::tls::{PostgresTls, SslMode, TlsFiles, TlsVersions, TrustedAuthorities};
use super::checker::Checker;
use super::secret::Secret;
use crate::domain::Invalid;

/// Whether libpq is the one of the system, which has TLS of its own.
const HAS_OWN_TLS: bool = !cfg!(feature = "vendored-libpq");

/// A `PostgreSQL` URL; it may contain a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    text: Secret,
    opened: Option<PostgresConnection>,
}

/// How a connection is opened for libpq, which cannot do TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresConnection {
    /// The servers in the order in which they are tried.
    pub hosts: Vec<PostgresHost>,
    /// What is demanded of TLS.
    pub tls: PostgresTls,
    options: Vec<(&'static str, Secret)>,
    /// The file with passwords, for a URL without one.
    pub password_file: Option<PathBuf>,
}

impl PostgresUrl {
    /// Parses a URL as libpq does.
    ///
    /// # Errors
    /// It is ambiguous, or the program was built without something that it demands.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        check(text).map_err(|invalid| invalid.to_string())?;
        let opened = if HAS_OWN_TLS {
            None
        } else {
            PostgresConnection::parse(text)?
        };
        Ok(Self {
            text: Secret::from(text.to_owned()),
            opened,
        })
    }

    /// The URL with its password; never log or print it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.text.expose()
    }

    /// How the connection is opened; `None` if libpq opens it itself.
    #[must_use]
    pub fn opened(&self) -> Option<&PostgresConnection> {
        self.opened.as_ref()
    }

    /// Whether a connection may be to one or another server.
    pub(super) fn has_several_hosts(&self) -> bool {
        let is_list = |(name, value): &(String, Secret)| {
            ["host", "hostaddr"].contains(&name.as_str()) && value.expose().contains(',')
        };
        let written = split::options(self.expose());
        let opened = self.opened.as_ref();
        written.is_ok_and(|options| options.iter().any(is_list))
            || opened.is_some_and(|opened| opened.hosts.len() > 1)
    }

    /// Checks the files that it names.
    pub(super) fn check_files(&self, key: &str, checker: &mut Checker<'_>) {
        let Some(opened) = &self.opened else {
            return;
        };
        if !opened.needs_tunnel() {
            return;
        }
        if let Err(reason) = opened.tls.load() {
            checker.error(
                key,
                format!("has files for TLS that cannot be used: {reason}"),
            );
        }
        if let Some(file) = opened.tls.key_file() {
            checker.warn_if_exposed(key, file);
        }
    }
}

impl PostgresConnection {
    /// The options that libpq gets, without the server and TLS.
    pub fn options(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let options = self.options.iter();
        options.map(|(name, value)| (*name, value.expose()))
    }

    /// The value of one of them, unless it is empty.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&str> {
        let mut options = self.options();
        let value = options.find_map(|(other, value)| (other == name).then_some(value));
        value.filter(|value| !value.is_empty())
    }

    /// Whether any of the servers can be reached only through TCP, and so with TLS.
    #[must_use]
    pub fn needs_tunnel(&self) -> bool {
        !self.hosts.iter().all(PostgresHost::is_local)
    }

    /// `None` if there is no TLS, so that libpq can open it.
    fn parse(text: &str) -> Result<Option<Self>, String> {
        let options = Options::parse(text)?;
        for name in ["channel_binding", "gssencmode"] {
            if options.get(name) == Some("require") {
                return Err(format!(
                    "has {name}=require, which this build does not support"
                ));
            }
        }
        let tls = PostgresTls::parse(&options)?;
        if tls.mode == SslMode::Disable {
            return Ok(None);
        }
        if let Some(refused) = options.refused() {
            return Err(refused);
        }
        if options.get("load_balance_hosts") == Some("random") {
            return Err(
                "has load_balance_hosts=random, which this build does not support".to_owned(),
            );
        }
        let hosts = hosts::parse(&options)?;
        if let Some(refused) = refused_with_several(&options, &hosts) {
            return Err(refused.to_owned());
        }
        let is_nameless = |host: &PostgresHost| !host.is_local() && host.name.is_none();
        if tls.mode == SslMode::VerifyFull && hosts.iter().any(is_nameless) {
            return Err("has sslmode=verify-full, which needs the name of the host".to_owned());
        }
        if tls.mode >= SslMode::Require && options.get("host").or(options.get("hostaddr")).is_none()
        {
            return Err(NO_HOST.to_owned());
        }
        // libpq would take the name of the account that runs this process, which the
        // search in the file with passwords does not know.
        if options.get("user").is_none() && !hosts.iter().all(PostgresHost::is_local) {
            return Err(NO_USER.to_owned());
        }
        let default_file = || Some(std::env::home_dir()?.join(".pgpass"));
        let password_file = options.get("passfile").map(PathBuf::from);
        Ok(Some(Self {
            hosts,
            tls,
            options: options.for_libpq(),
            password_file: password_file.or_else(default_file),
        }))
    }
}

const NO_HOST: &str = "demands TLS but names no host, so that the connection would be one without \
    TLS through a Unix socket; add the host, or remove sslmode";

const NO_USER: &str = "names no user of PostgreSQL; add it, such as postgres://sydent@host/name";

fn refused_with_several(options: &Options, hosts: &[PostgresHost]) -> Option<&'static str> {
    (hosts.len() > 1 && options.get("target_session_attrs") == Some("prefer-standby")).then_some(
        "has several hosts and target_session_attrs=prefer-standby, which this build does not \
         support together",
    )
}

const NOT_ENCODED: Invalid = Invalid(
    "is ambiguous: percent-encode the characters / ? # @ : and % in the user name and password, \
     such as %40 for @",
);

/// Checks that libpq splits the URL where the administrator meant it to. libpq quotes
/// what it cannot parse in its errors, which would include the part of a password after
/// an unencoded `@`, `/` or `?`.
///
/// # Errors
/// A message without any part of the URL.
pub(super) fn check(text: &str) -> Result<(), Invalid> {
    let (_, rest) = text.split_once("://").ok_or(NOT_ENCODED)?;
    if !escapes_are_whole(rest) {
        return Err(NOT_ENCODED);
    }
    let (login, location) = match rest.split_once('@') {
        Some((login, _)) if login.contains(['/', '?', '#']) => return Err(NOT_ENCODED),
        Some((_, location)) if location.contains('@') => return Err(NOT_ENCODED),
        Some((login, location)) => (Some(login), location),
        None => (None, rest),
    };
    let end = location.find(['/', '?', '#']).unwrap_or(location.len());
    let (hosts, path) = location.split_at_checked(end).ok_or(NOT_ENCODED)?;
    // libpq accepts any number of hosts, the URL standard exactly one.
    for host in hosts.split(',') {
        let name = if host.is_empty() || host.starts_with(':') {
            "host"
        } else {
            ""
        };
        let login = login.map(|login| format!("{login}@")).unwrap_or_default();
        let single = zeroize::Zeroizing::new(format!("postgres://{login}{name}{host}{path}"));
        Url::parse(&single).map_err(|_no_detail_helps_more| NOT_ENCODED)?;
    }
    Ok(())
}

fn escapes_are_whole(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        let mut digits = after.bytes().take(2);
        let whole = digits.next().zip(digits.next());
        whole.is_some_and(|(a, b)| {
            a.is_ascii_hexdigit() && b.is_ascii_hexdigit() && (a, b) != (b'0', b'0')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unencoded_password_is_rejected() {
        for fine in [
            "postgres://id:hunter2@db/x",
            "postgres://id:hunt%40er%2F2@db:5432/x?sslmode=require",
            "postgres://id@/x",
            "postgresql:///x?host=/run/postgresql",
            "postgres://%2Frun%2Fpostgresql/x",
            "postgres://id:hunter2@a:1,b:2/x",
            "postgres://[::1]:5432/x",
            "postgres://:5432/x",
        ] {
            assert_eq!(check(fine), Ok(()), "{fine}");
        }
        for bad in [
            "postgres://sydent:pa@ssWORD@127.0.0.1:5432/x",
            "postgres://sydent:1234/SECRET@h/db",
            "postgres://sydent:12?34@h/db",
            "postgres://sydent:12#34@h/db",
            "postgres://sydent:pa@h/db@x",
            "postgres://h/db?user=a@b",
            "postgres://sydent:hunter2",
            "postgres://sydent:hunter%@h/x",
            "postgres://sydent:hunter%zz@h/x",
            "postgres://sydent:hunter%00@h/x",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
