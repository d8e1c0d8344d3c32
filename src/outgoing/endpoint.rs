//! What a URL says about the connection.

use std::net::{IpAddr, SocketAddr};

use rustls_pki_types::ServerName as TlsName;
use url::{Host, Url};

/// The server of a URL, and how it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// The `Host` header.
    pub host: String,
    /// The name or address in the certificate. A name is also sent in SNI.
    pub tls_name: TlsName<'static>,
    /// Where to connect.
    pub place: Place,
}

/// A server in the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// An address.
    Address(SocketAddr),
    /// A host name and a port.
    Name(String, u16),
}

impl Endpoint {
    /// The server of an absolute URL; `None` if it has no host.
    pub(crate) fn from_url(url: &Url) -> Option<Self> {
        let host_text = url.host_str()?;
        let port = url.port_or_known_default()?;
        // The URL parser also recognizes spellings such as 127.1 and 0x7f000001.
        let place = match url.host()? {
            Host::Ipv4(ip) => Place::Address(SocketAddr::new(ip.into(), port)),
            Host::Ipv6(ip) => Place::Address(SocketAddr::new(ip.into(), port)),
            Host::Domain(name) => Place::Name(name.to_owned(), port),
        };
        let host = match url.port() {
            Some(port) => format!("{host_text}:{port}"),
            None => host_text.to_owned(),
        };
        Some(Self {
            host,
            tls_name: tls_name(host_text)?,
            place,
        })
    }
}

/// Path and query of a URL.
pub(crate) fn path_and_query(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

/// The address that a host is written as, possibly in brackets.
pub(crate) fn ip_literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .ok()
}

/// The name or address that a certificate must have for this host.
pub(crate) fn tls_name(host: &str) -> Option<TlsName<'static>> {
    match ip_literal(host) {
        Some(ip) => Some(TlsName::IpAddress(ip.into())),
        None => TlsName::try_from(host.to_owned()).ok(),
    }
}
