//! Addresses to listen on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Deserializer};

/// An element of a list of addresses. It can stand for several.
struct Listen(Vec<SocketAddr>);

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let text = String::deserialize(source)?;
        parse(&text).map(Self).ok_or_else(|| {
            serde::de::Error::custom(
                "must be an IP address and a port, such as \"127.0.0.1:8090\" or \"[::]:8090\"",
            )
        })
    }
}

/// Parses an address and its port. `localhost` is the loopback address of IPv4 and that
/// of IPv6; no address, or `*`, means all of them.
fn parse(text: &str) -> Option<Vec<SocketAddr>> {
    let text = text.trim();
    if let Ok(address) = text.parse() {
        return Some(vec![address]);
    }
    let (host, port) = text.rsplit_once(':')?;
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port: u16 = is_port.then(|| port.parse().ok()).flatten()?;
    if host.is_empty() || host == "*" {
        Some(vec![(Ipv6Addr::UNSPECIFIED, port).into()])
    } else if host.eq_ignore_ascii_case("localhost") {
        Some(vec![
            (Ipv4Addr::LOCALHOST, port).into(),
            (Ipv6Addr::LOCALHOST, port).into(),
        ])
    } else {
        None
    }
}

/// For `#[serde(deserialize_with = "listen::deserialize")]` of a list of addresses.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    source: D,
) -> Result<Vec<SocketAddr>, D::Error> {
    let addresses = Vec::<Listen>::deserialize(source)?;
    Ok(addresses.into_iter().flat_map(|listen| listen.0).collect())
}

/// The address that a server listens on instead of an address of IPv6 where there is no
/// IPv6: the one that means the same.
#[must_use]
pub fn ipv4_instead(address: SocketAddr) -> Option<SocketAddr> {
    let ip = match address.ip() {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv4Addr::UNSPECIFIED,
        IpAddr::V6(Ipv6Addr::LOCALHOST) => Ipv4Addr::LOCALHOST,
        IpAddr::V4(_) | IpAddr::V6(_) => return None,
    };
    Some((ip, address.port()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_can_be_written_in_many_ways() {
        for (text, addresses) in [
            ("127.0.0.1:8090", "127.0.0.1:8090"),
            ("[::]:8090", "[::]:8090"),
            (" [::1]:1 ", "[::1]:1"),
            ("localhost:8090", "127.0.0.1:8090 [::1]:8090"),
            ("LocalHost:1", "127.0.0.1:1 [::1]:1"),
            (":8090", "[::]:8090"),
            ("*:8090", "[::]:8090"),
        ] {
            let read: Vec<String> = parse(text)
                .unwrap()
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(read.join(" "), addresses, "{text}");
        }
        for bad in [
            "",
            "8090",
            "127.0.0.1",
            "localhost",
            "localhost:",
            "localhost:+1",
            "localhost:65536",
            "id.example.org:8090",
            "::1:8090x",
            "http://127.0.0.1:8090",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
