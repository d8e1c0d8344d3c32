//! HTTP requests to other servers: homeservers, SMS providers and other identity
//! servers. There is one client for all, so that every rule holds for all of them.
//!
//! - `endpoint`: what a URL says about the connection.
//! - `dns`, `race`, `connect`, `proxy`, `tls`, `pinned`: establishing a connection.
//! - `stream`, `response`: what the server sends, decoded.
//! - `exchange`, `shared`: requests on a connection.
//!
//! Who may be connected to is decided by the caller (`federation::guard`).

mod connect;
mod dns;
mod endpoint;
mod error;
mod exchange;
pub(crate) mod pinned;
mod proxy;
mod race;
mod response;
mod shared;
pub(crate) mod silent;
mod stream;
pub(crate) mod tls;

pub(crate) use connect::Connector;
pub(crate) use dns::{Dns, DnsError, Names, Service};
pub(crate) use endpoint::{Endpoint, Place, ip_literal, path_and_query, tls_name};
pub use error::CallError;
pub(crate) use exchange::{Answer, Failed, Request, Response, Reusable, exchange, send};
pub(crate) use pinned::Pinned;
pub(crate) use stream::Stream;
