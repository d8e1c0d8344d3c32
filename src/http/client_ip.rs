//! The IP address of a client, also behind proxies (OPS-04, EML-13).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use actix_web::HttpRequest;
use ipnet::IpNet;

/// The IP address of a client; `None` when the connection has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClientIp(pub Option<IpAddr>);

impl ClientIp {
    /// The peer of the connection or, if that is a trusted proxy, the right-most
    /// hop of `X-Forwarded-For` that is not a trusted proxy.
    #[must_use]
    pub(super) fn from_request(request: &HttpRequest, trusted: &[IpNet]) -> Self {
        let peer = request.peer_addr().map(|peer| peer.ip().to_canonical());
        let forwarded: Vec<&str> = request
            .headers()
            .get_all("x-forwarded-for")
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        Self(peer.map(|peer| client(peer, &forwarded, trusted)))
    }
}

impl fmt::Display for ClientIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |ip| ip.fmt(f))
    }
}

fn client(peer: IpAddr, forwarded: &[&str], trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |ip: &IpAddr| trusted.iter().any(|net| net.contains(ip));
    let mut client = peer;
    for hop in forwarded.iter().rev() {
        if !is_trusted(&client) {
            break;
        }
        let Some(ip) = address(hop.trim()) else {
            break;
        };
        client = ip.to_canonical();
    }
    client
}

/// Some proxies add the port, or put an IPv6 address into brackets.
fn address(hop: &str) -> Option<IpAddr> {
    let bare = hop
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(hop);
    let with_port = || hop.parse().map(|hop: SocketAddr| hop.ip());
    bare.parse().or_else(|_no_ip| with_port()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear_tests::expect_linear;

    /// OPS-02
    #[test]
    fn forwarded_hops_take_linear_time() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let peer = "10.0.0.1".parse().unwrap();
        expect_linear(
            "a list of hops",
            |count| "10.0.0.1, ".repeat(count),
            |text| {
                client(peer, &text.split(',').collect::<Vec<_>>(), &trusted);
            },
        );
    }

    /// OPS-04
    #[test]
    fn only_trusted_proxies_set_the_client_ip() {
        let trusted = [
            "127.0.0.1/32".parse().unwrap(),
            "10.0.0.0/8".parse().unwrap(),
        ];
        for (peer, forwarded, expected) in [
            ("192.0.2.1", vec!["198.51.100.7"], "192.0.2.1"),
            ("127.0.0.1", vec![], "127.0.0.1"),
            ("127.0.0.1", vec!["198.51.100.7"], "198.51.100.7"),
            (
                "127.0.0.1",
                vec!["203.0.113.9", " 198.51.100.7 ", "10.1.1.1"],
                "198.51.100.7",
            ),
            ("127.0.0.1", vec!["198.51.100.7:5678"], "198.51.100.7"),
            ("127.0.0.1", vec!["[2001:db8::1]:80"], "2001:db8::1"),
            ("127.0.0.1", vec!["[2001:db8::1]"], "2001:db8::1"),
            (
                "127.0.0.1",
                vec!["198.51.100.7", "10.1.1.1:40000"],
                "198.51.100.7",
            ),
            ("127.0.0.1", vec!["198.51.100.7:x"], "127.0.0.1"),
            (
                "127.0.0.1",
                vec!["203.0.113.9", "rubbish", "10.1.1.1"],
                "10.1.1.1",
            ),
        ] {
            assert_eq!(
                client(peer.parse().unwrap(), &forwarded, &trusted),
                expected.parse::<IpAddr>().unwrap()
            );
        }
    }
}
