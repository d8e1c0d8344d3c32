//! The encryption of the connection to the mail relay, and the ports for it.

use serde::{Deserialize, Serialize};

use super::host;

const STARTTLS_ON_465: &str = "is \"starttls\" with port 465, on which relays expect TLS from the \
    first byte: use \"tls\", or port 587";
const TLS_ON_587: &str = "is \"tls\" with a port on which relays expect STARTTLS: use \
    \"starttls\", or port 465";
const NONE_ON_465: &str = "is \"none\" with port 465, on which relays expect TLS from the first \
    byte: use \"tls\"";

/// The encryption of the connection to the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// Plain text that is upgraded with STARTTLS, or given up, before anything else.
    Starttls,
    /// TLS on connect.
    Tls,
    /// None.
    None,
}

impl Encryption {
    /// Whether a password may be sent to this host: encrypted, or within this machine.
    #[must_use]
    pub fn allows_password(self, host: &str) -> bool {
        self != Self::None || host::is_loopback(host)
    }

    /// The port that relays usually use with it.
    #[must_use]
    pub fn usual_port(self) -> u16 {
        match self {
            Self::Starttls => 587,
            Self::Tls => 465,
            Self::None => 25,
        }
    }

    /// Why it probably does not work on this port (RFC 8314, section 3.3).
    pub(super) fn port_warning(self, port: u16) -> Option<&'static str> {
        match (self, port) {
            (Self::Starttls, 465) => Some(STARTTLS_ON_465),
            (Self::Tls, 587 | 25) => Some(TLS_ON_587),
            (Self::None, 465) => Some(NONE_ON_465),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusual_ports_are_warned_about() {
        use Encryption::{None as Plain, Starttls, Tls};
        for (encryption, port, warned) in [
            (Starttls, 465, true),
            (Tls, 587, true),
            (Tls, 25, true),
            (Plain, 465, true),
            (Starttls, 587, false),
            (Starttls, 25, false),
            (Starttls, 2525, false),
            (Tls, 465, false),
            (Tls, 4465, false),
            (Plain, 25, false),
            (Plain, 587, false),
        ] {
            let warning = encryption.port_warning(port);
            assert_eq!(warning.is_some(), warned, "{encryption:?} {port}");
        }
    }
}
