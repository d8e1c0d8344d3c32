//! Server names, Matrix IDs and key ids (Matrix specification, appendices
//! "Server Name", "User Identifiers" and "Signing JSON").

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Invalid;

/// A Matrix server name: an IPv4 address, an IPv6 address in brackets or a DNS
/// name, and optionally a port. At most 255 bytes; compared byte by byte.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServerName(String);

impl ServerName {
    /// Parses a server name.
    ///
    /// # Errors
    /// The text does not match the grammar.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if is_server_name(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid(
                "must be a server name such as example.org or example.org:8448",
            ))
        }
    }

    /// The name, unchanged.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host: the name without its port. An IPv6 address keeps its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        match self.0.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => host,
            _ => &self.0,
        }
    }

    /// The port, if the name has one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        let rest = self.0.strip_prefix(self.host())?;
        rest.strip_prefix(':')?.parse().ok()
    }
}

fn is_server_name(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && split_port(text).is_some_and(|(host, port)| port.is_none_or(is_port) && is_host(host))
}

fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    if text.starts_with('[') {
        let (host, rest) = text.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port))),
            None if rest.is_empty() => Some((host, None)),
            None => None,
        };
    }
    match text.split_once(':') {
        Some((host, port)) => Some((host, Some(port))),
        None => Some((text, None)),
    }
}

fn is_port(port: &str) -> bool {
    let is_decimal = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
    is_decimal && port.parse::<u16>().is_ok()
}

fn is_host(host: &str) -> bool {
    if let Some(literal) = host.strip_prefix('[') {
        return Ipv6Addr::from_str(literal).is_ok();
    }
    let looks_like_ipv4 = host
        .rsplit('.')
        .next()
        .is_some_and(|last| !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()));
    if looks_like_ipv4 {
        return Ipv4Addr::from_str(host).is_ok();
    }
    host.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A Matrix ID, `@localpart:server_name`, at most 255 bytes.
///
/// The localpart of an old account may be empty, or have any characters but `:`
/// and NUL: blanks, line ends and other control characters included (appendices,
/// "Historical User IDs"; IDN-07). So the text needs escaping wherever it leaves
/// JSON.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mxid(String);

impl Mxid {
    /// Parses a Matrix ID.
    ///
    /// # Errors
    /// The text is not a Matrix ID.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if is_mxid(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid(
                "must be a Matrix user id such as @alice:example.org",
            ))
        }
    }

    /// The Matrix ID, unchanged.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the user's homeserver, unchanged.
    #[must_use]
    pub fn server_name(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, server)| server)
    }
}

fn is_mxid(text: &str) -> bool {
    let parts = text.strip_prefix('@').and_then(|rest| rest.split_once(':'));
    text.len() <= 255
        && parts.is_some_and(|(localpart, server)| {
            // The localpart ends at the first colon, so it has none.
            !localpart.contains('\0') && is_server_name(server)
        })
}

/// The id of a signing key: `ed25519:` and a version of 1 to 64 letters, digits
/// and underscores.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(String);

impl KeyId {
    /// Parses a key id.
    ///
    /// # Errors
    /// The algorithm is not `ed25519`, or the version is invalid.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let is_version = |version: &str| {
            (1..=64).contains(&version.len())
                && version
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        match text.strip_prefix("ed25519:") {
            Some(version) if is_version(version) => Ok(Self(text.to_owned())),
            _ => Err(Invalid("must be a key id such as ed25519:0")),
        }
    }

    /// The key id, unchanged.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! text_type {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                Self::parse(text)
            }
        }

        parse_from_string!($name);

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }
    )*};
}

text_type!(ServerName, Mxid, KeyId);

#[cfg(test)]
mod tests {
    use super::*;

    /// IDN-09
    #[test]
    fn server_name_grammar() {
        for good in [
            "matrix.org",
            "matrix.org:8888",
            "1.2.3.4",
            "1.2.3.4:1234",
            "[1234:5678::abcd]",
            "[1234:5678::abcd]:5678",
            "localhost",
            "EXAMPLE.COM",
            "a.b.c.d:1234",
            "[::]:4242",
        ] {
            assert!(ServerName::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "[:::]",
            "a:b:c::",
            "example.com:65536",
            "example.com:0",
            "example.com:-1",
            "example.com:a",
            "example.com: ",
            "example.com:04242",
            "example.com: 4242",
            "example.com/x",
            "example.com#x",
            "user@example.com",
            "a_b.com",
            "-a.com",
            "a..b",
            "1.2.3",
            "[::1",
            "::1",
            "a.com.",
            "bücher.example",
        ] {
            assert!(ServerName::parse(bad).is_err(), "{bad}");
        }
        assert!(ServerName::parse(&"a".repeat(64)).is_err());
        assert!(ServerName::parse(&"a.".repeat(200)).is_err());
    }

    /// IDN-07
    #[test]
    fn user_id_grammar() {
        for good in [
            "@alice:example.org",
            "@Ålice/=_.-+:hs:8448",
            "@a@b:hs",
            "@x:[::1]",
            "@:hs",
            "@Old Name:example.org",
            "@ :hs",
            "@a\n:hs",
            "@a\u{7f}\u{1}\u{85}:hs",
            "@\u{202e}\u{feff}\u{10ffff}:hs",
            "@@a/../%2F?#&<>\"'\\:hs",
        ] {
            assert_eq!(Mxid::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "alice:hs",
            "@alice",
            "@alice:",
            "@",
            "@:",
            " @a:hs",
            "@a:hs ",
            "@a:hs\n",
            "@a\0:hs",
            "@\0:hs",
            "@x:y:origin:z",
            "@a:b c",
        ] {
            assert!(Mxid::parse(bad).is_err(), "{bad}");
        }
        assert!(Mxid::parse(&format!("@{}:hs", "a".repeat(251))).is_ok());
        assert!(Mxid::parse(&format!("@{}:hs", "a".repeat(252))).is_err());
        assert!(Mxid::parse(&format!("@{}:hs", "é".repeat(126))).is_err());
    }

    /// IDN-10
    #[test]
    fn key_id_grammar() {
        assert!(KeyId::parse("ed25519:0").is_ok());
        assert!(KeyId::parse("ed25519:a_Xy9").is_ok());
        for bad in ["", "ed25519:", "rsa:0", "ed25519:a b", "ed25519:0\n"] {
            assert!(KeyId::parse(bad).is_err(), "{bad}");
        }
    }
}
