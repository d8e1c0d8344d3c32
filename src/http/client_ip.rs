//! The IP address of a client, also behind proxies (OPS-04, EML-13).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::HeaderValue;
use actix_web::{HttpMessage as _, HttpRequest};
use ipnet::IpNet;

use crate::app::App;
use crate::domain::rate::is_within;

const HEADER: &str = "x-forwarded-for";

/// Nobody has so many proxies; what is further left was written by a client.
const MAX_HOPS: usize = 64;

/// The IP address of a client; `None` when the connection has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClientIp(pub Option<IpAddr>);

impl ClientIp {
    /// The peer of the connection or, if that is a trusted proxy, the right-most
    /// hop of `X-Forwarded-For` that is not a trusted proxy.
    ///
    /// `Forwarded` (RFC 7239) is ignored: a proxy that does not know it passes on what a
    /// client has written there.
    #[must_use]
    pub(super) fn from_request(request: &HttpRequest, app: &App) -> Self {
        if let Some(found) = request.extensions().get::<Self>() {
            return *found;
        }
        let found = Self::find(request, app);
        request.extensions_mut().insert(found);
        found
    }

    fn find(request: &HttpRequest, app: &App) -> Self {
        let peer = request.peer_addr().map(|peer| peer.ip().to_canonical());
        let trusted = &app.config.http.trusted_proxies;
        let headers = request.headers().get_all(HEADER);
        let headers: Vec<&[u8]> = headers.map(HeaderValue::as_bytes).collect();
        let Some(peer) = peer else {
            return Self(None);
        };
        if !headers.is_empty() && !is_within(Some(peer), trusted) {
            app.untrusted_proxy.call_once(|| warn_of(peer));
        }
        Self(Some(client(peer, &headers, trusted)))
    }
}

impl fmt::Display for ClientIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |ip| ip.fmt(f))
    }
}

fn warn_of(peer: IpAddr) {
    log::warn!(
        "X-Forwarded-For of {peer} is ignored, which is not in http.trusted_proxies; if that is a \
         proxy of yours, add it: until then all clients behind it share its limits (said once)"
    );
}

/// Each proxy adds a hop on the right, in the same header or in one of its own, so that
/// what a client has written is on the left of all hops that count.
fn client(peer: IpAddr, headers: &[&[u8]], trusted: &[IpNet]) -> IpAddr {
    let hops = headers.iter().rev().flat_map(|header| {
        // Bytes, and commas in quotes as well: nothing that a client has written may
        // hide the hops on its right.
        header.rsplit(|byte| *byte == b',')
    });
    let mut client = peer;
    for hop in hops.take(MAX_HOPS) {
        let hop = hop.trim_ascii();
        // Empty elements of a list do not count (RFC 9110, section 5.6.1).
        if hop.is_empty() {
            continue;
        }
        if !is_within(Some(client), trusted) {
            break;
        }
        // A proxy that hides the client, as by "unknown": what is on the left may be
        // forged.
        let Some(ip) = address(hop) else {
            break;
        };
        client = ip.to_canonical();
    }
    client
}

/// Some proxies add the port, put an IPv6 address into brackets or all of it into quotes
/// (RFC 7239), or add the zone of a link-local address (RFC 4007).
fn address(hop: &[u8]) -> Option<IpAddr> {
    let hop = str::from_utf8(hop).ok()?;
    let hop = hop.trim_matches('"').trim();
    if let Some(bracketed) = hop.strip_prefix('[') {
        let (address, _port) = bracketed.split_once(']')?;
        return bare(address);
    }
    if let Ok(address) = hop.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    match hop.split_once(':') {
        // The port may be empty or a name (RFC 7239, section 6.2).
        Some((address, port)) if !port.contains(':') => bare(address),
        _ => bare(hop),
    }
}

fn bare(address: &str) -> Option<IpAddr> {
    let (address, _zone) = address.split_once('%').unwrap_or((address, ""));
    address.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
                client(peer, &[text.as_bytes()], &trusted);
            },
        );
    }

    fn trusted() -> [IpNet; 2] {
        ["127.0.0.1/32", "10.0.0.0/8"].map(|network| network.parse().unwrap())
    }

    #[track_caller]
    fn expect(peer: &str, headers: &[&[u8]], expected: &str) {
        let found = client(peer.parse().unwrap(), headers, &trusted());
        assert_eq!(found, expected.parse::<IpAddr>().unwrap(), "{headers:?}");
    }

    /// OPS-04
    #[test]
    fn only_trusted_proxies_set_the_client_ip() {
        let headers: [(&str, &[&[u8]], &str); 8] = [
            ("192.0.2.1", &[b"198.51.100.7"], "192.0.2.1"),
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &[b"198.51.100.7"], "198.51.100.7"),
            (
                "127.0.0.1",
                &[b"203.0.113.9, 198.51.100.7 ,10.1.1.1"],
                "198.51.100.7",
            ),
            (
                "127.0.0.1",
                &[b"203.0.113.9", b"198.51.100.7", b"10.1.1.1:40000"],
                "198.51.100.7",
            ),
            ("127.0.0.1", &[b"rubbish, 10.1.1.1"], "10.1.1.1"),
            ("127.0.0.1", &[b"198.51.100.7, unknown"], "127.0.0.1"),
            ("127.0.0.1", &[b"10.2.2.2, 10.1.1.1"], "10.2.2.2"),
        ];
        for (peer, headers, expected) in headers {
            expect(peer, headers, expected);
        }
    }

    /// OPS-04
    #[test]
    fn every_notation_of_a_hop_is_read() {
        for (hop, expected) in [
            ("198.51.100.7:5678", "198.51.100.7"),
            ("198.51.100.7:", "198.51.100.7"),
            ("198.51.100.7:_x", "198.51.100.7"),
            ("\"198.51.100.7:80\"", "198.51.100.7"),
            ("::ffff:198.51.100.7", "198.51.100.7"),
            ("[::ffff:198.51.100.7]:80", "198.51.100.7"),
            ("2001:db8::1", "2001:db8::1"),
            ("2001:DB8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:80", "2001:db8::1"),
            ("\"[2001:db8::1]:80\"", "2001:db8::1"),
            ("[2001:db8::1]:_x", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%25eth0]:80", "fe80::1"),
            ("\t198.51.100.7 , ,", "198.51.100.7"),
        ] {
            expect("127.0.0.1", &[hop.as_bytes()], expected);
        }
    }

    /// OPS-04
    #[test]
    fn nothing_a_client_writes_hides_its_address() {
        let written: [&[u8]; 10] = [
            b"\xff",
            b"\xc3\xa9, \xff\xfe",
            b"203.0.113.9\xff",
            b"unknown",
            b"_hidden",
            b"\"203.0.113.9",
            b"[203.0.113.9",
            b"",
            b" , ,",
            b"127.0.0.1, 10.1.1.1",
        ];
        for written in written {
            let joined = [written, b", 198.51.100.7"].concat();
            expect("127.0.0.1", &[&joined], "198.51.100.7");
            expect("127.0.0.1", &[written, b"198.51.100.7"], "198.51.100.7");
            expect("127.0.0.1", &[b"198.51.100.7", b""], "198.51.100.7");
        }
    }

    proptest! {
        #[test]
        fn hop_of_the_proxy_always_wins(written: Vec<u8>, own_header: bool) {
            let joined = [written.as_slice(), b",198.51.100.7"].concat();
            let apart: [&[u8]; 2] = [&written, b"198.51.100.7"];
            let headers: &[&[u8]] = if own_header { &apart } else { &[&joined] };
            let found = client("127.0.0.1".parse().unwrap(), headers, &trusted());
            prop_assert_eq!(found, "198.51.100.7".parse::<IpAddr>().unwrap());
        }
    }
}
