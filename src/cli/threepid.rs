//! `sydent bind`, `sydent unbind` and `sydent lookup`: requests to the internal
//! listener of a running server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use clap::Args;
use serde_json::{Value, json};

use super::client::{InternalClient, InternalUrl};
use super::config_file::ConfigFile;
use super::failure::Failure;
use super::stdout::print;

pub(super) const LOOKUP_EXIT_CODES: &str = "\
Exit codes:
  0  The address is bound
  1  The address is not bound
  2  The lookup failed";

/// The arguments of `sydent lookup`.
#[derive(Debug, Args)]
pub(super) struct ThreePid {
    /// The kind of address: `email` or `msisdn`.
    medium: String,
    /// The address, such as `alice@example.org`, or the phone number with its
    /// country code, such as `447700900001`.
    address: String,
    #[command(flatten)]
    server: ServerFlag,
}

/// The arguments of `sydent bind` and `sydent unbind`.
#[derive(Debug, Args)]
pub(super) struct Binding {
    /// The kind of address: `email` or `msisdn`.
    medium: String,
    /// The address, such as `alice@example.org`, or the phone number with its
    /// country code, such as `447700900001`.
    address: String,
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
        let association = self.server.client()?.post("bind", &self.fields())?;
        print(&format!("{association:#}\n"))
    }

    pub(super) fn unbind(&self) -> Result<(), Failure> {
        self.server.client()?.post("unbind", &self.fields())?;
        print("The address is no longer bound to this user.\n")
    }

    fn fields(&self) -> Value {
        json!({ "medium": self.medium, "address": self.address, "mxid": self.mxid })
    }
}

impl ThreePid {
    pub(super) fn lookup(&self) -> Result<(), Failure> {
        let query = [
            ("medium", self.medium.as_str()),
            ("address", self.address.as_str()),
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
        let url = match &self.internal {
            Some(url) => url.clone(),
            None => configured_url(&self.file)?,
        };
        Ok(InternalClient::new(url))
    }
}

const NO_ADDRESS: &str = "The address of the internal listener is unknown. Give it with \
    --internal URL, or give the server's configuration with --config FILE.";
const SWITCHED_OFF: &str = "The configuration sets no usable address in internal.listen, so the \
    server has no internal listener. Set listen = [\"127.0.0.1:8091\"] in [internal] and restart \
    the server, or give the URL of another server with --internal.";

fn configured_url(file: &ConfigFile) -> Result<InternalUrl, Failure> {
    let settings = file
        .settings_if_given()?
        .ok_or_else(|| Failure::new(NO_ADDRESS))?;
    // Port 0 becomes a port that only the running server knows.
    let address = settings
        .internal
        .listen
        .iter()
        .find(|address| address.port() != 0)
        .ok_or_else(|| Failure::new(SWITCHED_OFF))?;
    Ok(InternalUrl::from_address(connectable(*address)))
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
