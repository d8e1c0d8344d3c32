//! Why a message was not handed over, and why a transport cannot start.

use std::path::PathBuf;

/// Why a message was not handed over.
///
/// The texts are for the log and the metrics. They never contain an address,
/// nor text that the relay chose, since a relay may quote the address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendFailure {
    /// This message will never be taken: sending it again is of no use.
    #[error("{what}")]
    Refused {
        /// What happened, as a sentence without a full stop.
        what: String,
        /// The reply code of SMTP, if the relay gave one.
        code: Option<u16>,
        /// The enhanced status code (RFC 3463), such as `5.1.1`.
        enhanced: Option<String>,
        /// Whether it is the recipient's address that is not taken, which its
        /// owner can do something about.
        address: bool,
    },
    /// The whole message went out, and nobody said whether it was taken. Sent
    /// again, it may arrive twice; not sent again, it may never arrive.
    #[error("{what}")]
    Uncertain {
        /// What happened, as a sentence without a full stop.
        what: String,
    },
    /// Anything else: the relay is busy, out of reach, set up wrongly or
    /// misunderstood. An administrator's mistake is among these, so that no
    /// message is lost by it.
    #[error("{what}")]
    Passing {
        /// What happened, as a sentence without a full stop.
        what: String,
    },
}

impl SendFailure {
    /// A failure that may be over later.
    pub(super) fn passing(what: impl Into<String>) -> Self {
        Self::Passing { what: what.into() }
    }

    /// The same failure of a message that went out as a whole: unless it was
    /// a refusal for good, nobody knows whether it was taken.
    pub(super) fn after_the_message(self) -> Self {
        match self {
            Self::Passing { what } => Self::Uncertain { what },
            told => told,
        }
    }
}

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
    /// A limit of no connections would send no mail.
    #[error("the limit of connections to the mail relay must be at least 1")]
    NoConnections,
    /// The folder for messages cannot be made or written.
    #[error("the folder for mail {} cannot be used: {source}", .path.display())]
    BadFolder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}
