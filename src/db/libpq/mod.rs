//! Connections to PostgreSQL for libpq, which is compiled in without TLS.
//!
//! - `conninfo`: what libpq is given.
//! - `network`: the TCP connection to the server, with libpq's time limits.
//! - `handshake`, `verifier`: TLS on it.
//! - `tunnel`: a Unix socket of this process, through which libpq uses it.
//! - `startup`: what libpq must not see of it.
//! - `password_file`: the password of a server that libpq only knows as that socket.
//!
//! Each connection has a tunnel of its own, which is established before libpq starts:
//! an error of the network or of TLS is that of this code, with its reason.

mod conninfo;
mod handshake;
mod network;
mod password_file;
mod startup;
mod tunnel;
mod verifier;

use std::fmt;

use diesel::{Connection as _, PgConnection};

use self::conninfo::Conninfo;
use self::network::Network;
use self::tunnel::Tunnel;
use crate::config::{PostgresConnection, PostgresHost, SslMode};

/// Why a server could not be connected to.
#[derive(Debug)]
enum Failure {
    /// It did not answer.
    Network(String),
    /// It does not support TLS.
    NoTls,
    /// TLS failed.
    Tls(String),
    /// It refused the session, or the connection broke.
    Session(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTls => f.write_str("the server does not support TLS"),
            Self::Network(reason) | Self::Tls(reason) | Self::Session(reason) => {
                f.write_str(reason)
            }
        }
    }
}

/// Connects to the first server that accepts the session. `defaults` are the time limits
/// of those that the URL does not set.
///
/// # Errors
/// The reasons of all servers.
pub(super) fn establish(
    connection: &PostgresConnection,
    defaults: &[(&str, &str)],
) -> Result<PgConnection, String> {
    let mut failures = Vec::new();
    for host in &connection.hosts {
        match connect(connection, host, defaults) {
            Ok(established) => return Ok(established),
            Err(failure) if host.is_local() => failures.push(failure.to_string()),
            Err(failure) => {
                failures.push(format!("{}:{}: {failure}", host.shown(), host.port));
            }
        }
    }
    Err(failures.join("; "))
}

/// Connects as `sslmode` says: like libpq, `allow` and `prefer` try the other way when
/// the first one fails.
fn connect(
    connection: &PostgresConnection,
    host: &PostgresHost,
    defaults: &[(&str, &str)],
) -> Result<PgConnection, Failure> {
    let plain = || connect_plain(connection, host, defaults);
    let encrypted = || connect_tls(connection, host, defaults);
    match connection.tls.mode {
        _ if host.is_local() => plain(),
        SslMode::Disable => plain(),
        SslMode::Allow => plain().or_else(|first| match encrypted() {
            Err(Failure::NoTls | Failure::Network(_)) => Err(first),
            Err(second) => Err(both(&first, &second)),
            established => established,
        }),
        SslMode::Prefer => encrypted().or_else(|first| match first {
            Failure::Network(_) => Err(first),
            Failure::NoTls => plain(),
            Failure::Tls(_) | Failure::Session(_) => {
                plain().map_err(|second| both(&first, &second))
            }
        }),
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => encrypted(),
    }
}

fn both(first: &Failure, second: &Failure) -> Failure {
    Failure::Session(format!("{first}; {second}"))
}

fn connect_plain(
    connection: &PostgresConnection,
    host: &PostgresHost,
    defaults: &[(&str, &str)],
) -> Result<PgConnection, Failure> {
    let mut conninfo = Conninfo::new(connection, defaults);
    conninfo.add_host(host);
    PgConnection::establish(conninfo.as_str()).map_err(|error| {
        let text = error.to_string();
        // The socket helps to find out what is wrong.
        let reason = if host.is_local() {
            text.trim()
        } else {
            reason(&text)
        };
        Failure::Session(reason.to_owned())
    })
}

fn connect_tls(
    connection: &PostgresConnection,
    host: &PostgresHost,
    defaults: &[(&str, &str)],
) -> Result<PgConnection, Failure> {
    let network = Network::new(connection, defaults);
    let tunnel = Tunnel::open(host, &connection.tls, network)?;
    let mut conninfo = Conninfo::new(connection, defaults);
    conninfo.add_socket(tunnel.host());
    if let Some(password) = password_file::find(connection, host) {
        conninfo.add("password", password.expose());
    }
    if connection.option("target_session_attrs") == Some("prefer-standby") {
        // With a single server it only means a second attempt, for which there is no tunnel.
        conninfo.add("target_session_attrs", "any");
    }
    // With TLS 1.3 the server judges the certificate of the client after the handshake.
    PgConnection::establish(conninfo.as_str()).map_err(|error| match tunnel.failure() {
        Some(reason) => Failure::Tls(reason),
        None => Failure::Session(reason(&error.to_string()).to_owned()),
    })
}

/// An error of libpq without the server, which it knows only as the socket of a tunnel.
fn reason(error: &str) -> &str {
    let error = error.trim();
    match error.split_once(" failed: ") {
        Some((server, reason)) if is_server(server) && !is_server(reason) => reason,
        _ => error,
    }
}

fn is_server(text: &str) -> bool {
    text.contains("connection to server ")
}

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn errors_do_not_name_the_tunnel() {
        let tunnel =
            "connection to server on socket \"@sydent-a/.s.PGSQL.5432\" failed: FATAL: x\n";
        let two = "connection to server at \"a\" failed: refused\nconnection to server at \"b\" \
                   failed: refused";
        for (error, shown) in [
            (tunnel, "FATAL: x"),
            (two, two),
            ("it failed: x", "it failed: x"),
        ] {
            assert_eq!(reason(error), shown);
        }
    }
}
