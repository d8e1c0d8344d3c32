//! `sydent bind`, `sydent unbind` and `sydent lookup`: requests to the internal
//! listener of a running server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use clap::Args;
use serde_json::{Value, json};

use super::client::{InternalClient, InternalUrl};
use super::config_file::ConfigFile;
use super::failure::Failure;
use super::peer_flags::PeerFlags;
use super::stdout::{print, shown};
use super::typed;
use crate::config;
use crate::domain::ids::Mxid;
use crate::domain::threepid::ThreePid;

pub(super) const LOOKUP_EXIT_CODES: &str = "\
Exit codes:
  0  The address is bound
  1  The address is not bound
  2  The address cannot be bound, or the lookup failed";
pub(super) const BIND_EXIT_CODES: &str = "\
Exit codes:
  0  The address is bound to this user
  1  The server did not answer or refused
  2  An argument is invalid; nothing was sent";
pub(super) const UNBIND_EXIT_CODES: &str = "\
Exit codes:
  0  The binding was removed
  1  There was no such binding on this server; nothing was removed
  2  An argument is invalid, or the server did not answer or refused";

/// The arguments of `sydent lookup`.
#[derive(Debug, Args)]
pub(super) struct LookupArguments {
    /// The kind of address: `email` or `msisdn` (also `mail`, `phone`, `tel`, `sms`).
    medium: String,
    /// The address, such as `alice@example.org`, or the phone number with its
    /// country code, such as `+44 7700 900001`.
    #[arg(required = true)]
    address: Vec<String>,
    #[command(flatten)]
    server: ServerFlag,
}

/// The arguments of `sydent unbind`.
#[derive(Debug, Args)]
pub(super) struct Unbinding {
    #[command(flatten)]
    binding: Binding,
    #[command(flatten)]
    peer: PeerFlags,
}

/// The arguments of `sydent bind`.
#[derive(Debug, Args)]
pub(super) struct Binding {
    /// The kind of address: `email` or `msisdn` (also `mail`, `phone`, `tel`, `sms`).
    medium: String,
    /// The address, such as `alice@example.org`, or the phone number with its
    /// country code, such as `+44 7700 900001`.
    #[arg(required = true)]
    address: Vec<String>,
    /// The user's Matrix ID, such as `@alice:example.org`.
    mxid: String,
    #[command(flatten)]
    server: ServerFlag,
}

#[derive(Debug, Args)]
struct ServerFlag {
    /// The URL of the internal listener, such as `http://127.0.0.1:8091`
    /// [default: the first address of internal.listen in the configuration].
    #[arg(long, value_name = "URL")]
    internal: Option<InternalUrl>,
    #[command(flatten)]
    file: ConfigFile,
}

impl Binding {
    pub(super) fn bind(&self) -> Result<(), Failure> {
        let (threepid, mxid) = self.parse()?;
        let fields = fields(&threepid, &mxid, false);
        let association = self.server.client()?.post("bind", &fields)?;
        print(&format!("{association:#}\n"))
    }

    fn parse(&self) -> Result<(ThreePid, Mxid), Failure> {
        let threepid = typed::threepid(&self.medium, &self.address.join(" "))?;
        Ok((threepid, typed::mxid(&self.mxid)?))
    }
}

impl Unbinding {
    pub(super) fn unbind(&self) -> Result<(), Failure> {
        let (threepid, mxid) = self.binding.parse()?;
        if let Some(peer) = self.peer.name() {
            return self
                .peer
                .unbind(peer, threepid, &mxid, &self.binding.server.file);
        }
        // Without a report, the response is the same when there was no binding.
        let fields = fields(&threepid, &mxid, true);
        let client = self.binding.server.client();
        let client = client.map_err(Failure::with_exit_code_2)?;
        let outcome = client
            .post("unbind", &fields)
            .map_err(Failure::with_exit_code_2)?;
        unbound(&outcome, &mxid)
    }
}

fn fields(threepid: &ThreePid, mxid: &Mxid, report: bool) -> Value {
    json!({
        "medium": threepid.medium().as_str(),
        "address": threepid.address(),
        "mxid": mxid.as_str(),
        "report": report,
    })
}

/// Says what an unbind has done, and who else has the address bound.
fn unbound(outcome: &Value, mxid: &Mxid) -> Result<(), Failure> {
    let remaining = |name: &str| outcome.get("remaining")?.get(name)?.as_str().map(shown);
    let other = match (remaining("mxid"), remaining("origin")) {
        (Some(user), Some(origin)) if user == shown(mxid.as_str()) => format!(
            "The server {origin} has bound it to {user} and only that server can remove this for \
             all; lookups still find it. To remove it here, repeat the command with --peer {origin}"
        ),
        (Some(user), Some(origin)) => {
            format!("It is bound to {user}, by the server {origin}")
        }
        _ => String::new(),
    };
    let other = match other.as_str() {
        "" => String::new(),
        other => format!(" {other}."),
    };
    match outcome.get("removed").and_then(Value::as_bool) {
        Some(true) => print(&format!("The binding was removed.{other}\n")),
        Some(false) => Err(Failure::new(format!(
            "Nothing was removed: this server has not bound the address to {mxid}.{other}"
        ))),
        None => Err(Failure::new(
            "The server did not say what it removed; it is another version than this program. \
             Look the address up.",
        )
        .with_exit_code_2()),
    }
}

impl LookupArguments {
    pub(super) fn lookup(&self) -> Result<(), Failure> {
        let threepid = typed::threepid(&self.medium, &self.address.join(" "))?;
        let query = [
            ("medium", threepid.medium().as_str()),
            ("address", threepid.address()),
        ];
        let association = self
            .server
            .client()
            .and_then(|client| client.get("lookup", &query))
            .map_err(Failure::with_exit_code_2)?;
        if association.get("mxid").is_none() {
            return Err(Failure::new("The address is not bound."));
        }
        print(&format!("{association:#}\n"))
    }
}

impl ServerFlag {
    fn client(&self) -> Result<InternalClient, Failure> {
        if let Some(url) = &self.internal {
            return Ok(InternalClient::new(url.clone(), None));
        }
        let listen = configured_address(&self.file)?;
        let url = |address| InternalUrl::from_address(connectable(address));
        // What the server listens on instead if its host has no IPv6.
        let fallback = config::ipv4_instead(listen).map(url);
        Ok(InternalClient::new(url(listen), fallback))
    }
}

const NO_ADDRESS: &str = "The address of the internal listener is unknown. Give it with \
    --internal URL, or give the server's configuration with --config FILE.";
const SWITCHED_OFF: &str = "The configuration sets no usable address in internal.listen, so the \
    server has no internal listener. Set listen = [\"127.0.0.1:8091\"] in [internal] and restart \
    the server, or give the URL of another server with --internal.";

fn configured_address(file: &ConfigFile) -> Result<SocketAddr, Failure> {
    let settings = file
        .settings_if_given()?
        .ok_or_else(|| Failure::new(NO_ADDRESS))?;
    // Port 0 becomes a port that only the running server knows.
    let mut addresses = settings.internal.listen.into_iter();
    addresses
        .find(|address| address.port() != 0)
        .ok_or_else(|| Failure::new(SWITCHED_OFF))
}

/// The loopback address instead of a wildcard address: one can listen on the
/// latter, but not portably connect to it.
fn connectable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcard_address_becomes_loopback() {
        for (listen, expected) in [
            ("0.0.0.0:8091", "127.0.0.1:8091"),
            ("[::]:8091", "[::1]:8091"),
            ("[::1]:8091", "[::1]:8091"),
            ("192.0.2.7:1", "192.0.2.7:1"),
        ] {
            let expected: SocketAddr = expected.parse().unwrap();
            assert_eq!(connectable(listen.parse().unwrap()), expected);
        }
    }
}
