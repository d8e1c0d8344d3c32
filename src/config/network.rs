//! Networks in settings, in every notation that leaves no doubt.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The bits of an IPv6 address before the IPv4 address that is mapped to it.
const MAPPED_BITS: u8 = 96;

/// Parses a network, such as `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `192.0.2.1`, `[::1]`
/// or `::ffff:10.0.0.0/104`. An address alone is a network of one address, and a
/// network that is mapped to IPv6 becomes that of IPv4.
pub(crate) fn parse(text: &str) -> Option<IpNet> {
    let text = text.trim();
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address.trim_end(), Some(length.trim_start())),
        None => (text, None),
    };
    let bare = address
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(address);
    let address: IpAddr = bare.parse().ok()?;
    let network = match length {
        None => IpNet::from(address),
        Some(length) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
            IpNet::new(address, length.parse().ok()?).ok()?
        }
        Some(mask) => IpNet::with_netmask(address, mask.parse().ok()?).ok()?,
    };
    Some(unmapped(network.trunc()))
}

fn unmapped(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else {
        return network;
    };
    let length = mapped.prefix_len().checked_sub(MAPPED_BITS);
    let address = mapped.addr().to_ipv4_mapped();
    match address.zip(length) {
        Some((address, length)) => Ipv4Net::new(address, length).map_or(network, IpNet::V4),
        None => network,
    }
}

/// An element of a list of networks.
struct Network(IpNet);

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let text = String::deserialize(source)?;
        parse(&text).map(Self).ok_or_else(|| {
            // The text is not quoted in the message, see `serde_message`.
            serde::de::Error::custom(
                "must be a network or an IP address, such as \"10.0.0.0/8\" or \"192.0.2.1\"",
            )
        })
    }
}

/// For `#[serde(with = "network")]` of a list of networks.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(source: D) -> Result<Vec<IpNet>, D::Error> {
    let networks = Vec::<Network>::deserialize(source)?;
    Ok(networks.into_iter().map(|network| network.0).collect())
}

/// For `#[serde(with = "network")]` of a list of networks.
pub(super) fn serialize<S: Serializer>(networks: &[IpNet], target: S) -> Result<S::Ok, S::Error> {
    networks.serialize(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notation_of_a_network_is_read() {
        for (text, network) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
            ("192.0.2.1", "192.0.2.1/32"),
            (" 192.0.2.1\t", "192.0.2.1/32"),
            ("10.0.0.0 / 8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::1", "::1/128"),
            ("[::1]", "::1/128"),
            ("[2001:db8::]/32", "2001:db8::/32"),
            ("::/0", "::/0"),
            ("::ffff:127.0.0.1", "127.0.0.1/32"),
            ("[::ffff:127.0.0.1]", "127.0.0.1/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::ffff:0:0/95", "::fffe:0:0/95"),
        ] {
            assert_eq!(parse(text), Some(network.parse().unwrap()), "{text}");
        }
        for bad in [
            "",
            " ",
            "localhost",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/255.0.255.0",
            "10.0.0.0/8/8",
            "10.0.0",
            "010.0.0.0/8",
            "127.0.0.1:80",
            "::1%eth0",
            "::/129",
            "10.0.0.0,10.0.0.1",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
