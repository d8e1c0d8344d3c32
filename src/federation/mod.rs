//! Reaching homeservers: who holds an `OpenID` token, what a server's keys are,
//! and telling a server of a binding. And reaching other identity servers, which
//! are told of every binding (`peer`).
//!
//! The names of homeservers come from strangers. Everything here therefore
//! passes the guard at the moment of the connection (`guard`), is verified by
//! TLS for the name that the specification says (`route`), has an end in time
//! and size, and is never answered to whoever asked.
//!
//! - `route`: from a server name to what is connected to: pure rules.
//! - `well_known`: delegation, and how long it is remembered.
//! - `dns`, `guard`, `connect`, `proxy`, `tls`: from there to a
//!   connection.
//! - `exchange`: one HTTP request on a connection.
//! - `connection_limit`: how many calls are made at a time.
//! - `user_info`, `keys`, `onbind`: the three things that are asked.

mod cache;
mod client;
mod connect;
mod connection_limit;
mod dns;
mod error;
mod exchange;
mod guard;
mod keys;
mod onbind;
mod peer;
mod proxy;
mod route;
mod stream;
mod tls;
mod user_info;
mod well_known;

pub use client::{Client, OpenError};
pub use connection_limit::{ConnectionLimit, ConnectionPermit, LimitReached};
pub use dns::DnsError;
pub use error::CallError;
pub use keys::KeyError;
pub use onbind::OnbindFailure;
pub use peer::{PeerClient, PeerClients, PushError};
pub use user_info::UserInfoError;
