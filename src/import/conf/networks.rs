//! Requests to homeservers: certificate checks, and the networks that may be reached.

use ipnet::IpNet;

use super::ConfError;
use super::config_draft::ConfigDraft;
use super::sydent_settings::{Setting, SydentSettings};
use crate::config::network;

const TABLE: &str = "federation";

/// What Sydent blocks if `ip.blacklist` is empty. This server always blocks these networks.
const SYDENT_BLOCKLIST: [&str; 19] = [
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "::1/128",
    "2001:db8::/32",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

pub(super) fn convert(sydent: &SydentSettings, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    let verify = sydent.get("http", "federation.verifycerts")?;
    draft.set(TABLE, "verify_certificates", verify.as_bool()?, &verify);
    let blacklist = sydent.get("general", "ip.blacklist")?;
    let whitelist = sydent.get("general", "ip.whitelist")?;
    let allowed = parse_networks(&whitelist)?;
    if !allowed.is_empty() {
        let texts: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        draft.set(TABLE, "allow_ranges", texts, &whitelist);
    }
    let blocked = parse_networks(&blacklist)?;
    if blocked.is_empty() {
        return Ok(());
    }
    // In Sydent the whitelist takes precedence, here block_ranges does.
    let texts: Vec<String> = blocked
        .iter()
        .flat_map(|network| subtract(*network, &allowed))
        .map(|network| network.to_string())
        .collect();
    draft.set(TABLE, "block_ranges", texts, &blacklist);
    let listed = blocked.iter().chain(&allowed).copied().collect::<Vec<_>>();
    let additional: Vec<&str> = SYDENT_BLOCKLIST
        .into_iter()
        .filter(|text| {
            let network = text.parse::<IpNet>();
            network.is_ok_and(|network| !listed.iter().any(|other| other.contains(&network)))
        })
        .collect();
    if !additional.is_empty() {
        draft.add_remark(format!(
            "federation.allow_ranges: {} replaces Sydent's default list, so Sydent connects to \
             homeservers in {}. This server blocks these networks unless federation.allow_ranges \
             contains them.",
            blacklist.origin,
            additional.join(", ")
        ));
    }
    Ok(())
}

fn parse_networks(setting: &Setting) -> Result<Vec<IpNet>, ConfError> {
    setting
        .items()
        .into_iter()
        .map(|text| {
            network::parse(text).ok_or_else(|| {
                setting.error("must be networks such as 10.0.0.0/8, separated by commas")
            })
        })
        .collect()
}

/// The parts of a network that are in none of the `holes`.
fn subtract(network: IpNet, holes: &[IpNet]) -> Vec<IpNet> {
    if holes.iter().any(|hole| hole.contains(&network)) {
        return Vec::new();
    }
    if !holes.iter().any(|hole| network.contains(hole)) {
        return vec![network];
    }
    network
        .subnets(network.prefix_len() + 1)
        .into_iter()
        .flatten()
        .flat_map(|half| subtract(half, holes))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OPS-07
    #[test]
    fn excluded_range_splits_a_network() {
        for (network, holes, rest) in [
            ("10.0.0.0/8", &[][..], "10.0.0.0/8"),
            ("10.0.0.0/8", &["10.0.0.0/8"], ""),
            ("10.0.0.0/8", &["0.0.0.0/0"], ""),
            ("10.0.0.0/8", &["192.168.0.0/16", "fc00::/7"], "10.0.0.0/8"),
            ("10.0.0.0/8", &["10.128.0.0/9"], "10.0.0.0/9"),
            ("10.0.0.0/30", &["10.0.0.1/32"], "10.0.0.0/32 10.0.0.2/31"),
            ("fc00::/7", &["fd00::/8"], "fc00::/8"),
        ] {
            let holes: Vec<IpNet> = holes.iter().map(|hole| hole.parse().unwrap()).collect();
            let left = subtract(network.parse().unwrap(), &holes);
            let left: Vec<String> = left.iter().map(ToString::to_string).collect();
            assert_eq!(left.join(" "), rest, "{network}");
        }
    }

    /// OPS-07
    #[test]
    fn parses_networks_like_sydent() {
        for (text, read) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
            ("::1", "::1/128"),
        ] {
            assert_eq!(network::parse(text).unwrap().to_string(), read);
        }
        for text in ["", "example.org", "10.0.0.0/33", "10.0.0.0/255.0.255.0"] {
            assert_eq!(network::parse(text), None, "{text}");
        }
    }
}
