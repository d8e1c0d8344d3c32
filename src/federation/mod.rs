//! Requests to homeservers: verifying `OpenID` tokens, fetching signing keys, and
//! sending onbind notifications. And pushes to other identity servers (`peer`).
//!
//! Clients choose the names of homeservers. Therefore every connection is checked
//! against the blocked networks when it is established (`guard`), TLS verifies the
//! name that the specification requires (`route`), time and size are limited, and
//! no response is passed on to the client.
//!
//! - `route`: the target of a server name, without I/O.
//! - `well_known`: delegation and its caching.
//! - `guard`, `connect`: who is connected to. `outgoing` has the HTTP client.
//! - `idle`: connections that wait for another request.
//! - `connection_limit`: the number of concurrent calls.
//! - `user_info`, `keys`, `onbind`: the three requests.

mod cache;
mod client;
mod connect;
mod connection_limit;
mod guard;
mod idle;
mod keys;
mod onbind;
mod peer;
mod route;
mod user_info;
mod well_known;

pub(crate) use client::{Client, OpenError};
pub(crate) use connection_limit::{ConnectionLimit, ConnectionPermit, LimitReached};
pub(crate) use idle::MAX_IDLE;
pub use keys::KeyError;
pub use onbind::OnbindFailure;
pub(crate) use peer::{PeerClient, PeerClients, PushError};
pub use user_info::UserInfoError;

pub use crate::outgoing::CallError;
pub(crate) use crate::outgoing::Pinned;
