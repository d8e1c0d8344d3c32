//! Checks of IP addresses before a connection (NET-11 … NET-14).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Networks that are not part of the public Internet. A homeserver with such an
/// address is a mistake, or an attempt to reach this server's internal network
/// (SSRF).
const BLOCKED_V4: [(Ipv4Addr, u8); 14] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// An IPv6 prefix of two segments.
const fn v6(high: u16, second: u16) -> Ipv6Addr {
    Ipv6Addr::new(high, second, 0, 0, 0, 0, 0, 0)
}

const BLOCKED_V6: [(Ipv6Addr, u8); 15] = [
    (Ipv6Addr::LOCALHOST, 128),
    // NAT64 and discard prefixes.
    (v6(0x64, 0xff9b), 96),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48),
    (v6(0x100, 0), 64),
    // Teredo, benchmarking, ORCHID.
    (v6(0x2001, 0), 32),
    (v6(0x2001, 2), 48),
    (v6(0x2001, 0x10), 28),
    (v6(0x2001, 0x20), 28),
    // Documentation, segment routing.
    (v6(0x2001, 0xdb8), 32),
    (v6(0x3fff, 0), 20),
    (v6(0x5f00, 0), 16),
    // Unique local, link-local, site-local, multicast.
    (v6(0xfc00, 0), 7),
    (v6(0xfe80, 0), 10),
    (v6(0xfec0, 0), 10),
    (v6(0xff00, 0), 8),
];

/// The rules for addresses. They are checked when a connection is established.
#[derive(Debug)]
pub(super) struct Guard {
    blocked_by_default: Vec<IpNet>,
    allowed: Vec<IpNet>,
    blocked: Vec<IpNet>,
}

impl Guard {
    /// Blocks the built-in networks except for those in `allow`, and those in `block`
    /// in any case.
    pub(super) fn new(allow: &[IpNet], block: &[IpNet]) -> Self {
        let v4 = BLOCKED_V4.map(|(ip, length)| Ipv4Net::new_assert(ip, length).into());
        let v6 = BLOCKED_V6.map(|(ip, length)| Ipv6Net::new_assert(ip, length).into());
        Self {
            blocked_by_default: v4.into_iter().chain(v6).collect(),
            allowed: allow.to_vec(),
            blocked: block.to_vec(),
        }
    }

    /// Whether connecting to an address is allowed. For an IPv6 address with an
    /// embedded IPv4 address, both are checked.
    pub(super) fn allows(&self, ip: IpAddr) -> bool {
        let embedded = embedded_v4(ip);
        if self.is_always_blocked(ip) || embedded.is_some_and(|v4| self.is_always_blocked(v4)) {
            return false;
        }
        if embedded.is_some_and(|v4| !self.allows_address(v4)) {
            // The IPv6 address itself must be in `allow`.
            return contains(&self.allowed, ip);
        }
        self.allows_address(ip)
    }

    fn allows_address(&self, ip: IpAddr) -> bool {
        contains(&self.allowed, ip) || !contains(&self.blocked_by_default, ip)
    }

    fn is_always_blocked(&self, ip: IpAddr) -> bool {
        is_unspecified(ip) || contains(&self.blocked, ip)
    }
}

fn contains(networks: &[IpNet], ip: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&ip))
}

/// 0.0.0.0/8 and ::, which many systems treat as the local host. No setting allows
/// them (NET-13).
fn is_unspecified(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => matches!(ip.octets(), [0, ..]),
        IpAddr::V6(ip) => ip.is_unspecified(),
    }
}

/// The IPv4 address in a mapped, compatible, 6to4, ISATAP or NAT64 address. For the
/// local-use NAT64 prefix a length of 96 bits is assumed, or of 48 bits if the last
/// 32 bits are zero.
fn embedded_v4(ip: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(ip) = ip else {
        return None;
    };
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match ip.segments() {
        // :: and ::1 have no embedded address.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [_, _, _, _, 0 | 0x200, 0x5efe, high, low]
        | [0x2002, high, low, ..] => Some(v4(high, low)),
        [0x64, 0xff9b, 1, high, middle, last, 0, 0] => {
            let ([_, c], [d, _]) = (middle.to_be_bytes(), last.to_be_bytes());
            Some(v4(high, u16::from_be_bytes([c, d])))
        }
        [0x64, 0xff9b, 1, _, _, _, high, low] => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn guard(allow: &[&str], block: &[&str]) -> Guard {
        let read = |texts: &[&str]| -> Vec<IpNet> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        Guard::new(&read(allow), &read(block))
    }

    /// NET-12
    #[test]
    fn special_networks_are_blocked_completely() {
        let guard = guard(&[], &[]);
        for (first, last) in [
            ("0.0.0.0", "0.255.255.255"),
            ("10.0.0.0", "10.255.255.255"),
            ("100.64.0.0", "100.127.255.255"),
            ("127.0.0.0", "127.255.255.255"),
            ("169.254.0.0", "169.254.255.255"),
            ("172.16.0.0", "172.31.255.255"),
            ("192.0.0.0", "192.0.0.255"),
            ("192.0.2.0", "192.0.2.255"),
            ("192.88.99.0", "192.88.99.255"),
            ("192.168.0.0", "192.168.255.255"),
            ("198.18.0.0", "198.19.255.255"),
            ("198.51.100.0", "198.51.100.255"),
            ("203.0.113.0", "203.0.113.255"),
            ("224.0.0.0", "255.255.255.255"),
            ("::", "::1"),
            ("64:ff9b::", "64:ff9b::ffff:ffff"),
            ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff"),
            ("2001:10::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fe80::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] {
            assert!(!guard.allows(ip(first)), "{first}");
            assert!(!guard.allows(ip(last)), "{last}");
        }
        for public in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:1::",
            "2001:2:1::",
            "2001:30::",
            "3fff:1000::",
            "2606::5efe:101:101",
            "2606:4700::1111",
            "2002:101:101::1",
            "::ffff:1.1.1.1",
        ] {
            assert!(guard.allows(ip(public)), "{public}");
        }
    }

    /// NET-12
    #[test]
    fn embedded_ipv4_addresses_are_checked() {
        let guard = guard(&[], &[]);
        for bad in [
            "::ffff:127.0.0.1",
            "::ffff:0.0.0.0",
            "::ffff:0:10.0.0.1",
            "::127.0.0.1",
            "::10.0.0.1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "64:ff9b::a00:1",
            "2606::5efe:7f00:1",
            "2606::200:5efe:a00:1",
        ] {
            assert!(!guard.allows(ip(bad)), "{bad}");
        }
    }

    /// NET-12
    #[test]
    fn allow_list_overrides_and_block_list_adds() {
        let guard = guard(
            &["10.1.0.0/16", "fd00::/8", "64:ff9b::/96"],
            &["198.41.0.0/16", "2606::/16"],
        );
        for (address, allowed) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("64:ff9b::a01:203", true),
            ("10.2.0.0", false),
            ("fd12::1", true),
            ("fc12::1", false),
            ("198.41.0.4", false),
            ("::ffff:198.41.0.4", false),
            ("198.42.0.4", true),
            ("2606:4700::1111", false),
        ] {
            assert_eq!(guard.allows(ip(address)), allowed, "{address}");
        }
    }

    /// NET-12
    #[test]
    fn part_of_an_allowed_network_can_be_blocked() {
        let guard = guard(
            &["10.0.0.0/8", "64:ff9b:1::/48", "::ffff:0:0/96"],
            &["10.9.0.0/16"],
        );
        for (address, allowed) in [
            ("10.8.0.1", true),
            ("10.9.0.1", false),
            ("::ffff:10.8.0.1", true),
            ("::ffff:10.9.0.1", false),
            ("64:ff9b:1::10.8.0.1", true),
            ("64:ff9b:1::10.9.0.1", false),
            ("64:ff9b:1:a08:0:100::", true),
            ("64:ff9b:1:a09:0:100::", false),
        ] {
            assert_eq!(guard.allows(ip(address)), allowed, "{address}");
        }
    }

    /// NET-13
    #[test]
    fn unspecified_address_cannot_be_allowed() {
        let guard = guard(&["0.0.0.0/0", "::/0"], &[]);
        for nowhere in [
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "::ffff:0.0.0.0",
            "::ffff:0:0.0.0.0",
            "2002::1",
            "64:ff9b::",
        ] {
            assert!(!guard.allows(ip(nowhere)), "{nowhere}");
        }
        assert!(guard.allows(ip("127.0.0.1")) && guard.allows(ip("::1")));
    }

    proptest! {
        /// NET-12
        #[test]
        fn wrapped_blocked_address_stays_blocked(bits: u32) {
            let (guard, v4) = (guard(&[], &[]), Ipv4Addr::from(bits));
            if !guard.allows(v4.into()) {
                let [a, b, c, d] = v4.octets();
                let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                prop_assert!(!guard.allows(v4.to_ipv6_mapped().into()));
                prop_assert!(!guard.allows(Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1).into()));
                prop_assert!(!guard.allows(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low).into()));
                prop_assert!(!guard.allows(Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low).into()));
            }
        }
    }
}
