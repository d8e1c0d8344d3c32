//! Who can create any number of homeserver names: the owner of a domain.

use std::net::IpAddr;

use super::ids::ServerName;
use super::rate::client_network;

/// What all homeservers of one owner have in common: the registrable domain, such as
/// `example.org` for `a.b.example.org:8448` (<https://publicsuffix.org/>), or the network
/// of an IP address.
#[must_use]
pub fn registrant(server: &ServerName) -> String {
    let host = server.host().to_ascii_lowercase();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = address.parse::<IpAddr>() {
        return client_network(address);
    }
    let host = host.trim_end_matches('.');
    psl::domain_str(host).unwrap_or(host).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_domain_have_one_registrant() {
        for (name, expected) in [
            ("example.org", "example.org"),
            ("A.b.EXAMPLE.org:8448", "example.org"),
            ("matrix.example.co.uk", "example.co.uk"),
            ("co.uk", "co.uk"),
            ("localhost", "localhost"),
            ("a.b.internal", "b.internal"),
            ("192.0.2.1:8448", "192.0.2.1"),
        ] {
            assert_eq!(registrant(&ServerName::parse(name).unwrap()), expected);
        }
        let network = |name: &str| registrant(&ServerName::parse(name).unwrap());
        assert_eq!(network("[2001:db8::1]"), network("[2001:db8::2]:8448"));
        assert_ne!(network("[2001:db8::1]"), network("[2001:db8:0:1::1]"));
    }
}
