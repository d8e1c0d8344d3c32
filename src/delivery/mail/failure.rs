//! Why a transport cannot start.

use std::path::PathBuf;

/// Why a transport cannot start: a sentence for the administrator.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The relay's host is neither a name nor an address.
    #[error("the mail relay's host {0:?} is neither a host name nor an IP address")]
    BadHost(String),
    /// Nothing to verify a certificate with.
    #[error(
        "this system has no certificate authorities, so no certificate of the mail relay \
         can be verified; install them (ca-certificates) or set a CA file"
    )]
    NoAuthorities,
    /// The TLS library refused its settings.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[source] rustls::Error),
    /// A password would be readable on the way.
    #[error(
        "a password for the mail relay is set, but neither TLS nor STARTTLS; \
         without them a password is sent to localhost only"
    )]
    PasswordInTheClear,

    /// The folder for messages cannot be made or written.
    #[error("the folder for mail {} cannot be used: {source}", .path.display())]
    BadFolder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}
