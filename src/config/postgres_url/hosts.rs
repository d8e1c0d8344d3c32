//! The servers of a URL.

use super::options::Options;

/// A server that may be connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresHost {
    /// Its name, IP address or folder of Unix sockets; `None` if the URL has none.
    pub name: Option<String>,
    /// The IP address to connect to instead of asking DNS for the name.
    pub address: Option<String>,
    /// The port, or the suffix of the socket.
    pub port: u16,
}

const DEFAULT_PORT: u16 = 5432;

impl PostgresHost {
    /// Whether it is a Unix socket, on which nothing is encrypted.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let name = self.name.as_deref();
        self.address.is_none() && name.is_none_or(|name| name.starts_with(['/', '@']))
    }

    /// What it is called in errors.
    #[must_use]
    pub fn shown(&self) -> &str {
        let name = self.name.as_deref().or(self.address.as_deref());
        name.unwrap_or("the Unix socket")
    }
}

/// The servers in the order in which they are tried.
pub(super) fn parse(options: &Options) -> Result<Vec<PostgresHost>, String> {
    let list = |name: &str| -> Vec<Option<String>> {
        let parts = options.get(name).unwrap_or_default().split(',');
        parts
            .map(|part| Some(part.to_owned()).filter(|part| !part.is_empty()))
            .collect()
    };
    let (names, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    let count = names.len().max(addresses.len());
    if (options.get("host").is_some() && names.len() != count)
        || (options.get("hostaddr").is_some() && addresses.len() != count)
    {
        return Err("has not as many values in hostaddr as in host".to_owned());
    }
    if ports.len() != 1 && ports.len() != count {
        return Err("has not as many ports as hosts".to_owned());
    }
    let numbered = (0..count).map(|index| {
        let at = |list: &[Option<String>]| list.get(index).cloned().flatten();
        let port = if ports.len() == 1 {
            ports.first().cloned().flatten()
        } else {
            at(&ports)
        };
        Ok(PostgresHost {
            name: at(&names),
            address: at(&addresses),
            port: port.map_or(Ok(DEFAULT_PORT), |port| parse_port(&port))?,
        })
    });
    numbered.collect()
}

fn parse_port(text: &str) -> Result<u16, String> {
    let port = text.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| "has a port that is not a number from 1 to 65535".to_owned())
}
