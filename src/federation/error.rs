//! Why a homeserver could not be asked.

use std::io;

/// Why there is no answer. The texts name neither the homeserver nor what was
/// asked; whoever logs one adds the name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The administrator does not want it to be contacted, or its users here.
    #[error("the homeserver is not one that this server works with")]
    NotAllowed,
    /// DNS has no address for it.
    #[error("its address could not be found")]
    NoAddress,
    /// Its SRV record says that it offers no federation.
    #[error("its SRV record says that there is no such service")]
    NoService,
    /// It is in a network that must not be reached (NET-11).
    #[error("its address is in a blocked network")]
    Blocked,
    /// No connection.
    #[error("no connection: {0}")]
    Connect(io::ErrorKind),
    /// The proxy did not open a connection.
    #[error("the proxy opened no connection: {0}")]
    Proxy(String),
    /// No TLS session, or with somebody else.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// It took too long.
    #[error("it took too long")]
    Late,
    /// What came is not HTTP, or ended early.
    #[error("its answer was broken: {0}")]
    Broken(String),
    /// The answer is larger than any honest one (NET-15).
    #[error("its answer was too long")]
    TooLong,
}
