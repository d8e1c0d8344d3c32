//! Host names and addresses in settings.

use std::net::IpAddr;

use idna::AsciiDenyList;
use rustls_pki_types::ServerName as TlsName;

/// The host in the one form that the resolver and certificates use: an IP address
/// without brackets, or a host name in lower case with A-labels. An IPv4 address that
/// is mapped to IPv6 becomes IPv4.
///
/// `None` for anything else, such as `127.1`: resolvers disagree on what it means.
pub(super) fn normalize(host: &str) -> Option<String> {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some(address.to_canonical().to_string());
    }
    let name = idna::domain_to_ascii_cow(host.as_bytes(), AsciiDenyList::URL).ok()?;
    // idna does not check lengths and empty labels.
    TlsName::try_from(&*name).ok()?;
    Some(name.into_owned())
}

/// Whether connections to this host stay on this machine, however it is spelled.
pub(crate) fn is_loopback(host: &str) -> bool {
    normalize(host).is_some_and(|host| match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host == "localhost" || host == "localhost.",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relay_host_is_a_name_or_an_address() {
        for (host, normalized) in [
            ("localhost", "localhost"),
            ("mail.example.com", "mail.example.com"),
            ("MAIL.example.com", "mail.example.com"),
            ("mail_relay", "mail_relay"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("[::1]", "::1"),
            ("[::ffff:192.0.2.1]", "192.0.2.1"),
        ] {
            assert_eq!(normalize(host).as_deref(), Some(normalized), "{host}");
        }
        for bad in [
            "",
            " ",
            "a b",
            "a\r\nb",
            "mail.example.com:25",
            "smtp://mail",
            "a..b",
            "user@mail",
            "[mail]",
            "<mail>",
            "127.1",
            "2130706433",
            "0x7f.1",
            "127.0.0.01",
            "localhost..",
        ] {
            assert_eq!(normalize(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn every_spelling_of_loopback_is_recognised() {
        for (host, loopback) in [
            ("localhost", true),
            ("localhost.", true),
            ("LOCALHOST", true),
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::1", true),
            ("[::1]", true),
            ("::ffff:127.0.0.1", true),
            ("[::ffff:127.0.0.1]", true),
            ("127.1", false),
            ("0.0.0.0", false),
            ("::", false),
            ("localhost.example.org", false),
            ("mail.example.org", false),
            ("192.0.2.1", false),
            ("::ffff:192.0.2.1", false),
        ] {
            assert_eq!(is_loopback(host), loopback, "{host}");
        }
    }
}
