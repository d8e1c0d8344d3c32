//! The target of a server name (Server-Server API, "Resolving server names"): the
//! decisions that need no I/O.

use std::net::SocketAddr;

use rustls_pki_types::ServerName as TlsName;

use crate::domain::ids::ServerName;
use crate::outgoing::{Endpoint, Place, ip_literal, tls_name};

/// The default port of federation (NET-01).
const FEDERATION_PORT: u16 = 8448;

/// The parameters of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    /// The `Host` header: the server name, with a port only if it had one
    /// (NET-06, NET-09).
    pub host: String,
    /// The name or address in the certificate. A name is also sent in SNI.
    pub tls_name: TlsName<'static>,
    /// Where to connect.
    pub target: Target,
}

/// Where to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// An address that the administrator configured. The guard does not check it.
    Static(SocketAddr),
    /// An address that a stranger chose.
    Address(SocketAddr),
    /// A host name and a port.
    Name(String, u16),
    /// A host name whose SRV records have the targets (NET-04).
    Service(String),
}

/// Whether `.well-known` must be looked up first: if the name has no port and is not
/// an IP address (NET-01 … NET-03).
pub(super) fn may_delegate(server: &ServerName) -> bool {
    server.port().is_none() && ip_literal(server.host()).is_none()
}

/// The route to a server name that does not delegate, or to which another name
/// delegates. There is no second delegation (NET-04).
pub(super) fn route(server: &ServerName) -> Option<Route> {
    let host = server.host();
    let target = match (ip_literal(host), server.port()) {
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

/// The target of a name without port and SRV records.
pub(super) fn target_without_srv(host: &str) -> Target {
    Target::Name(host.to_owned(), FEDERATION_PORT)
}

/// The route to the host of an https URL, for `.well-known` and its redirects.
pub(super) fn route_to_url(url: &url::Url) -> Option<Route> {
    let endpoint = Endpoint::from_url(url)?;
    Some(Route {
        host: endpoint.host,
        tls_name: endpoint.tls_name,
        target: match endpoint.place {
            Place::Address(address) => Target::Address(address),
            Place::Name(host, port) => Target::Name(host, port),
        },
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn server(name: &str) -> ServerName {
        ServerName::parse(name).unwrap()
    }

    /// Resolves a name: whether it may delegate, the target, and the name in the
    /// certificate.
    fn resolve(name: &str) -> (bool, Target, String) {
        let route = route(&server(name)).unwrap();
        assert_eq!(route.host, name);
        let tls_name = route.tls_name.to_str().into_owned();
        (may_delegate(&server(name)), route.target, tls_name)
    }

    fn address(text: &str) -> Target {
        Target::Address(text.parse().unwrap())
    }

    /// NET-01
    #[test]
    fn ip_literal_is_connected_to_directly() {
        for (name, expected, tls) in [
            ("192.0.2.1", "192.0.2.1:8448", "192.0.2.1"),
            ("192.0.2.1:1", "192.0.2.1:1", "192.0.2.1"),
            ("[2001:db8::1]", "[2001:db8::1]:8448", "2001:db8::1"),
            ("[2001:db8::1]:1", "[2001:db8::1]:1", "2001:db8::1"),
        ] {
            let (delegates, target, tls_name) = resolve(name);
            assert_eq!((delegates, target), (false, address(expected)), "{name}");
            assert_eq!(tls_name, tls);
            let is_address = matches!(
                route(&server(name)).unwrap().tls_name,
                TlsName::IpAddress(_)
            );
            assert!(is_address, "an address is not sent as SNI");
        }
    }

    /// NET-02
    #[test]
    fn explicit_port_skips_discovery() {
        let (delegates, target, tls_name) = resolve("hs.example:8449");
        assert!(!delegates);
        assert_eq!(target, Target::Name("hs.example".to_owned(), 8449));
        assert_eq!(tls_name, "hs.example");
    }

    /// NET-04, NET-09
    #[test]
    fn bare_name_uses_srv_or_port_8448() {
        let (delegates, target, tls_name) = resolve("hs.example");
        assert!(delegates);
        assert_eq!(target, Target::Service("hs.example".to_owned()));
        assert_eq!(tls_name, "hs.example");
        let fallback = Target::Name("hs.example".to_owned(), 8448);
        assert_eq!(target_without_srv("hs.example"), fallback);
    }

    /// NET-11
    #[test]
    fn ip_address_in_a_url_is_always_recognized() {
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
