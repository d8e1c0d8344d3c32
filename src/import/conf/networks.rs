//! How homeservers are reached: certificates, and the networks that they may be in.

use ipnet::IpNet;

use super::ConfError;
use super::config_draft::ConfigDraft;
use super::reading::{Given, Reading};

const TABLE: &str = "federation";

/// What Sydent blocks where `ip.blacklist` is empty. This server blocks all of it in any case.
const SYDENTS: [&str; 19] = [
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

pub(super) fn convert(reading: &Reading, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    let verify = reading.get("http", "federation.verifycerts")?;
    draft.set(TABLE, "verify_certificates", verify.boolean()?, &verify);
    let black = reading.get("general", "ip.blacklist")?;
    let white = reading.get("general", "ip.whitelist")?;
    let allowed = networks(&white)?;
    if !allowed.is_empty() {
        let texts: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        draft.set(TABLE, "allow_ranges", texts, &white);
    }
    let blocked = networks(&black)?;
    if blocked.is_empty() {
        return Ok(());
    }
    // There the white list comes first, here the black one.
    let rest = blocked
        .iter()
        .flat_map(|network| without(*network, &allowed));
    let texts: Vec<String> = rest.map(|network| network.to_string()).collect();
    draft.set(TABLE, "block_ranges", texts, &black);
    let listed = blocked.iter().chain(&allowed).copied().collect::<Vec<_>>();
    let left_out: Vec<&str> = SYDENTS
        .into_iter()
        .filter(|text| {
            let network = text.parse::<IpNet>();
            network.is_ok_and(|network| !listed.iter().any(|other| other.contains(&network)))
        })
        .collect();
    if !left_out.is_empty() {
        draft.remark(format!(
            "federation.allow_ranges: {} took the place of Sydent's own list, so that Sydent reached \
             homeservers in {}. Here these stay blocked unless federation.allow_ranges has them.",
            black.from,
            left_out.join(", ")
        ));
    }
    Ok(())
}

fn networks(given: &Given) -> Result<Vec<IpNet>, ConfError> {
    let read = |text: &str| network(text).ok_or_else(|| given.wrong(NO_NETWORK));
    given.listed().into_iter().map(read).collect()
}

const NO_NETWORK: &str = "must be networks such as 10.0.0.0/8, separated by commas";

fn network(text: &str) -> Option<IpNet> {
    if let Ok(address) = text.parse() {
        return Some(IpNet::new_assert(
            address,
            if address.is_ipv4() { 32 } else { 128 },
        ));
    }
    if let Ok(network) = text.parse::<IpNet>() {
        return Some(network.trunc());
    }
    let (address, mask) = text.split_once('/')?;
    let network = IpNet::with_netmask(address.parse().ok()?, mask.parse().ok()?);
    network.ok().map(|network| network.trunc())
}

/// What remains of a network.
fn without(network: IpNet, holes: &[IpNet]) -> Vec<IpNet> {
    if holes.iter().any(|hole| hole.contains(&network)) {
        return Vec::new();
    }
    if !holes.iter().any(|hole| network.contains(hole)) {
        return vec![network];
    }
    let halves = network.subnets(network.prefix_len() + 1);
    let halves = halves.into_iter().flatten();
    let rest: Vec<IpNet> = halves.flat_map(|half| without(half, holes)).collect();
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ops_07_a_hole_leaves_the_rest_of_a_network() {
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
            let left = without(network.parse().unwrap(), &holes);
            let left: Vec<String> = left.iter().map(ToString::to_string).collect();
            assert_eq!(left.join(" "), rest, "{network}");
        }
    }

    #[test]
    fn ops_07_networks_in_the_forms_that_sydent_takes() {
        for (text, read) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
            ("::1", "::1/128"),
        ] {
            assert_eq!(network(text).unwrap().to_string(), read);
        }
        for text in ["", "example.org", "10.0.0.0/33", "10.0.0.0/255.0.255.0"] {
            assert_eq!(network(text), None, "{text}");
        }
    }
}
