//! From a server name to what is connected to (Server-Server API, "Resolving
//! server names"): the decisions, without asking anybody.

use std::net::{IpAddr, SocketAddr};

use rustls_pki_types::ServerName as TlsName;

use crate::domain::ids::ServerName;

/// The port of federation, where nothing names another (NET-01).
const FEDERATION_PORT: u16 = 8448;

/// A connection that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    /// The `Host` header: the server name, with a port only if it had one
    /// (NET-06, NET-09).
    pub host: String,
    /// Whom the certificate must be for; a name also goes into SNI.
    pub tls_name: TlsName<'static>,
    /// Where to connect.
    pub target: Target,
}

/// Where to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// An address that the administrator chose; not guarded.
    Fixed(SocketAddr),
    /// An address that a stranger chose.
    Address(SocketAddr),
    /// A host name and a port.
    Name(String, u16),
    /// A host name whose SRV records say where (NET-04).
    Service(String),
}

/// Whether the specification wants `.well-known` to be asked first: for a name
/// that is no address and has no port (NET-01 … NET-03).
pub(super) fn may_delegate(server: &ServerName) -> bool {
    server.port().is_none() && literal(server.host()).is_none()
}

/// The route to a server name: one that was given and does not delegate, or one
/// that another delegated to. There is no second delegation (NET-04).
pub(super) fn route(server: &ServerName) -> Option<Route> {
    let host = server.host();
    let target = match (literal(host), server.port()) {
        (Some(ip), port) => Target::Address(SocketAddr::new(ip, port.unwrap_or(FEDERATION_PORT))),
        (None, Some(port)) => Target::Name(host.to_owned(), port),
        (None, None) => Target::Service(host.to_owned()),
    };
    Some(Route {
        host: server.as_str().to_owned(),
        tls_name: tls_name(host)?,
        target,
    })
}

/// Where a name is that has neither SRV records nor a port.
pub(super) fn without_service(host: &str) -> Target {
    Target::Name(host.to_owned(), FEDERATION_PORT)
}

/// The route to an https URL's host, as `.well-known` and its redirects need it.
pub(super) fn route_to_url(url: &url::Url) -> Option<Route> {
    let written = url.host_str()?;
    let port = url.port_or_known_default()?;
    // The URL's own reading: it knows spellings such as 127.1 and 0x7f000001.
    let target = match url.host()? {
        url::Host::Ipv4(ip) => Target::Address(SocketAddr::new(ip.into(), port)),
        url::Host::Ipv6(ip) => Target::Address(SocketAddr::new(ip.into(), port)),
        url::Host::Domain(name) => Target::Name(name.to_owned(), port),
    };
    let host = match url.port() {
        Some(port) => format!("{written}:{port}"),
        None => written.to_owned(),
    };
    Some(Route {
        host,
        tls_name: tls_name(written)?,
        target,
    })
}

fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .ok()
}

fn tls_name(host: &str) -> Option<TlsName<'static>> {
    match literal(host) {
        Some(ip) => Some(TlsName::IpAddress(ip.into())),
        None => TlsName::try_from(host.to_owned()).ok(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn server(name: &str) -> ServerName {
        ServerName::parse(name).unwrap()
    }

    /// What is decided of a name: whether it may delegate, where to connect,
    /// and the name of the certificate.
    fn decided(name: &str) -> (bool, Target, String) {
        let route = route(&server(name)).unwrap();
        assert_eq!(route.host, name);
        let tls_name = route.tls_name.to_str().into_owned();
        (may_delegate(&server(name)), route.target, tls_name)
    }

    fn address(text: &str) -> Target {
        Target::Address(text.parse().unwrap())
    }

    #[test]
    fn net_01_an_address_is_connected_to_as_it_is() {
        for (name, expected, tls) in [
            ("192.0.2.1", "192.0.2.1:8448", "192.0.2.1"),
            ("192.0.2.1:1", "192.0.2.1:1", "192.0.2.1"),
            ("[2001:db8::1]", "[2001:db8::1]:8448", "2001:db8::1"),
            ("[2001:db8::1]:1", "[2001:db8::1]:1", "2001:db8::1"),
        ] {
            let (delegates, target, tls_name) = decided(name);
            assert_eq!((delegates, target), (false, address(expected)), "{name}");
            assert_eq!(tls_name, tls);
            let is_address = matches!(
                route(&server(name)).unwrap().tls_name,
                TlsName::IpAddress(_)
            );
            assert!(is_address, "an address is not sent as SNI");
        }
    }

    #[test]
    fn net_02_a_name_with_a_port_is_taken_at_its_word() {
        let (delegates, target, tls_name) = decided("hs.example:8449");
        assert!(!delegates);
        assert_eq!(target, Target::Name("hs.example".to_owned(), 8449));
        assert_eq!(tls_name, "hs.example");
    }

    #[test]
    fn net_04_net_09_a_bare_name_has_a_service_and_a_host_without_a_port() {
        let (delegates, target, tls_name) = decided("hs.example");
        assert!(delegates);
        assert_eq!(target, Target::Service("hs.example".to_owned()));
        assert_eq!(tls_name, "hs.example");
        let fallback = Target::Name("hs.example".to_owned(), 8448);
        assert_eq!(without_service("hs.example"), fallback);
    }

    #[test]
    fn net_11_a_url_gives_away_its_address_however_it_is_spelt() {
        for (url, expected) in [
            ("https://127.1/x", "127.0.0.1:443"),
            ("https://2130706433/", "127.0.0.1:443"),
            ("https://0x7f.0.0.1:1/", "127.0.0.1:1"),
            ("https://[::ffff:127.0.0.1]/", "[::ffff:127.0.0.1]:443"),
        ] {
            let route = route_to_url(&url.parse().unwrap()).unwrap();
            assert_eq!(route.target, address(expected), "{url}");
        }
        let route = route_to_url(&"https://a.example:444/x".parse().unwrap()).unwrap();
        assert_eq!(route.target, Target::Name("a.example".to_owned(), 444));
        assert_eq!(route.host, "a.example:444");
    }

    proptest! {
        #[test]
        fn every_server_name_has_a_route(host in "[a-zA-Z0-9]{1,20}(\\.[a-z]{1,9}){0,3}", port in proptest::option::of(1_u16..)) {
            let name = port.map_or(host.clone(), |port| format!("{host}:{port}"));
            if let Ok(server) = ServerName::parse(&name) {
                let route = route(&server).unwrap();
                prop_assert_eq!(route.host, name);
            }
        }
    }
}
