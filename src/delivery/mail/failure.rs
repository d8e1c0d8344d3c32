//! Errors in the setup of a mail transport.

use std::path::PathBuf;

use crate::outgoing::DnsError;

/// Why a transport cannot be created: a sentence for the administrator.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The host of the relay is neither a host name nor an IP address.
    #[error("the host of the mail relay, {0:?}, is neither a host name nor an IP address")]
    BadHost(String),
    /// There are no trust anchors to verify certificates with.
    #[error(
        "no CA certificates found, so the certificate of the mail relay cannot be verified; \
         install the ca-certificates package or set a CA file"
    )]
    NoAuthorities,
    /// The TLS library rejected its settings.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[source] rustls::Error),
    /// The DNS resolver cannot be created.
    #[error(transparent)]
    Dns(#[from] DnsError),
    /// A password would be sent unencrypted to another machine.
    #[error(
        "a password for the mail relay is set without TLS or STARTTLS; an unencrypted \
         password is sent to localhost only"
    )]
    PasswordInTheClear,
    /// The folder for messages cannot be created or written.
    #[error("cannot use the mail folder {}: {source}", .path.display())]
    BadFolder {
        /// The folder.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
}
