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
    /// It did not answer, or the connection broke.
    Network(String),
    /// It does not support TLS.
    NoTls,
    /// TLS failed.
    Tls(String),
    /// It accepts no sessions now, or is not of the kind that `target_session_attrs` asks
    /// for.
    Unfit(String),
    /// It refused the session. The other servers, which would be asked with the same
    /// password, are not.
    Session(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTls => f.write_str("the server does not support TLS"),
            Self::Network(reason)
            | Self::Tls(reason)
            | Self::Unfit(reason)
            | Self::Session(reason) => f.write_str(reason),
        }
    }
}

/// Connects to the first server that can accept the session, as libpq does: if that one
/// refuses it, the others are not tried. `defaults` are the time limits of those that the
/// URL does not set.
///
/// # Errors
/// The reasons of all servers that were tried.
pub(super) fn establish(
    connection: &PostgresConnection,
    defaults: &[(&str, &str)],
) -> Result<PgConnection, String> {
    let mut failures = Vec::new();
    for host in &connection.hosts {
        let failure = match connect(connection, host, defaults) {
            Ok(established) => return Ok(established),
            Err(failure) => failure,
        };
        failures.push(if host.is_local() {
            failure.to_string()
        } else {
            format!("{}:{}: {failure}", host.shown(), host.port)
        });
        if matches!(failure, Failure::Session(_)) {
            break;
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
        SslMode::Allow => plain().or_else(|first| match first {
            Failure::Unfit(_) => Err(first),
            first => match encrypted() {
                Err(Failure::NoTls | Failure::Network(_)) => Err(first),
                Err(second) => Err(both(&first, &second)),
                established => established,
            },
        }),
        SslMode::Prefer => encrypted().or_else(|first| match first {
            Failure::Network(_) | Failure::Unfit(_) => Err(first),
            Failure::NoTls => plain(),
            Failure::Tls(_) | Failure::Session(_) => {
                plain().map_err(|second| both(&first, &second))
            }
        }),
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => encrypted(),
    }
}

/// The later one decides whether the other servers are tried.
fn both(first: &Failure, second: &Failure) -> Failure {
    let reasons = format!("{first}; {second}");
    match second {
        Failure::Session(_) => Failure::Session(reasons),
        Failure::Unfit(_) => Failure::Unfit(reasons),
        Failure::Network(_) | Failure::NoTls | Failure::Tls(_) => Failure::Tls(reasons),
    }
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
        let reason = reason.to_owned();
        if is_temporary(&reason) || is_unwanted(&reason) {
            Failure::Unfit(reason)
        } else if is_of_server(&text) || is_about_password(&reason) {
            Failure::Session(reason)
        } else {
            Failure::Network(reason)
        }
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
    PgConnection::establish(conninfo.as_str()).map_err(|error| {
        let (text, notes) = (error.to_string(), tunnel.notes());
        let reason = reason(&text).to_owned();
        match notes.failure {
            _ if notes.is_temporary || is_unwanted(&reason) => Failure::Unfit(reason),
            // With TLS 1.3 the server judges the certificate of the client after the
            // handshake. What it says to libpq is more than why the tunnel ended then.
            Some(failure) if !is_of_server(&text) => Failure::Tls(failure),
            _ => Failure::Session(reason),
        }
    })
}

/// Whether libpq reports what the server said: the word for its severity, which is in the
/// language of the server, a colon and two spaces.
fn is_of_server(error: &str) -> bool {
    reason(error).contains(":  ")
}

/// Whether the server starts, stops or recovers. libpq does not tell the code of an error.
fn is_temporary(reason: &str) -> bool {
    reason.contains("FATAL:  the database system is ")
}

/// Whether the server is not what `target_session_attrs` asks for.
fn is_unwanted(reason: &str) -> bool {
    let suffixes = [
        "session is read-only",
        "session is not read-only",
        "server is in hot standby mode",
        "server is not in hot standby mode",
    ];
    let reason = reason.trim();
    suffixes.iter().any(|suffix| reason.ends_with(suffix))
}

/// Whether libpq itself did not go on with the authentication.
fn is_about_password(reason: &str) -> bool {
    ["password", "authentication", "SASL", "SCRAM"]
        .iter()
        .any(|word| reason.contains(word))
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
    use super::{is_of_server, is_unwanted, reason};

    #[test]
    fn what_the_server_said_is_recognized() {
        let at = "connection to server at \"db\" (192.0.2.1), port 5432 failed: ";
        for (error, of_server, unwanted) in [
            ("FATAL:  no entry for host \"a\"", true, false),
            ("ВАЖНО:  role \"a\" is away", true, false),
            ("Connection refused\n\tIs the server running?", false, false),
            ("server is not in hot standby mode\n", false, true),
            ("session is read-only", false, true),
        ] {
            let text = format!("{at}{error}");
            assert_eq!(
                (is_of_server(&text), is_unwanted(&text)),
                (of_server, unwanted)
            );
        }
    }

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
