//! `sydent bind`, `sydent unbind` and `sydent lookup`: a running server's
//! associations from a shell on its machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use clap::Args;
use serde_json::{Value, json};

use super::client::{InternalClient, InternalUrl};
use super::config_file::ConfigFile;
use super::{Failure, print};

/// An address of a person.
#[derive(Debug, Args)]
pub(super) struct ThreePid {
    /// The kind of address: `email`.
    medium: String,
    /// The address, such as `alice@example.org`.
    address: String,
    #[command(flatten)]
    server: ServerFlag,
}

/// An address of a person, and a user.
#[derive(Debug, Args)]
pub(super) struct Binding {
    /// The kind of address: `email`.
    medium: String,
    /// The address, such as `alice@example.org`.
    address: String,
    /// The user's Matrix ID, such as `@alice:example.org`.
    mxid: String,
    #[command(flatten)]
    server: ServerFlag,
}

#[derive(Debug, Args)]
struct ServerFlag {
    /// Where the internal listener is, such as `http://127.0.0.1:8091`. When
    /// left out, the first address of internal.listen in the configuration.
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
        print("The address is not bound to this user any more.\n")
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
        let asked = self
            .server
            .client()
            .and_then(|client| client.get("lookup", &query));
        let found = asked.map_err(Failure::into_trouble)?;
        if found.get("mxid").is_none() {
            return Err(Failure::new("Nobody is bound to this address."));
        }
        print(&format!("{found:#}\n"))
    }
}

impl ServerFlag {
    fn client(&self) -> Result<InternalClient, Failure> {
        let url = match &self.internal {
            Some(url) => url.clone(),
            None => configured(&self.file)?,
        };
        Ok(InternalClient::new(url))
    }
}

const NO_ADDRESS: &str = "It is not known where the server's internal listener is. Name it with \
    --internal URL, or with --config FILE the server's configuration, in which internal.listen \
    says it.";
const SWITCHED_OFF: &str = "The configuration sets no usable internal.listen, so the server has no \
    internal listener. Set it, such as listen = [\"127.0.0.1:8091\"] in [internal], and start the \
    server anew; or name another server's with --internal URL.";

fn configured(file: &ConfigFile) -> Result<InternalUrl, Failure> {
    let settings = file
        .settings_if_given()?
        .ok_or_else(|| Failure::new(NO_ADDRESS))?;
    let usable = settings.internal.listen.iter().find(|at| at.port() != 0);
    let address = usable.ok_or_else(|| Failure::new(SWITCHED_OFF))?;
    Ok(InternalUrl::at(reachable(*address)))
}

/// A server that listens on every address is reached on this machine's own.
fn reachable(listen: SocketAddr) -> SocketAddr {
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
    fn every_address_is_reached_on_this_machine() {
        for (listen, reached) in [
            ("0.0.0.0:8091", "127.0.0.1:8091"),
            ("[::]:8091", "[::1]:8091"),
            ("[::1]:8091", "[::1]:8091"),
            ("192.0.2.7:1", "192.0.2.7:1"),
        ] {
            let reached: SocketAddr = reached.parse().unwrap();
            assert_eq!(reachable(listen.parse().unwrap()), reached);
        }
    }
}
