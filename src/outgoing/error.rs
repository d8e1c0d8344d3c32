//! Errors of calls to other servers.

use std::io;

/// Why a call failed. The texts contain neither the name of the server nor the
/// request; the caller logs the name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The configuration does not allow contacting the homeserver, or the
    /// registration of its users.
    #[error("the configuration does not allow this homeserver")]
    NotAllowed,
    /// DNS has no address for its name.
    #[error("cannot resolve its name")]
    NoAddress,
    /// Its SRV record declares that it does not offer federation.
    #[error("its SRV record declares the service as not available")]
    NoService,
    /// Its address is in a blocked network (NET-11).
    #[error("its address is in a blocked network")]
    Blocked,
    /// Too many calls to its address are under way.
    #[error("too many calls to its address at once")]
    TooManyCalls,
    /// The TCP connection failed.
    #[error("no connection: {0}")]
    Connect(io::ErrorKind),
    /// The proxy did not establish a connection.
    #[error("proxy: {0}")]
    Proxy(String),
    /// The TLS handshake failed, or the certificate is not valid.
    #[error("TLS: {0}")]
    Tls(String),
    /// The call timed out.
    #[error("timed out")]
    TimedOut,
    /// The response is not HTTP or is incomplete.
    #[error("invalid response: {0}")]
    InvalidResponse(String),
    /// The response is larger than the limit (NET-15).
    #[error("response too large")]
    ResponseTooLarge,
}
