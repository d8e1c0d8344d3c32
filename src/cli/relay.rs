//! The option `--smtp HOST[:PORT]`.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::config::{Encryption, is_loopback};
use crate::domain::ids::ServerName;

/// An SMTP relay, with the encryption inferred from its host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Relay {
    host: String,
    port: u16,
    encryption: Encryption,
}

impl Relay {
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The encryption as the configuration spells it.
    pub(super) fn encryption(&self) -> &'static str {
        match self.encryption {
            Encryption::Starttls => "starttls",
            Encryption::Tls => "tls",
            Encryption::None => "none",
        }
    }
}

impl FromStr for Relay {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "must be HOST or HOST:PORT, such as mail.example.org:587";
        let (host, port) = if let Ok(address) = text.parse::<SocketAddr>() {
            (address.ip().to_string(), Some(address.port()))
        } else if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
            (ip.to_string(), None)
        } else {
            let (host, port) = match text.split_once(':') {
                Some((host, port)) => (host, Some(port.parse().map_err(|_not_a_port| EXPECTED)?)),
                None => (text, None),
            };
            ServerName::parse(host).map_err(|_not_a_host| EXPECTED)?;
            (host.to_owned(), port)
        };
        let encryption = match port {
            Some(0) => return Err(EXPECTED),
            Some(465) => Encryption::Tls,
            _ if is_loopback(&host) => Encryption::None,
            _ => Encryption::Starttls,
        };
        let port = port.unwrap_or(encryption.usual_port());
        Ok(Self {
            host,
            port,
            encryption,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_relay_addresses() {
        for (text, host, port, encryption) in [
            ("mail.example.org", "mail.example.org", 587, "starttls"),
            ("mail.example.org:25", "mail.example.org", 25, "starttls"),
            ("mail.example.org:465", "mail.example.org", 465, "tls"),
            ("localhost", "localhost", 25, "none"),
            ("127.0.0.1:2525", "127.0.0.1", 2525, "none"),
            ("[::1]:2525", "::1", 2525, "none"),
            ("[2001:db8::1]", "2001:db8::1", 587, "starttls"),
            ("2001:db8::1", "2001:db8::1", 587, "starttls"),
        ] {
            let relay: Relay = text.parse().unwrap();
            assert_eq!(
                (relay.host(), relay.port(), relay.encryption()),
                (host, port, encryption)
            );
        }
        for bad in [
            "", ":25", "a b", "a:b", "a:0", "a:70000", "smtp://a", "a:1:2",
        ] {
            assert!(bad.parse::<Relay>().is_err(), "{bad}");
        }
    }
}
